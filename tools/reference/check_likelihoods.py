#!/usr/bin/env python3
"""Compares the label log-probabilities of a result record with a float64 pass over the model's file.

Run by hand, with a Python that has gguf, numpy and regex from PyPI:

    build/release/bin/dbsa-pipe run PIPELINE --set model.dtype=f32 --set decoding.method=likelihood ...
    python3 tools/reference/check_likelihoods.py RECORD.json [--queries 20] [--bound 1e-3]

The record must be of a dense run, in which blocks and query are one causal sequence: mask_pattern
"causal", retriever "all", selection.ratio = 1; or of one without demonstrations. Data are JSON lines,
and the model a GGUF file that gguf_pass.py computes. Token ids are formed again, too. A pass over 1,300
tokens of a model of 270M takes some seconds, and so does each query.

A record in bfloat16 (model.dtype=bf16) has no bound of its own: with --against-transformers its error
may be at most 1.5 times (--ratio) that of transformers in bfloat16 with the same weights, both as the
root of the mean square over all queries and labels. That needs torch, transformers and accelerate, too.
"""

import argparse
import json
import pathlib
import sys

import numpy

from gguf_pass import Decoder
from gguf_tokens import Tokens


def dense(record):
    config = record["config"]
    if config["selection"].get("count") == 0:
        return True
    return (config["mask_pattern"]["plugin"].split(".")[-1] == "causal"
            and all([block["block"] for block in query["blocks"]] == list(range(record["encode"]["blocks"]))
                    for query in record["queries"] if "blocks" in query))


def prompt_start(record, tokens):
    """Ids of all blocks, one after the other."""
    config = record["config"]
    prompt, data = config["prompt"], config["data"]
    lines = [json.loads(line) for line in open(data["demonstrations"], encoding="utf-8")]
    ids, blocks = [], record["encode"]["assignment"] if record["encode"]["demonstrations"] else []
    for i, block in enumerate(blocks):
        text = ""
        if not block:  # the prefix block
            if prompt["head"]:
                raise ValueError("prompt.head holds special tokens, which are not looked for here")
            text = prompt["instruction"] + prompt["separator"] if prompt["instruction"] else ""
        for line in block:
            row = lines[line - 1]
            text += (f"{prompt['input_prefix']}{row[data['text_field']]}\n{prompt['output_prefix']}"
                     f"{row[data['label_field']]}{prompt['separator']}")
        ids += ([tokens.bos] if i == 0 and prompt["bos"] else []) + (tokens.encode(text) if text else [])
    return ids


def label_ids(label, prompt, tokens):
    """Ids of a label behind the query, and the one that ends it."""
    lead = tokens.encode(prompt["output_prefix"].rstrip())
    whole = tokens.encode(prompt["output_prefix"] + label + prompt["separator"])
    assert whole[:len(lead)] == lead, label
    separator, cut = prompt["separator"].encode(), len(whole)
    for i in range(len(whole), len(lead), -1):
        tail = tokens.decode(whole[i - 1:])
        if separator.endswith(tail):
            cut = i - 1
        if len(tail) > len(separator) + 3:
            break
    return whole[len(lead):cut] + whole[cut:cut + 1]


def label_log_probabilities(decoder, labels, query, past):
    """Of each label behind the query's ids, among them all."""
    x, past = decoder.forward([query], past)
    rows = [x[-1:]]
    if any(len(ids) > 1 for ids in labels):
        rows.append(decoder.forward([ids[:-1] for ids in labels], past)[0])
    log_probabilities = decoder.log_probabilities(numpy.concatenate(rows))
    sums, row = [], 1
    for ids in labels:
        inner = len(ids) - 1
        sums.append(log_probabilities[0, ids[0]]
                    + log_probabilities[numpy.arange(row, row + inner), ids[1:]].sum())
        row += inner
    sums = numpy.array(sums)
    return sums - numpy.logaddexp.reduce(sums)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("record", type=pathlib.Path)
    parser.add_argument("--queries", type=int, default=20, help="how many of the first ones")
    parser.add_argument("--bound", type=float, default=1e-3, help="of a difference")
    parser.add_argument("--against-transformers", action="store_true",
                        help="compare the error with that of transformers in bfloat16")
    parser.add_argument("--ratio", type=float, default=1.5, help="of the two errors, at most")
    options = parser.parse_args()
    record = json.loads(options.record.read_text(encoding="utf-8"))
    config = record["config"]
    if config["decoding"]["method"] != "likelihood" or not dense(record):
        sys.exit(f"{options.record}: expected a dense run with decoding.method = \"likelihood\"")
    path = record["model"]["path"]
    tokens, decoder = Tokens(path), Decoder(path)
    prompt = config["prompt"]
    start = prompt_start(record, tokens)
    labels = [label_ids(label, prompt, tokens) for label in record["encode"]["label_names"]]
    past = decoder.forward([start])[1] if start else None
    other = None
    if options.against_transformers:
        from transformers_pass import Bfloat16Model
        other = Bfloat16Model(path)
        other.begin(start)
    own_errors, other_errors = [], []
    for query in record["queries"][:options.queries]:
        text = f"{prompt['input_prefix']}{query['text']}\n{prompt['output_prefix']}".rstrip()
        ids = tokens.encode(text)
        counts = (query["tokens"]["selected"], query["tokens"]["query"])
        if counts != (len(start), len(ids)):
            sys.exit(f"line {query['line']}: expected {len(start)} and {len(ids)} tokens, found {counts}")
        expected = label_log_probabilities(decoder, labels, ids, past)
        own_errors.append(numpy.array(query["label_log_probabilities"]) - expected)
        line = (f"line {query['line']}: {len(start)} + {len(ids)} tokens, {len(labels)} labels, "
                f"largest difference {numpy.abs(own_errors[-1]).max():.2e}")
        if other:
            other_errors.append(other.label_log_probabilities(labels, ids) - expected)
            line += f", transformers {numpy.abs(other_errors[-1]).max():.2e}"
        print(line, flush=True)
    sys.exit(0 if holds(options, f"{path}, {record['model']['compute']}", own_errors, other_errors) else 1)


def holds(options, name, own_errors, other_errors):
    """Says how large the errors [queries][labels] are, and whether they are within the bound."""
    worst = numpy.abs(own_errors).max()
    if not other_errors:
        print(f"{name}: largest difference {worst:.2e}, bound {options.bound:g}")
        return worst <= options.bound
    own, other = (numpy.sqrt(numpy.mean(numpy.square(errors))) for errors in (own_errors, other_errors))
    print(f"{name}: error {own:.3e} (largest {worst:.2e}), transformers in bfloat16 {other:.3e} (largest "
          f"{numpy.abs(other_errors).max():.2e}), ratio {own / other:.2f}, bound {options.ratio:g}")
    return own <= options.ratio * other


if __name__ == "__main__":
    main()
