"""A plain Llama in PyTorch, for training: Hugging Face's names, layout and arithmetic.

Shapes: B rows, T tokens, D hidden, H heads, G key-value heads, C head_dim.
"""

import dataclasses
import json
import pathlib

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass
class Config:
    vocab_size: int = 8192
    hidden_size: int = 512
    intermediate_size: int = 512
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 128
    rope_theta: float = 1e16
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 65536


class Norm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return x * scale * self.weight


def rope_tables(config, positions):
    """cos and sin, each [B, T, C / 2] in float32, of positions [B, T]."""
    half = config.head_dim // 2
    exponent = torch.arange(half, dtype=torch.float64, device=positions.device) / half
    angle = positions.double()[..., None] * config.rope_theta ** -exponent
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    """x [B, heads, T, C] turned by each token's angles."""
    first, second = x.float().chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        d, c = config.hidden_size, config.head_dim
        queries, keys = config.num_attention_heads * c, config.num_key_value_heads * c

        def linear(inputs, outputs):
            return nn.Linear(inputs, outputs, bias=False)

        self.input_layernorm = Norm(d, config.rms_norm_eps)
        self.q_proj, self.k_proj = linear(d, queries), linear(d, keys)
        self.v_proj, self.o_proj = linear(d, keys), linear(queries, d)
        self.post_attention_layernorm = Norm(d, config.rms_norm_eps)
        self.gate_proj = linear(d, config.intermediate_size)
        self.up_proj = linear(d, config.intermediate_size)
        self.down_proj = linear(config.intermediate_size, d)

    def heads(self, x, projection, tables=None):
        """[B, heads, T, C] of normed x, rotated where tables are given."""
        y = projection(x)
        y = y.view(*y.shape[:2], -1, self.config.head_dim).transpose(1, 2)
        return y if tables is None else rotate(y, *tables).to(y.dtype)

    def mix(self, q, k, v, hidden):
        """Attention of q [B, H, Q, C] over k and v [B, G, T, C]; hidden [B or 1, 1, Q, T] is true
        where a query may not look. -> [B, Q, H * C]"""
        rows, heads, length, c = q.shape
        groups = k.shape[1]
        if q.is_cuda:
            k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=~hidden)
        else:
            q = q.reshape(rows, groups, heads // groups * length, c)
            scores = (q @ k.transpose(-1, -2)) * c ** -0.5
            scores = scores.view(rows, heads, length, -1)
            scores = scores.masked_fill(hidden, -30000.0)
            weights = torch.softmax(scores, -1).view(rows, groups, heads // groups * length, -1)
            y = (weights.to(v.dtype) @ v).view(rows, heads, length, c)
        return y.transpose(1, 2).reshape(rows, length, heads * c)

    def feed_forward(self, x):
        y = self.post_attention_layernorm(x)
        return x + self.down_proj(functional.silu(self.gate_proj(y)) * self.up_proj(y))

    def forward(self, x, tables, hidden):
        y = self.input_layernorm(x)
        q, k = self.heads(y, self.q_proj, tables), self.heads(y, self.k_proj, tables)
        x = x + self.o_proj(self.mix(q, k, self.heads(y, self.v_proj), hidden))
        return self.feed_forward(x)


class Llama(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = Norm(config.hidden_size, config.rms_norm_eps)

    def below_top(self, ids, positions, hidden):
        """What enters the last layer [B, T, D], and the rotary tables."""
        tables = rope_tables(self.config, positions)
        x = self.embed_tokens(ids)
        for layer in self.layers[:-1]:
            x = layer(x, tables, hidden)
        return x, tables

    def top(self, x, tables, hidden, rows, columns):
        """Logits [N, V] at N places (rows, columns) of the batch: the last layer's queries, its
        feed-forward part and the head are computed only there."""
        layer = self.layers[-1]
        y = layer.input_layernorm(x)
        k, v = layer.heads(y, layer.k_proj, tables), layer.heads(y, layer.v_proj)
        counts = torch.bincount(rows, minlength=len(x))
        width = int(counts.max())
        slot = torch.arange(len(rows), device=x.device) - (counts.cumsum(0) - counts)[rows]
        places = torch.zeros(len(x), width, dtype=torch.long, device=x.device)
        places[rows, slot] = columns
        batch = torch.arange(len(x), device=x.device)[:, None]
        q = layer.heads(y[batch, places], layer.q_proj, [t[batch, places] for t in tables])
        unseen = hidden.expand(len(x), -1, -1, -1)[batch, 0, places][:, None]
        mixed = layer.o_proj(layer.mix(q, k, v, unseen))[rows, slot]
        return self.head(layer.feed_forward(x[rows, columns] + mixed))

    def head(self, x):
        return functional.linear(self.norm(x), self.embed_tokens.weight)

    def forward(self, ids, positions, hidden):
        """Logits [B, T, V]; hidden as in Layer.mix."""
        x, tables = self.below_top(ids, positions, hidden)
        return self.head(self.layers[-1](x, tables, hidden))


def causal(length, device="cpu"):
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)[None, None]


def hugging_face_name(name):
    if name.startswith("layers."):
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            name = name.replace(f".{part}.", f".self_attn.{part}.")
        for part in ("gate_proj", "up_proj", "down_proj"):
            name = name.replace(f".{part}.", f".mlp.{part}.")
    return "model." + name


def save(model, folder, special):
    """config.json and model.safetensors (bf16) into an existing folder; special maps bos, eos and
    pad to their ids."""
    from safetensors.torch import save_file

    folder = pathlib.Path(folder)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **dataclasses.asdict(model.config),
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        **{f"{name}_token_id": value for name, value in special.items()},
        "torch_dtype": "bfloat16",
    }
    tensors = {hugging_face_name(name): value.detach().to("cpu", torch.bfloat16).contiguous()
               for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def load(folder):
    """A model as save() wrote it, in float32."""
    from safetensors.torch import load_file

    folder = pathlib.Path(folder)
    source = json.loads((folder / "config.json").read_text())
    fields = {field.name for field in dataclasses.fields(Config)}
    model = Llama(Config(**{key: value for key, value in source.items() if key in fields}))
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensors[hugging_face_name(name)].float()
                           for name in model.state_dict()})
    return model
