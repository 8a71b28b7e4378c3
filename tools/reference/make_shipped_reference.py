#!/usr/bin/env python3
"""Makes tests/reference/fixtures/shipped: what transformers computes with the model we ship.

Run by hand whenever pipelines/quickstart/model changes, with a Python that has torch and
transformers 4.46 (seconds, one core); tests/forward/shipped_model_test.cc only reads the result:

    python3 tools/reference/make_shipped_reference.py [--model FOLDER] [--out FOLDER]

It fails, and writes nothing, if transformers does not load every weight, or if AutoTokenizer gives
other ids than tokenizer.json itself.

  reference.json         crc32 of the model's files, the configuration as transformers reads it, and
                         per prompt: text, ids, the rows kept, and transformers' own bfloat16 errors
  expected.safetensors   float32 logits, inv_freq [head_dim / 2]; per prompt:
                           last.<name>  [vocab]           of the last row
                           some.<name>  [rows, vocab / 32] of the rows kept, columns 0, 32, 64, ...

The prompts are the quick start's: `demonstrations` has its first demonstrations, some 600 tokens,
and a query; `query` only the query. Rows kept: the last, those that predict a label's first token,
and some between. Errors are ||a - b||2 / ||b||2 per row over all columns, a: arithmetic bfloat16,
b: float32, of the same weights; the last row's, and the worst and the median of all rows.
"""

import argparse
import json
import os
import platform
import sys
import zlib

import safetensors
import safetensors.torch
import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "../.."))
FILES = ("config.json", "model.safetensors", "tokenizer.json")
TOKENS = 600  # at most, in the demonstrations
STRIDE = 32  # of the columns kept
ROWS = {"demonstrations": 22, "query": 6}
SIZE_LIMIT = 200_000  # bytes, both files

TOKENIZER_CONFIG = ('{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": ..., '
                    '"eos_token": ..., "pad_token": ...}')


def query_text(text):
    return f"query: {text}\nintent:"


def demonstration_text(example):
    return f"{query_text(example['text'])} {example['label']}\n==\n"


def read_jsonl(name):
    with open(os.path.join(ROOT, "pipelines/quickstart", name), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def make_prompts(encode):
    """[(name, text, ids, label rows)]"""
    query = query_text(read_jsonl("queries.jsonl")[0]["text"])
    text, label_rows = "", []
    for example in read_jsonl("demonstrations.jsonl"):
        longer = text + demonstration_text(example)
        if len(encode(longer)) > TOKENS - len(encode(query)):
            break
        # The row of "intent:" predicts the label.
        label_rows.append(len(encode(text + query_text(example["text"]))) - 1)
        text = longer
    return [("demonstrations", text + query, encode(text + query), label_rows),
            ("query", query, encode(query), [])]


def kept_rows(count, length, label_rows):
    rows = {length - 1, *label_rows[-count // 2:]}
    spread = [i * length // (count - len(rows)) for i in range(count - len(rows))]
    return sorted(rows.union(spread))


def checked_tokenizer(folder):
    plain = transformers.PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(folder, "tokenizer.json"))
    encode = lambda text: plain(text, add_special_tokens=False).input_ids
    auto = transformers.AutoTokenizer.from_pretrained(folder)
    text = "query: where's my  café book 1234?\nintent: a b\n==\n"
    if len(auto) != len(plain) or auto(text, add_special_tokens=False).input_ids != encode(text):
        sys.exit(f"{folder}: AutoTokenizer makes a {type(auto).__name__} of {len(auto)} tokens, "
                 f"tokenizer.json has {len(plain)}; put a tokenizer_config.json beside it: "
                 f"{TOKENIZER_CONFIG}")
    return encode


def load(folder, dtype):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=dtype, attn_implementation="eager", output_loading_info=True)
    if info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]:
        sys.exit(f"{folder}: transformers does not load every weight: {info}")
    return model.eval()


def run(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def configuration(config):
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
             "num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps",
             "max_position_embeddings", "tie_word_embeddings", "bos_token_id", "eos_token_id")
    return {name: getattr(config, name) for name in names}


def crc32(path):
    with open(path, "rb") as f:
        return f"{zlib.crc32(f.read()):08x}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=os.path.join(ROOT, "pipelines/quickstart/model"))
    parser.add_argument("--out", default=os.path.join(ROOT, "tests/reference/fixtures/shipped"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    encode = checked_tokenizer(arguments.model)
    model, half = load(arguments.model, torch.float32), load(arguments.model, torch.bfloat16)
    for a, b in zip(model.parameters(), half.parameters()):
        if not torch.equal(a, b.float()):
            sys.exit(f"{arguments.model}: the weights are not bfloat16")
    rotary = next(m for m in model.modules() if hasattr(m, "inv_freq"))
    expected, prompts = {"inv_freq": rotary.inv_freq.float().clone()}, []
    for name, text, ids, label_rows in make_prompts(encode):
        rows = kept_rows(ROWS[name], len(ids), label_rows)
        exact, low = run(model, ids), run(half, ids)
        errors = (low - exact).double().norm(dim=1) / exact.double().norm(dim=1)
        expected[f"last.{name}"] = exact[-1].clone()
        expected[f"some.{name}"] = exact[rows][:, ::STRIDE].contiguous()
        prompts.append({"name": name, "text": text, "ids": ids, "rows": rows,
                        "bf16_error_last": float(errors[-1]), "bf16_error_worst": float(errors.max()),
                        "bf16_error_median": float(errors.median())})
        print(f"{name}: {len(ids)} tokens; transformers' bfloat16 against its float32: last row "
              f"{errors[-1]:.4f}, worst {errors.max():.4f}, median {errors.median():.4f}")

    os.makedirs(arguments.out, exist_ok=True)
    files = [os.path.join(arguments.out, f) for f in ("expected.safetensors", "reference.json")]
    safetensors.torch.save_file(expected, files[0])
    with open(files[1], "w", encoding="utf-8") as f:
        json.dump({"made_by": "tools/reference/make_shipped_reference.py",
                   "versions": {"python": platform.python_version(), "torch": torch.__version__,
                                "transformers": transformers.__version__},
                   "crc32": {f: crc32(os.path.join(arguments.model, f)) for f in FILES},
                   "config": configuration(model.config), "stride": STRIDE, "prompts": prompts},
                  f, separators=(",", ":"))
        f.write("\n")
    size = sum(os.path.getsize(f) for f in files)
    print(f"{arguments.out}: {size} bytes")
    if size > SIZE_LIMIT:
        sys.exit(f"more than the {SIZE_LIMIT} bytes that a fixture may have")


if __name__ == "__main__":
    sys.exit(main())
