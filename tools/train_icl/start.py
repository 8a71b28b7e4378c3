"""The structured start: weights with which an untrained model already classifies in context.

Attention needs long to find the circuit that in-context classification runs on, so training begins
with it in place. Nothing is frozen; training changes all of it. The residual stream is cut into
parts (names below), and of the five layers

  0  copies the token before (PREVIOUS), and pools the last dozens of tokens (RECENT);
  1  brings to each token the pool at the nearest separator: a signature of its demonstration
     (SEGMENT), since what stands before a separator differs each time;
  2  pools the near tokens with the same signature, telling ones more: the sentence's embedding (SENTENCE);
  3  copies it from the nearest ":" to the label's tokens;
  4  looks from "intent:" to labels whose sentence embedding is near and whose token before is ours,
     and copies the token found there to the output.

Positions: with rope_theta = 1e20 the first 16 of 64 rotary pairs turn fast enough to tell
neighbouring tokens apart; the others are as good as still over any context, and carry content.
"""

import math

import numpy as np
import torch

CONSTANT, RARITY, SEPARATOR, COLON, OUTPUT, LABEL = 0, 1, 2, 3, 4, 5
TOKEN = slice(8, 176)
MEANING = slice(176, 248)
PREVIOUS = slice(248, 312)
RECENT = slice(312, 376)
SEGMENT = slice(376, 440)
SENTENCE = slice(440, 512)
TOKENS = TOKEN.stop - TOKEN.start
NORM = 2.0         # of every token's embedding
SCALE = 10.0
LOCAL_PAIRS = 16   # the pairs that turn; content uses those after them


def orthonormal(rows, columns, rng):
    """[rows, columns] with orthonormal rows (or columns, if there are fewer)."""
    matrix = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q = np.linalg.qr(matrix)[0]
    return q if q.shape == (rows, columns) else q.T


def positional_kernel(config, target, penalty, pressure):
    """Amplitudes z of the local pairs such that softmax over distances d of sum Re(z_i exp(i f_i d))
    is near target(d), up to a factor: the most likely ones under a Gaussian prior (convex)."""
    frequency = config.rope_theta ** (-np.arange(LOCAL_PAIRS) / (config.head_dim // 2))
    far = np.geomspace(3000, config.max_position_embeddings, 3000)
    distance = np.concatenate([np.arange(3000), far])
    width = np.concatenate([np.ones(3000), np.gradient(far)])
    angle = distance[:, None] * frequency
    basis = torch.from_numpy(np.concatenate([np.cos(angle), np.sin(angle)], 1))
    share = torch.from_numpy(target(distance) * width)
    share /= share.sum()
    # A prompt has many tokens far away, and what each gets adds up: they count e^pressure times.
    log_width = torch.from_numpy(np.log(width) + pressure * (distance > 120))
    solution = torch.zeros(2 * LOCAL_PAIRS, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([solution], max_iter=400, history_size=30,
                                  line_search_fn="strong_wolfe", tolerance_change=1e-12)

    def closure():
        optimizer.zero_grad()
        logs = (basis @ solution + log_width).log_softmax(0)
        loss = -(share * logs).sum() + penalty * solution.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    solution = solution.detach().numpy()
    return solution[:LOCAL_PAIRS] - 1j * solution[LOCAL_PAIRS:]


class Start:
    """Writes the start into a model, layer by layer; each is scaled by what the layers below it put
    out for a sample of prompts."""

    def __init__(self, model, words, separator_ids, colon_id, output_ids, format_ids, seed):
        """words: a trained bag.Bag, whose vectors and weights become the tokens' MEANING and RARITY;
        output_ids: "intent" and the like; format_ids: all tokens of the prompt's format."""
        c = model.config
        shape = (c.hidden_size, c.head_dim, c.num_hidden_layers, c.num_attention_heads,
                 c.num_key_value_heads)
        if shape != (512, 128, 5, 4, 2):
            raise ValueError("the structured start is laid out for hidden size 512, 5 layers and "
                             f"4 heads of 128 over 2 keys; the recipe has {shape}")
        self.model, self.config = model, c
        self.rng = np.random.default_rng(seed)
        self.half, self.root = c.head_dim // 2, math.sqrt(c.head_dim)
        self.sharpness = float(words.sharpness.detach().exp())
        self.embed(words, separator_ids, colon_id, output_ids, format_ids)

    def embed(self, words, separator_ids, colon_id, output_ids, format_ids):
        shape = (self.config.vocab_size, self.config.hidden_size)
        table = 0.002 * self.rng.standard_normal(shape)
        vectors = words.vectors.detach().numpy().astype(float)
        norms = np.linalg.norm(vectors, axis=1)
        largest = np.quantile(norms, 0.98)
        vectors *= (1.3 / np.maximum(norms, largest))[:, None]
        table[:, MEANING] = vectors
        table[format_ids, MEANING] = 0
        weights = words.weights.detach().numpy().astype(float)
        self.rarity_gain = np.quantile(np.abs(weights - weights.mean()), 0.99)
        table[:, CONSTANT] = 0.7
        table[:, RARITY] = 0.7 * np.clip((weights - weights.mean()) / self.rarity_gain, -1, 1)
        table[format_ids, RARITY] = -1.2
        table[separator_ids, SEPARATOR] = 0.7
        table[colon_id, COLON] = 0.7
        table[output_ids, OUTPUT] = 0.7
        # All rows get one norm, or positional scores, products of CONSTANT, would differ by token.
        token = self.rng.standard_normal((shape[0], TOKENS))
        rest = (table ** 2).sum(1) - (table[:, TOKEN] ** 2).sum(1)
        table[:, TOKEN] = token * (np.sqrt(NORM ** 2 - rest) / np.linalg.norm(token, axis=1))[:, None]
        self.model.embed_tokens.weight.data = torch.from_numpy(table).float()
        weight = torch.full((shape[1],), 0.4)
        weight[:TOKEN.start] = weight[MEANING] = 0
        self.model.norm.weight.data = weight

    def build(self, ids, positions, hidden, starts):
        """ids, positions [B, T] and hidden of a sample; starts (rows, columns): where labels begin."""
        from model import rope_tables  # noqa: PLC0415

        tables = rope_tables(self.config, positions)
        x = self.model.embed_tokens(ids)
        for index, make in enumerate([self.previous_and_pool, self.segment, self.sentence,
                                      self.to_labels, self.match]):
            scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True))
            self.constant = 0.7 * float(scale.mean())
            self.begin()
            make((x * scale).float().numpy(), starts)
            self.write(index)
            with torch.autocast("cpu", torch.bfloat16):
                x = self.model.layers[index](x, tables, hidden).float()
        self.enlarge()

    def enlarge(self):
        """The residual stream SCALE times as large: norms make that the same function, but a step of
        training, which moves each weight by about the learning rate, disturbs it that much less."""
        self.model.embed_tokens.weight.data *= SCALE
        self.model.norm.weight.data /= SCALE
        for layer in self.model.layers:
            layer.o_proj.weight.data *= SCALE
            layer.down_proj.weight.data *= SCALE

    # One layer's weights as they are gathered: q [4, C, D], k and v [2, C, D], o [D, 4, C].

    def begin(self):
        d, c = self.config.hidden_size, self.config.head_dim
        self.q = 0.3 / math.sqrt(d) * self.rng.standard_normal((4, c, d))
        self.k = 0.3 / math.sqrt(d) * self.rng.standard_normal((2, c, d))
        self.v = 0.3 / math.sqrt(d) * self.rng.standard_normal((2, c, d))
        self.o = 0.005 / math.sqrt(d) * self.rng.standard_normal((d, 4, c))

    def balance(self):
        """Makes queries and keys about equally large, pair by pair, which changes no score: training
        moves all weights by about as much, and a large one beside a small one is lost at once."""
        pairs = np.arange(self.half)
        for group in range(2):
            heads = slice(2 * group, 2 * group + 2)
            for i in pairs:
                rows = [i, i + self.half]
                query = np.sqrt((self.q[heads][:, rows] ** 2).sum((1, 2)).max())
                key = np.sqrt((self.k[group][rows] ** 2).sum())
                scale = math.sqrt(query / key)
                self.k[group][rows] *= scale
                self.q[heads, i] /= scale
                self.q[heads, i + self.half] /= scale

    def write(self, index):
        self.balance()
        layer, d = self.model.layers[index], self.config.hidden_size
        for part, value in [(layer.q_proj, self.q.reshape(-1, d)), (layer.k_proj, self.k.reshape(-1, d)),
                            (layer.v_proj, self.v.reshape(-1, d)), (layer.o_proj, self.o.reshape(d, -1))]:
            part.weight.data = torch.from_numpy(np.ascontiguousarray(value)).float()
        for part, spread in [(layer.gate_proj, 0.7), (layer.up_proj, 0.7), (layer.down_proj, 0.001)]:
            size = part.weight.shape
            noise = self.rng.standard_normal(size) * spread / math.sqrt(size[1])
            part.weight.data = torch.from_numpy(noise).float()

    def local(self, head, target, penalty=1e-5, pressure=8):
        """Attention that falls off as target(distance); a group's keys are 1 in each turning pair."""
        group = head // 2
        amplitudes = positional_kernel(self.config, target, penalty, pressure)
        for i, z in enumerate(amplitudes):
            for row in (i, i + self.half):
                self.k[group, row, :] = 0
                self.q[head, row, :] = 0
            self.k[group, i, CONSTANT] = 1 / self.constant
            self.q[head, i, CONSTANT] = self.root * z.real / self.constant
            self.q[head, i + self.half, CONSTANT] = self.root * z.imag / self.constant

    def content(self, head, pair, coordinate, gain, asks=CONSTANT):
        """Adds gain x (the key's coordinate, 0.7 where a flag is set) / 0.7 to the scores of a head,
        for queries of which the flag `asks` is set."""
        group = head // 2
        self.k[group, pair, :] = 0
        self.k[group, pair, coordinate] = 1 / self.constant
        self.q[head, pair, :] = 0
        self.q[head, pair, asks] = self.root * gain / self.constant

    def still(self, first, count):
        """`count` dimensions of still pairs, from the pair `first` of them on."""
        pairs = LOCAL_PAIRS + np.arange(first, first + count // 2)
        return np.concatenate([pairs, pairs + self.half])

    def alike(self, head, first, query, key, gain, centres=None):
        """Adds gain x cosine of query @ x and key @ x, matrices [N, D] whose products have about
        norm 1; centres, two [D], are taken off x on either side."""
        rows = self.still(first, len(key))
        # Heads share keys, so all of the gain is the query's.
        for side, (target, matrix, size) in enumerate([(self.q[head], query, gain * self.root),
                                                       (self.k[head // 2], key, 1.0)]):
            target[rows] = size * matrix
            if centres is not None:
                target[rows, CONSTANT] -= size * matrix @ centres[side] / self.constant

    # The five layers.

    def previous_and_pool(self, x, starts):
        unit = 0.7 / self.constant
        token = np.zeros((128, self.config.hidden_size))
        token[:64, TOKEN] = orthonormal(64, TOKENS, self.rng)
        self.previous_map = token[:64, TOKEN].copy()
        self.local(0, lambda d: (d == 1) * 1.0)
        self.o[PREVIOUS, 0, :64] = 0.25 * unit * np.eye(64)
        # Two tokens after "intent" a label begins.
        self.local(1, lambda d: (d == 2) * 1.0)
        token[64, OUTPUT] = 1
        self.v[0] = token
        self.o[LABEL, 1, 64] = unit
        self.local(2, lambda d: np.exp(-0.12 * np.maximum(d - 10, 0)))
        self.content(2, self.half - 1, RARITY, self.rarity_gain)
        self.v[1] = 0
        self.v[1][:, TOKEN] = orthonormal(128, TOKENS, self.rng)
        self.o[RECENT, 2] = 0.15 * unit * orthonormal(64, 128, self.rng)

    def segment(self, x, starts):
        separators = x[(x[..., SEPARATOR] > 0.3 * self.constant)]
        centre = separators.mean(0)[RECENT]
        spread = np.sqrt(((separators[:, RECENT] - centre) ** 2).sum(-1).mean())
        self.local(0, lambda d: np.exp(-0.2 * d))
        self.content(0, self.half - 1, SEPARATOR, 16)
        self.v[0][:64] = 0
        self.v[0][:64, RECENT] = np.eye(64)
        self.v[0][:64, CONSTANT] = -centre / self.constant
        self.o[SEGMENT, 0, :64] = 0.25 / spread * np.eye(64)

    def sentence(self, x, starts):
        pick = np.zeros((64, self.config.hidden_size))
        pick[:, SEGMENT] = np.eye(64) / np.sqrt((x[..., SEGMENT] ** 2).sum(-1).mean())
        for head in (0, 2):   # the second has nothing to say yet
            self.alike(head, 0, pick, pick, 14)
            self.local(head, lambda d: np.exp(-0.12 * np.maximum(d - 40, 0)), 5e-5, 0)
            self.content(head, self.half - 1, RARITY, self.rarity_gain)
        size = MEANING.stop - MEANING.start
        self.v[0][:size] = 0
        self.v[0][:size, MEANING] = np.eye(size)
        self.o[SENTENCE, 0, :size] = 0.7 / self.constant * np.eye(size)

    def to_labels(self, x, starts):
        size = SENTENCE.stop - SENTENCE.start
        self.local(0, lambda d: np.exp(-0.3 * d))
        self.content(0, self.half - 1, COLON, 16)
        self.v[0][:size] = 0
        self.v[0][:size, SENTENCE] = np.eye(size)
        self.o[SENTENCE, 0, :size] = 0.7 / self.constant * np.eye(size)

    def match(self, x, starts):
        unit = 0.7 / self.constant
        centres, spread = [], 1.0
        for places in (starts[1] - 1, starts[1]):   # at "intent:", and at the label after it
            sentences = x[starts[0], places][:, SENTENCE]
            centres.append(np.zeros(self.config.hidden_size))
            centres[-1][SENTENCE] = sentences.mean(0)
            spread *= np.linalg.norm(sentences - sentences.mean(0), axis=1).mean()
        size = SENTENCE.stop - SENTENCE.start
        near = np.zeros((size, self.config.hidden_size))
        near[:, SENTENCE] = np.eye(size) / math.sqrt(spread)
        few = orthonormal(20, 64, self.rng) * math.sqrt(TOKENS / 20)
        few /= np.sqrt((x[..., TOKEN] ** 2).sum(-1).mean())
        before, now = (np.zeros((20, self.config.hidden_size)) for _ in range(2))
        before[:, PREVIOUS] = few / 0.25
        now[:, TOKEN] = few @ self.previous_map
        basis = orthonormal(TOKENS, TOKENS, self.rng)
        half = TOKENS // 2   # each group's values hold one half
        for head, gain in [(0, 1.0), (1, 0.7), (2, 1.0), (3, 1.3)]:
            group = head // 2
            rows = slice(half * group, half * (group + 1))
            self.alike(head, 0, near, near, gain * self.sharpness, centres)
            self.alike(head, size // 2, now, before, 10)
            self.content(head, self.half - 1, LABEL, 16, COLON)
            self.v[group][:half] = 0
            self.v[group][:half, TOKEN] = basis[rows]
            self.o[TOKEN, head, :half] = 1.5 * unit * basis[rows].T
