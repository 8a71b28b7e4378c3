#!/usr/bin/env python3
"""Makes the fixtures of tests/reference/fixtures whose families are newer than transformers 4.46.

Run by hand, with a Python that has torch and transformers 5.24; the tests only read the result:

    python3 tools/reference/make_family_reference.py [--out tests/reference/fixtures] [--only NAME]

Folders and errors are those of make_model_reference.py. One thing is changed in transformers: RoPE's
angles are formed in float64, as in the engine; in float32 they move logits by up to 2e-4 at these
lengths. Lengths exceed the windows and, for LongRoPE, the original context.
"""

import argparse
import copy
import json
import math
import os
import shutil
import sys

import safetensors.torch
import torch
import transformers

from make_model_reference import kept_rows, run, save_checkpoint, worst

VOCABULARY = 96
COMMON = {
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.02,
    "pad_token_id": 0,
    "torch_dtype": "float32",
    "transformers_version": transformers.__version__,
    "use_cache": True,
    "vocab_size": VOCABULARY,
}


def shape(hidden, intermediate, layers, heads, kv_heads, positions):
    return {
        **COMMON,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": positions,
    }


# config.json in the form the family's published files have, and the lengths.
FIXTURES = {
    "qwen3": dict(
        config={**shape(48, 80, 3, 4, 2, 1024), "architectures": ["Qwen3ForCausalLM"],
                "model_type": "qwen3", "attention_bias": False, "head_dim": 20,
                "hidden_act": "silu", "max_window_layers": 1, "rms_norm_eps": 1e-06,
                "rope_scaling": None, "rope_theta": 1000000, "sliding_window": 40,
                "tie_word_embeddings": True, "use_sliding_window": True},
        lengths=(7, 200)),
    # Every second layer global, with linear scaling, as from 4B up.
    "gemma3": dict(
        config={**shape(48, 80, 4, 4, 2, 1024), "architectures": ["Gemma3ForCausalLM"],
                "model_type": "gemma3_text", "attention_bias": False,
                "attn_logit_softcapping": None, "final_logit_softcapping": None, "head_dim": 16,
                "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 24,
                "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "rope_theta": 1000000.0,
                "sliding_window": 24, "sliding_window_pattern": 2},
        lengths=(7, 200)),
    "mistral_window": dict(
        config={**shape(48, 80, 2, 4, 1, 1024), "architectures": ["MistralForCausalLM"],
                "model_type": "mistral", "hidden_act": "silu", "rms_norm_eps": 1e-05,
                "rope_theta": 10000.0, "sliding_window": 40, "tie_word_embeddings": False},
        lengths=(7, 200)),
    "smollm3": dict(
        config={**shape(48, 80, 4, 4, 2, 1024), "architectures": ["SmolLM3ForCausalLM"],
                "model_type": "smollm3", "attention_bias": False, "hidden_act": "silu",
                "layer_types": ["full_attention"] * 4, "max_window_layers": 28, "mlp_bias": False,
                "no_rope_layer_interval": 4, "no_rope_layers": [1, 0, 1, 0],
                "pretraining_tp": 1, "rms_norm_eps": 1e-06, "rope_scaling": None,
                "rope_theta": 5000000.0, "sliding_window": None, "use_sliding_window": False},
        lengths=(7, 200)),
    "olmo2": dict(
        config={**shape(48, 80, 3, 4, 2, 1024), "architectures": ["Olmo2ForCausalLM"],
                "model_type": "olmo2", "attention_bias": False, "hidden_act": "silu",
                "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 500000,
                "tie_word_embeddings": False},
        lengths=(7, 200)),
    # Caps that scores and logits of random weights reach.
    "gemma2": dict(
        config={**shape(48, 80, 3, 4, 2, 1024), "architectures": ["Gemma2ForCausalLM"],
                "model_type": "gemma2", "attention_bias": False, "attn_logit_softcapping": 3.0,
                "cache_implementation": "hybrid", "final_logit_softcapping": 4.0, "head_dim": 16,
                "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
                "query_pre_attn_scalar": 24, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
                "sliding_window": 24},
        lengths=(7, 200)),
    # Phi-4-mini's form; the window of Phi-3-mini. 50 and fewer tokens have the short factors.
    "phi3": dict(
        config={**shape(64, 80, 3, 4, 2, 512), "architectures": ["Phi3ForCausalLM"],
                "model_type": "phi3", "attention_bias": False, "embd_pdrop": 0.0,
                "full_attn_mod": 1, "hidden_act": "silu", "interpolate_factor": 1,
                "lm_head_bias": False, "mlp_bias": False, "original_max_position_embeddings": 64,
                "partial_rotary_factor": 0.75, "resid_pdrop": 0.0, "rms_norm_eps": 1e-05,
                "rope_scaling": {"long_factor": [1.0, 1.4, 2.0, 3.5, 6.0, 8.0],
                                 "short_factor": [1.0, 1.0, 1.1, 1.25, 1.4, 1.5],
                                 "type": "longrope"},
                "rope_theta": 10000.0, "sliding_window": 100, "tie_word_embeddings": True},
        lengths=(50, 200)),
    "granite": dict(
        config={**shape(48, 80, 3, 4, 2, 1024), "architectures": ["GraniteForCausalLM"],
                "model_type": "granite", "attention_bias": False, "attention_multiplier": 0.15,
                "embedding_multiplier": 12.0, "hidden_act": "silu", "logits_scaling": 8.0,
                "mlp_bias": False, "residual_multiplier": 0.22, "rms_norm_eps": 1e-05,
                "rope_scaling": None, "rope_theta": 10000000.0, "tie_word_embeddings": True},
        lengths=(7, 200)),
    "mixtral": dict(
        config={**shape(48, 40, 2, 4, 2, 1024), "architectures": ["MixtralForCausalLM"],
                "model_type": "mixtral", "hidden_act": "silu", "num_experts_per_tok": 2,
                "num_local_experts": 6, "output_router_logits": False, "rms_norm_eps": 1e-05,
                "rope_theta": 1000000.0, "router_aux_loss_coef": 0.02, "sliding_window": None,
                "tie_word_embeddings": False},
        lengths=(7, 200)),
    # Layer 1 is dense. All layers have the window, no matter what max_window_layers says.
    "qwen3_moe": dict(
        config={**shape(48, 80, 3, 4, 2, 1024), "architectures": ["Qwen3MoeForCausalLM"],
                "model_type": "qwen3_moe", "attention_bias": False, "decoder_sparse_step": 1,
                "head_dim": 16, "hidden_act": "silu", "max_window_layers": 2,
                "mlp_only_layers": [1], "moe_intermediate_size": 24, "norm_topk_prob": False,
                "num_experts": 8, "num_experts_per_tok": 3, "output_router_logits": False,
                "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000.0,
                "router_aux_loss_coef": 0.001, "sliding_window": 40, "tie_word_embeddings": True,
                "use_sliding_window": True},
        lengths=(7, 200)),
}


def float64_angles(model):
    """Angles, cosines and sines in float64; the scaling and the type are those of the module."""
    for module in model.modules():
        if not type(module).__name__.endswith("RotaryEmbedding"):
            continue
        plain = module.forward

        def forward(x, position_ids, layer_type=None, module=module, plain=plain):
            given = {} if layer_type is None else {"layer_type": layer_type}
            as_is, _ = plain(x, position_ids, **given)  # LongRoPE chooses its factors there
            prefix = "" if layer_type is None else f"{layer_type}_"
            inv_freq = getattr(module, f"{prefix}inv_freq").double()
            scaling = getattr(module, f"{prefix}attention_scaling")
            angles = position_ids[..., None].double() * inv_freq
            angles = torch.cat((angles, angles), dim=-1)
            return ((angles.cos() * scaling).to(as_is.dtype), (angles.sin() * scaling).to(as_is.dtype))

        module.forward = forward
    return model


def draw_weights(model, seed, gemma):
    """std 1/sqrt(fan_in), biases and norm weights that matter; Gemma's are w of 1 + w."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_((0.0 if gemma else 1.0) + 0.25 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.25 * noise)
            else:
                parameter.copy_(noise / math.sqrt(parameter.shape[-1]))


def save(folder, config, model):
    """Experts have the names of published files, which transformers writes."""
    if "num_experts_per_tok" not in config:
        save_checkpoint(folder, config, model, 1)
        return
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")


def closest_choices(model, ids):
    """By how much the score of the last expert that a token gets exceeds the next, at least; [ids]."""
    closest = torch.full((len(ids),), math.inf)

    def hook(module, inputs, output):
        nonlocal closest
        scores = output[0].float().sort(dim=-1, descending=True).values
        used = output[2].shape[-1]
        closest = torch.minimum(closest, scores[:, used - 1] - scores[:, used])

    hooks = [m.register_forward_hook(hook) for m in model.modules()
             if type(m).__name__.endswith("TopKRouter")]
    run(model, ids)
    for h in hooks:
        h.remove()
    return closest


def draw_ids(model, length, generator, experts):
    """Of experts, tokens with a clear choice: in bfloat16 others would be chosen by chance."""
    def draw(count):
        return torch.randint(0, VOCABULARY, (count,), generator=generator).tolist()

    if not experts:
        return draw(length)
    ids = []
    while len(ids) < length:
        token = draw(1)
        if closest_choices(model, ids + token)[-1] > 0.15:
            ids += token
    return ids


def make(name, spec, out, seed):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    config_json = copy.deepcopy(spec["config"])
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config_json, f)
    config = transformers.AutoConfig.from_pretrained(folder)
    draft = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    draw_weights(draft, seed, config_json["model_type"].startswith("gemma"))
    save(folder, config_json, draft)

    def load(dtype):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype,
                                                                  attn_implementation="eager")
        return float64_angles(model.eval())

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

    generator = torch.Generator().manual_seed(seed + 1)
    expected = {"inv_freq": torch.zeros(1)}  # those of the engine are judged by the logits
    cases = []
    for length in spec["lengths"]:
        ids = draw_ids(model, length, generator, "num_experts_per_tok" in config_json)
        rows = kept_rows(length)
        exact, base, low = run(model, ids), run(rounded, ids), run(half, ids)
        expected[f"logits.{length}"] = exact[rows].contiguous()
        expected[f"logits_bf16_weights.{length}"] = base[rows].contiguous()
        cases.append({"length": length, "ids": ids, "rows": rows,
                      "bf16_error": worst(low[rows], base[rows]),
                      "bf16_error_all_rows": worst(low, base)})
    safetensors.torch.save_file(expected, os.path.join(folder, "expected.safetensors"))
    with open(os.path.join(folder, "reference.json"), "w") as f:
        json.dump({"seed": seed, "attention_factor": 1.0, "transformers": transformers.__version__,
                   "torch": torch.__version__, "cases": cases}, f, separators=(",", ":"))
        f.write("\n")
    print(name, [(c["length"], round(c["bf16_error"], 5)) for c in cases])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/reference/fixtures"))
    parser.add_argument("--only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for i, (name, spec) in enumerate(FIXTURES.items()):
        if arguments.only in (None, name):
            make(name, spec, arguments.out, seed=5000 + 10 * i)


if __name__ == "__main__":
    sys.exit(main())
