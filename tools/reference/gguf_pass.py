"""A decoder of a GGUF file in float64, as plain as it can be: what the engine is compared with.

Written from the models' descriptions and not from the engine: weights are gguf-py's, and all sums are
NumPy's. Architectures `llama` and `gemma3`; a key that changes the result and is not read here is an
error. As in transformers, RoPE's inverse frequencies are float32 numbers, and Gemma's embedding scale
is rounded to the type that the file stores the embedding in, blocks being float32.
"""

import dataclasses

import numpy
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

VOCABULARY_ROWS = 16384  # of the head, widened to float64 at once


def rms_norm(x, weight, epsilon):
    return x / numpy.sqrt(numpy.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def silu(x):
    return x / (1 + numpy.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + numpy.tanh(numpy.sqrt(2 / numpy.pi) * (x + 0.044715 * x**3)))


def inverse_frequencies(base, width):
    exponents = numpy.arange(0, width, 2, dtype=numpy.float32) / numpy.float32(width)
    powers = (numpy.float64(numpy.float32(base)) ** exponents.astype(numpy.float64)).astype(numpy.float32)
    return (numpy.float32(1) / powers).astype(numpy.float64)


@dataclasses.dataclass
class Layer:
    window: int  # a row sees tokens at a distance below it; 0: all
    frequencies: numpy.ndarray  # [head_dim / 2]
    tensors: dict  # name in the layer -> float64


class Decoder:
    """Logits of rows behind keys and values that were computed before."""

    def __init__(self, path):
        self.reader = GGUFReader(path)
        self.keys = {name: field.contents() for name, field in self.reader.fields.items()
                     if not name.startswith("tokenizer.")}
        self.architecture = self.keys["general.architecture"]
        if self.architecture not in ("llama", "gemma3"):
            raise ValueError(f"{path}: expected architecture llama or gemma3, found {self.architecture}")
        self.gemma = self.architecture == "gemma3"
        self.stored = {tensor.name: tensor for tensor in self.reader.tensors}
        self.used = set()
        self.read_keys()
        embedding = self.stored["token_embd.weight"]
        self.embedding = self.decoded("token_embd.weight")
        self.scale = self.embedding_scale(embedding.tensor_type) if self.gemma else 1.0
        self.head = self.decoded("output.weight") if "output.weight" in self.stored else self.embedding
        self.norm = self.decoded("output_norm.weight").astype(numpy.float64)
        self.layers = [self.read_layer(i) for i in range(self.layer_count)]
        left = set(self.stored) - self.used
        if left:
            raise ValueError(f"{path}: tensors that are not computed with: {', '.join(sorted(left))}")

    def key(self, name, absent=None):
        return self.keys.pop(f"{self.architecture}.{name}", absent)

    def read_keys(self):
        hidden = self.key("embedding_length")
        self.layer_count = self.key("block_count")
        self.heads = self.key("attention.head_count")
        self.kv_heads = self.key("attention.head_count_kv", self.heads)
        self.head_dim = self.key("attention.key_length", hidden // self.heads)
        self.epsilon = self.key("attention.layer_norm_rms_epsilon")
        self.base = self.key("rope.freq_base", 10000.0)
        self.window = self.key("attention.sliding_window", 0)
        self.hidden = hidden
        if self.key("rope.dimension_count", self.head_dim) != self.head_dim:
            raise ValueError("rotation of parts of heads is not computed")
        for name in ("context_length", "feed_forward_length", "attention.value_length", "vocab_size"):
            self.key(name)
        left = [name for name in self.keys if name.startswith(self.architecture + ".")]
        if left:
            raise ValueError(f"keys that are not computed with: {', '.join(sorted(left))}")

    def embedding_scale(self, stored_type):
        scale = numpy.float32(numpy.sqrt(self.hidden))
        if stored_type == GGMLQuantizationType.F16:
            return float(numpy.float16(scale))
        if stored_type == GGMLQuantizationType.BF16:
            bits = scale.view(numpy.uint32)
            rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
            return float(numpy.uint32(rounded).view(numpy.float32))
        return float(scale)

    def decoded(self, name):
        """A tensor in float32, every bit as gguf-py decodes it."""
        self.used.add(name)
        tensor = self.stored[name]
        shape = tuple(int(extent) for extent in reversed(tensor.shape))
        return dequantize(tensor.data, tensor.tensor_type).reshape(shape)

    def read_layer(self, index):
        prefix = f"blk.{index}."
        tensors = {name.removeprefix(prefix): self.decoded(name).astype(numpy.float64)
                   for name in self.stored if name.startswith(prefix)}
        # Gemma 3: five layers with a window and their own base, then one that sees everything.
        local = self.gemma and (index + 1) % 6 != 0
        window = self.window if local or not self.gemma else 0
        return Layer(window, inverse_frequencies(10000.0 if local else self.base, self.head_dim), tensors)

    def rotate(self, x, positions, layer):
        """[rows, heads, head_dim]; llama's converter has put the two of a pair side by side."""
        angles = positions[:, None, None].astype(numpy.float64) * layer.frequencies
        cosine, sine = numpy.cos(angles), numpy.sin(angles)
        pairs = numpy.stack(numpy.split(x, 2, axis=-1), -1) if self.gemma else x.reshape(*x.shape[:-1], -1, 2)
        first, second = pairs[..., 0], pairs[..., 1]
        turned = [first * cosine - second * sine, second * cosine + first * sine]
        return numpy.concatenate(turned, -1)

    def attend(self, x, layer, positions, branches, past):
        """What attention gives for the rows x, and all keys and values so far."""
        rows, tensors = len(x), layer.tensors
        q, k, v = (self.linear(x, tensors, name).reshape(rows, -1, self.head_dim)
                   for name in ("attn_q", "attn_k", "attn_v"))
        if self.gemma:
            q = rms_norm(q, tensors["attn_q_norm.weight"], self.epsilon)
            k = rms_norm(k, tensors["attn_k_norm.weight"], self.epsilon)
        q, k = self.rotate(q, positions, layer), self.rotate(k, positions, layer)
        if past is not None:
            k, v = numpy.concatenate([past[0], k]), numpy.concatenate([past[1], v])
        before = len(k) - rows
        distance = positions[:, None] - numpy.concatenate([numpy.arange(before), positions])
        seen = (distance >= 0) & ((distance < layer.window) if layer.window else True)
        seen[:, before:] &= branches[:, None] == branches
        out = numpy.empty((rows, self.heads, self.head_dim))
        for head in range(self.heads):
            group = head // (self.heads // self.kv_heads)
            scores = q[:, head] @ k[:, group].T / numpy.sqrt(self.head_dim)
            scores = numpy.where(seen, scores, -numpy.inf)
            weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
            out[:, head] = weights @ v[:, group] / weights.sum(axis=-1, keepdims=True)
        return self.linear(out.reshape(rows, -1), tensors, "attn_output"), (k, v)

    @staticmethod
    def linear(x, tensors, name):
        y = x @ tensors[name + ".weight"].T
        return y + tensors[name + ".bias"] if name + ".bias" in tensors else y

    def feed_forward(self, x, tensors):
        activation = gelu_tanh if self.gemma else silu
        gate, up = self.linear(x, tensors, "ffn_gate"), self.linear(x, tensors, "ffn_up")
        return self.linear(activation(gate) * up, tensors, "ffn_down")

    def forward(self, sequences, past=None):
        """The last layer's output for sequences of ids that each follow the tokens of `past` and do
        not see each other, one after the other; and all keys and values, those of `past` included."""
        start = 0 if past is None else len(past[0][0])
        ids = numpy.concatenate([numpy.array(sequence, dtype=int) for sequence in sequences])
        positions = numpy.concatenate([numpy.arange(len(sequence)) for sequence in sequences]) + start
        branches = numpy.repeat(numpy.arange(len(sequences)), [len(sequence) for sequence in sequences])
        x = self.embedding[ids].astype(numpy.float64) * self.scale
        kv = []
        for i, layer in enumerate(self.layers):
            tensors = layer.tensors

            def normed(y, name, tensors=tensors):
                return rms_norm(y, tensors[name + ".weight"], self.epsilon)

            branch, layer_kv = self.attend(normed(x, "attn_norm"), layer, positions, branches,
                                           None if past is None else past[i])
            kv.append(layer_kv)
            x = x + (normed(branch, "post_attention_norm") if self.gemma else branch)
            branch = self.feed_forward(normed(x, "ffn_norm"), tensors)
            x = x + (normed(branch, "post_ffw_norm") if self.gemma else branch)
        return x, kv

    def log_probabilities(self, x):
        """[rows, vocabulary] of the tokens behind the rows."""
        x = rms_norm(x, self.norm, self.epsilon)
        parts = [x @ self.head[first:first + VOCABULARY_ROWS].astype(numpy.float64).T
                 for first in range(0, len(self.head), VOCABULARY_ROWS)]
        logits = numpy.concatenate(parts, -1)
        logits -= logits.max(axis=-1, keepdims=True)
        return logits - numpy.log(numpy.exp(logits).sum(axis=-1, keepdims=True))
