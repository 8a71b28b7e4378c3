"""A GGUF file's model in transformers, in bfloat16 as its users run it: whose error an engine in
bfloat16 is measured against. Needs torch, transformers and accelerate from PyPI.
"""

import copy
import pathlib

import numpy
import torch
from transformers import AutoModelForCausalLM, GgufConfig


class Bfloat16Model:
    """Label log-probabilities of queries behind one start, whose keys and values are kept."""

    def __init__(self, path):
        path = pathlib.Path(path)
        self.model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True)).eval()
        wrong = {str(p.dtype) for p in self.model.parameters()} - {"torch.bfloat16"}
        if wrong:
            raise ValueError(f"{path}: expected every weight in bfloat16, found {', '.join(sorted(wrong))}")
        self.past = None

    @torch.no_grad()
    def forward(self, ids, past):
        """Log-probabilities [len(ids), vocabulary] in float64 behind each id, and the longer cache."""
        out = self.model(torch.tensor([ids]), past_key_values=copy.deepcopy(past), use_cache=True)
        logits = out.logits[0].double()
        return torch.log_softmax(logits, -1).numpy(), out.past_key_values

    def begin(self, start):
        self.past = self.forward(start, None)[1] if start else None

    def label_log_probabilities(self, labels, query):
        first, past = self.forward(query, self.past)
        sums = []
        for ids in labels:
            rows = [first[-1:]] + ([self.forward(ids[:-1], past)[0]] if len(ids) > 1 else [])
            sums.append(numpy.concatenate(rows)[numpy.arange(len(ids)), ids].sum())
        sums = numpy.array(sums)
        return sums - numpy.logaddexp.reduce(sums)
