#!/usr/bin/env python3
"""Makes tests/reference/fixtures: tiny random checkpoints and the logits transformers gives for them.

Run by hand, with a Python that has torch and transformers 4.46; the tests only read the result:

    python3 tools/reference/make_model_reference.py [--out tests/reference/fixtures] [--only NAME]

Each fixture is a folder with
  config.json, model.safetensors (or shards with an index)   the checkpoint, float32
  reference.json           token ids, the rows kept, and transformers' own bfloat16 errors
  expected.safetensors     inv_freq [head_dim / 2]; per length n:
                             logits.<n>               [rows, vocab]  weights and arithmetic float32
                             logits_bf16_weights.<n>  [rows, vocab]  weights rounded to bfloat16
                                                      (nearest, ties to even), arithmetic float32

Errors are ||a - b||2 / ||b||2 per row, a: weights and arithmetic bfloat16, b: logits_bf16_weights;
the worst over the kept rows and the worst over all rows are noted.
"""

import argparse
import copy
import json
import math
import os
import platform
import shutil
import sys

import safetensors
import safetensors.torch
import torch
import transformers

VOCABULARY = 192
LENGTHS = (1, 7, 64, 513)

COMMON = {
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "num_hidden_layers": 2,
    "torch_dtype": "float32",
    "transformers_version": transformers.__version__,
    "use_cache": True,
    "vocab_size": VOCABULARY,
}
LLAMA = {
    **COMMON,
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "tie_word_embeddings": False,
}


def shape(hidden, intermediate, heads, kv_heads):
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }


# Each entry: config.json in the form the family's published files have, the fifth length (beyond
# original_max_position_embeddings where the RoPE kind has one), and whether it is cut in shards.
FIXTURES = {
    "llama2": dict(
        config={**LLAMA, **shape(64, 128, 4, 4), "max_position_embeddings": 1024,
                "rope_scaling": None, "pad_token_id": 0},
        beyond=600),
    "llama3": dict(
        config={**LLAMA, **shape(64, 128, 4, 1), "max_position_embeddings": 1024,
                "rope_theta": 500000.0, "rope_scaling": None},
        beyond=600, shards=2),
    "llama3_1": dict(
        config={**LLAMA, **shape(64, 128, 4, 1), "max_position_embeddings": 1024, "mlp_bias": False,
                "rope_theta": 500000.0, "eos_token_id": [2, 3, 4],
                "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                 "original_max_position_embeddings": 128, "rope_type": "llama3"}},
        beyond=200),
    "llama3_2": dict(
        config={**LLAMA, **shape(64, 128, 2, 1), "head_dim": 32, "max_position_embeddings": 2048,
                "mlp_bias": False, "rope_theta": 500000.0, "tie_word_embeddings": True,
                "rope_scaling": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                 "original_max_position_embeddings": 64, "rope_type": "llama3"}},
        beyond=130),
    "tinyllama": dict(
        config={**LLAMA, **shape(128, 176, 8, 1), "max_position_embeddings": 1024,
                "rope_scaling": None},
        beyond=600),
    "smollm2": dict(
        config={**LLAMA, **shape(96, 128, 3, 1), "max_position_embeddings": 1024,
                "num_hidden_layers": 3, "rope_theta": 100000, "rope_interleaved": False,
                "is_llama_config": True, "bos_token_id": 0, "eos_token_id": 0,
                "tie_word_embeddings": True, "rope_scaling": None},
        beyond=600),
    "mistral": dict(
        config={**COMMON, **shape(64, 128, 4, 1), "architectures": ["MistralForCausalLM"],
                "model_type": "mistral", "attention_dropout": 0.0, "bos_token_id": 1,
                "eos_token_id": 2, "head_dim": 24, "max_position_embeddings": 1024,
                "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": None,
                "tie_word_embeddings": False},
        beyond=600),
    "qwen2": dict(
        config={**COMMON, **shape(112, 128, 7, 1), "architectures": ["Qwen2ForCausalLM"],
                "model_type": "qwen2", "attention_dropout": 0.0, "bos_token_id": 1,
                "eos_token_id": 2, "max_position_embeddings": 1024, "max_window_layers": 2,
                "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 1024,
                "tie_word_embeddings": True, "use_sliding_window": False},
        beyond=600),
    "qwen2_5": dict(
        config={**COMMON, **shape(64, 128, 4, 2), "architectures": ["Qwen2ForCausalLM"],
                "model_type": "qwen2", "attention_dropout": 0.0, "bos_token_id": 1,
                "eos_token_id": 2, "max_position_embeddings": 1024, "max_window_layers": 2,
                "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 1024,
                "tie_word_embeddings": False, "use_sliding_window": False, "use_mrope": False},
        beyond=600),
    # transformers 4.46 takes max_position_embeddings as YaRN's original length, as here.
    "qwen2_5_yarn": dict(
        config={**COMMON, **shape(64, 128, 2, 1), "architectures": ["Qwen2ForCausalLM"],
                "model_type": "qwen2", "attention_dropout": 0.0, "bos_token_id": 1,
                "eos_token_id": 2, "max_position_embeddings": 160, "max_window_layers": 2,
                "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 160,
                "tie_word_embeddings": False, "use_sliding_window": False,
                "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 160,
                                 "type": "yarn"}},
        beyond=200),
    # Every optional number of YaRN given.
    "llama_yarn": dict(
        config={**LLAMA, **shape(64, 128, 2, 2), "max_position_embeddings": 160,
                "rope_theta": 10000.0,
                "rope_scaling": {"rope_type": "yarn", "factor": 6.0, "attention_factor": 1.3,
                                 "beta_fast": 16.0, "beta_slow": 2.0}},
        beyond=200),
    # Linear RoPE, and every bias a Llama configuration can ask for.
    "llama_linear": dict(
        config={**LLAMA, **shape(64, 128, 4, 2), "max_position_embeddings": 160,
                "attention_bias": True, "mlp_bias": True,
                "rope_scaling": {"type": "linear", "factor": 4.0}},
        beyond=200),
}


def draw_weights(model, seed):
    """std 1/sqrt(fan_in), biases and norm weights that matter; independent of torch's init."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(1.0 + 0.25 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.25 * noise)
            else:
                parameter.copy_(noise / math.sqrt(parameter.shape[-1]))


def save_checkpoint(folder, config, model, shards):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")
    tensors = {name: p.detach().contiguous() for name, p in model.named_parameters()}
    if shards == 1:
        safetensors.torch.save_file(tensors, os.path.join(folder, "model.safetensors"),
                                    metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map, total = {}, 0
    for i in range(shards):
        part = names[i * len(names) // shards:(i + 1) * len(names) // shards]
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        safetensors.torch.save_file({n: tensors[n] for n in part}, os.path.join(folder, file),
                                    metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
        total += sum(tensors[n].numel() * 4 for n in part)
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, f, indent=1)
        f.write("\n")


def run(model, ids):
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids]), use_cache=False)
    return out.logits[0].float()


def kept_rows(length):
    if length <= 7:
        return list(range(length))
    return sorted({0, 1, 2, length // 4, length // 2, 3 * length // 4, length - 2, length - 1})


def worst(a, b):
    return float(((a - b).double().norm(dim=1) / b.double().norm(dim=1)).max())


def make(name, spec, out, seed):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    config_json = copy.deepcopy(spec["config"])
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config_json, f)
    config = transformers.AutoConfig.from_pretrained(folder)
    draft = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    draw_weights(draft, seed)
    save_checkpoint(folder, config_json, draft, spec.get("shards", 1))

    load = lambda dtype: transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=dtype, attn_implementation="eager").eval()
    model = load(torch.float32)
    for key, value in draft.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    rounded = load(torch.float32)
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.to(torch.bfloat16).float())
    half = load(torch.bfloat16)
    for a, b in zip(half.parameters(), rounded.parameters()):
        assert torch.equal(a.float(), b)
    rotary, low_rotary = (next(m for m in x.modules() if hasattr(m, "inv_freq"))
                          for x in (model, half))
    assert low_rotary.inv_freq.dtype == torch.float32  # RoPE angles are float32 in both

    generator = torch.Generator().manual_seed(seed + 1)
    expected = {"inv_freq": rotary.inv_freq.float().clone()}
    cases = []
    for length in sorted({*LENGTHS, spec["beyond"]}):
        ids = torch.randint(0, VOCABULARY, (length,), generator=generator).tolist()
        rows = kept_rows(length)
        exact, base, low = run(model, ids), run(rounded, ids), run(half, ids)
        expected[f"logits.{length}"] = exact[rows].contiguous()
        expected[f"logits_bf16_weights.{length}"] = base[rows].contiguous()
        cases.append({"length": length, "ids": ids, "rows": rows,
                      "bf16_error": worst(low[rows], base[rows]),
                      "bf16_error_all_rows": worst(low, base)})
    safetensors.torch.save_file(expected, os.path.join(folder, "expected.safetensors"))
    with open(os.path.join(folder, "reference.json"), "w") as f:
        json.dump({"seed": seed, "attention_factor": getattr(rotary, "attention_scaling", 1.0),
                   "cases": cases}, f, separators=(",", ":"))
        f.write("\n")
    print(name, [(c["length"], round(c["bf16_error"], 5), round(c["bf16_error_all_rows"], 5))
                 for c in cases])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/reference/fixtures"))
    parser.add_argument("--only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for i, (name, spec) in enumerate(FIXTURES.items()):
        if arguments.only in (None, name):
            make(name, spec, arguments.out, seed=1000 + 10 * i)
    with open(os.path.join(arguments.out, "VERSIONS.json"), "w") as f:
        json.dump({"made_by": "tools/reference/make_model_reference.py",
                   "python": platform.python_version(), "torch": torch.__version__,
                   "transformers": transformers.__version__,
                   "safetensors": safetensors.__version__}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    sys.exit(main())
