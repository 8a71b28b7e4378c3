"""The structured start: weights with which an untrained model already classifies in context.

Attention needs long to find the circuit that in-context classification runs on, so training begins
with it in place. The residual stream is cut into parts (names below), and of the five layers

  0  copies the token before (PREVIOUS), pools the last dozens of tokens (RECENT), and marks the first
     token of each label (LABEL): the one after a ":" that stands two after a line's end;
  1  brings to each token the pool at the nearest separator: a signature of its demonstration
     (SEGMENT), since what stands before a separator differs each time;
  2  pools the meanings of near tokens with the same signature, telling ones more: the sentence's
     embedding (SENTENCE), in two views;
  3  copies it from the nearest ":" to all that follows, so large that it outweighs the rest of the
     residual stream: the norm that comes next then gives all embeddings one length, and products of
     two are cosines. What all demonstrations have in common is taken off, in part;
  4  looks from "intent:" to labels whose embedding is near and whose token before is ours, and copies
     the token found there to the output. Each group of heads compares one view.

Positions: with rope_theta = 1e20 the first 16 of 64 rotary pairs turn fast enough to tell
neighbouring tokens apart; the others are as good as still over any context, and carry content.

A score that all wanted keys have in common is written as a penalty of the others: the wanted ones get
0, which is the same in any precision.
"""

import math

import numpy as np
import torch

CONSTANT, RARITY, SEPARATOR, COLON, LINE, LABEL, FORMAT = 0, 1, 2, 3, 4, 5, 6
TOKEN = slice(8, 264)
MEANING = slice(264, 408)
PREVIOUS = slice(408, 472)
RECENT = slice(472, 548)
SEGMENT = slice(548, 624)
SENTENCE = slice(624, 768)
VIEWS = 2
VIEW = (MEANING.stop - MEANING.start) // VIEWS
TOKENS = TOKEN.stop - TOKEN.start
UNIT = 0.7         # a flag that is set, in the residual stream
FAINT = 0.1        # of it: LABEL; any word after a ":" has half of it, and its norm must not change by that
NORM = 2.0         # of every token's embedding
LOCAL_PAIRS = 16   # the pairs that turn; content uses those after them
LARGE = 10.0       # norm of the embeddings that layer 3 writes
COMMON = 0.4       # the share of the demonstrations' mean that is taken off
GAINS = 0.9, 0.55  # of the two heads of a view, relative to the sharpness that was learned
FOLLOW = 12.0      # what a key loses whose token before is not ours
EVEN = 0.5         # short embeddings weigh more, by their values' scale; as keys they lose some of it
OUTPUT = 6.0       # of the copied token
SHAPE = {"hidden_size": SENTENCE.stop, "head_dim": 128, "num_hidden_layers": 5,
         "num_attention_heads": 4, "num_key_value_heads": 2}


def orthonormal(rows, columns, rng):
    """[rows, columns] with orthonormal rows (or columns, if there are fewer)."""
    matrix = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q = np.linalg.qr(matrix)[0]
    return q if q.shape == (rows, columns) else q.T


def positional_kernel(config, target, penalty, pressure):
    """(z, largest score): amplitudes z of the local pairs such that softmax over distances d of
    sum Re(z_i exp(i f_i d)) is near target(d), up to a factor: the most likely ones under a Gaussian
    prior (convex)."""
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
    largest = float((basis @ solution.detach()).max())
    solution = solution.detach().numpy()
    return solution[:LOCAL_PAIRS] - 1j * solution[LOCAL_PAIRS:], largest


class Start:
    """Writes the start into a model, layer by layer; each is scaled by what the layers below it put
    out for a sample of prompts."""

    def __init__(self, model, words, separator_ids, colon_id, line_ids, format_ids, seed):
        """words: a trained bag.Bag, whose vectors and weights become the tokens' MEANING and RARITY;
        line_ids: tokens that end a line, separators aside; format_ids: all of the prompt's format."""
        c = self.config = model.config
        found = {name: getattr(c, name) for name in SHAPE}
        if found != SHAPE:
            raise ValueError(f"the structured start is laid out for {SHAPE}; the recipe has {found}")
        self.model = model
        self.rng = np.random.default_rng(seed)
        self.half, self.root = c.head_dim // 2, math.sqrt(c.head_dim)
        self.sharpness = words.sharpness.detach().exp().numpy()
        self.embed(words, separator_ids, colon_id, line_ids, format_ids)

    def embed(self, words, separator_ids, colon_id, line_ids, format_ids):
        table = np.zeros((self.config.vocab_size, self.config.hidden_size))
        vectors = words.vectors.detach().numpy().astype(float)
        norms = np.linalg.norm(vectors, axis=1)
        largest = np.quantile(norms, 0.98)
        vectors *= (1.3 / np.maximum(norms, largest))[:, None]
        table[:, MEANING] = vectors
        table[format_ids, MEANING] = 0
        weights = words.weights.detach().numpy().astype(float)
        self.rarity_gain = np.abs(weights - weights.mean()).max()
        table[:, CONSTANT] = UNIT
        table[:, RARITY] = UNIT * (weights - weights.mean()) / self.rarity_gain
        table[format_ids, RARITY] = 0
        for flag, ids in [(SEPARATOR, separator_ids), (COLON, colon_id), (LINE, line_ids), (FORMAT, format_ids)]:
            table[ids, flag] = UNIT
        # All rows get one norm, or positional scores, products of CONSTANT, would differ by token.
        token = self.rng.standard_normal((len(table), TOKENS))
        rest = NORM ** 2 - (table ** 2).sum(1)
        table[:, TOKEN] = token * (np.sqrt(rest) / np.linalg.norm(token, axis=1))[:, None]
        self.model.embed_tokens.weight.data = torch.from_numpy(table).float()
        weight = torch.zeros(table.shape[1])
        weight[TOKEN] = 1.0
        self.model.norm.weight.data = weight

    def build(self, ids, positions, hidden, starts):
        """ids, positions [B, T] and hidden of a sample; starts (rows, columns): where labels begin."""
        from model import rope_tables  # noqa: PLC0415

        tables = rope_tables(self.config, positions)
        x = self.model.embed_tokens(ids)
        for index, make in enumerate([self.previous_and_pool, self.segment, self.sentence,
                                      self.to_labels, self.match]):
            scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True))
            normed = (x * scale).float().numpy()
            self.constant = float(np.median(normed[..., CONSTANT]))
            self.begin()
            make(normed, starts)
            self.write(index)
            x = self.model.layers[index](x, tables, hidden).float()

    # One layer's weights as they are gathered: q [4, C, D], k and v [2, C, D], o [D, 4, C].

    def begin(self):
        d, c = self.config.hidden_size, self.config.head_dim
        self.q, self.k = np.zeros((4, c, d)), np.zeros((2, c, d))
        self.v, self.o = np.zeros((2, c, d)), np.zeros((d, 4, c))

    def write(self, index):
        layer, d = self.model.layers[index], self.config.hidden_size
        self.balance()
        for part, value in [(layer.q_proj, self.q.reshape(-1, d)), (layer.k_proj, self.k.reshape(-1, d)),
                            (layer.v_proj, self.v.reshape(-1, d)), (layer.o_proj, self.o.reshape(d, -1))]:
            part.weight.data = torch.from_numpy(np.ascontiguousarray(value)).float()
        for part, spread in [(layer.gate_proj, 0.7), (layer.up_proj, 0.7), (layer.down_proj, 0.0)]:
            size = part.weight.shape
            noise = self.rng.standard_normal(size) * spread / math.sqrt(size[1])
            part.weight.data = torch.from_numpy(noise).float()

    def balance(self):
        """Makes queries and keys about equally large, pair by pair, which changes no score. A key that is
        one coordinate, or the difference of two, becomes a power of two times it: exact in bfloat16."""
        for group in range(2):
            heads = slice(2 * group, 2 * group + 2)
            for i in range(self.half):
                rows = [i, i + self.half]
                query = np.sqrt((self.q[heads][:, rows] ** 2).sum((1, 2)).max())
                key = np.sqrt((self.k[group][rows] ** 2).sum())
                if query > 0 and key > 0:
                    scale = math.sqrt(query / key)
                    sizes = np.unique(np.abs(self.k[group][rows][self.k[group][rows] != 0]))
                    if len(sizes) == 1:
                        scale = 2.0 ** round(math.log2(scale * sizes[0])) / sizes[0]
                    self.k[group][rows] *= scale
                    self.q[heads, i] /= scale
                    self.q[heads, i + self.half] /= scale

    def local(self, head, target, penalty=1e-5, pressure=8):
        """Attention that falls off as target(distance); a group's keys are 1 in each turning pair. The
        largest score is taken off again by a still pair: what a norm's rounding does to one it does to
        the other."""
        group = head // 2
        amplitudes, largest = positional_kernel(self.config, target, penalty, pressure)
        self.content(head, self.half - 3, CONSTANT, -largest)
        for i, z in enumerate(amplitudes):
            self.k[group, i, CONSTANT] = 1 / self.constant
            self.q[head, i, CONSTANT] = self.root * z.real / self.constant
            self.q[head, i + self.half, CONSTANT] = self.root * z.imag / self.constant

    def content(self, head, pair, coordinate, gain, asks=CONSTANT):
        """Adds gain x (the key's coordinate) / UNIT to the scores of a head, for queries of which the
        flag `asks` is set."""
        self.k[head // 2, pair, coordinate] = 1 / self.constant
        self.q[head, pair, asks] = self.root * gain / self.constant

    def demand(self, head, pair, coordinate, gain, asks=CONSTANT):
        """Takes gain off the scores of keys of which a flag is not set."""
        self.content(head, pair, coordinate, gain, asks)
        if coordinate == LABEL:
            self.k[head // 2, pair, LABEL] /= FAINT
        self.k[head // 2, pair, CONSTANT] = -1 / self.constant

    def still(self, first, count):
        """`count` dimensions of still pairs, from the pair `first` of them on."""
        pairs = LOCAL_PAIRS + np.arange(first, first + count // 2)
        return np.concatenate([pairs, pairs + self.half])

    def alike(self, head, first, query, key, gain):
        """Adds gain x the product of query @ x and key @ x, matrices [N, D]."""
        rows = self.still(first, len(key))
        # Heads share keys, so all of the gain is the query's.
        self.q[head, rows] = gain * self.root * query
        self.k[head // 2, rows] = key

    # The five layers.

    def previous_and_pool(self, x, starts):
        unit = UNIT / self.constant
        self.local(0, lambda d: (d == 1) * 1.0)
        self.v[0][:64, TOKEN] = orthonormal(64, TOKENS, self.rng)
        self.previous_map = self.v[0][:64, TOKEN].copy()
        self.o[PREVIOUS, 0, :64] = 0.15 * unit * np.eye(64)
        # The first token of a label: ":" one before and a line's end three before.
        self.local(1, lambda d: (d == 3) * 1.0)
        self.v[0][64, COLON] = self.v[0][65, LINE] = 1
        self.o[LABEL, 0, 64] = self.o[LABEL, 1, 65] = 0.5 * FAINT * unit
        self.local(2, lambda d: np.exp(-0.12 * np.maximum(d - 10, 0)))
        self.content(2, self.half - 1, FORMAT, -1.5)
        self.v[1][:, TOKEN] = orthonormal(128, TOKENS, self.rng)
        size = RECENT.stop - RECENT.start
        self.o[RECENT, 2] = 0.08 * unit * orthonormal(size, 128, self.rng)

    def segment(self, x, starts):
        separators = x[(x[..., SEPARATOR] > 0.3 * self.constant)]
        centre = separators.mean(0)[RECENT]
        spread = np.sqrt(((separators[:, RECENT] - centre) ** 2).sum(-1).mean())
        self.local(0, lambda d: np.exp(-0.25 * d))
        self.demand(0, self.half - 1, SEPARATOR, 24)
        size = SEGMENT.stop - SEGMENT.start
        self.v[0][:size, RECENT] = np.eye(size)
        self.v[0][:size, CONSTANT] = -centre / self.constant
        self.o[SEGMENT, 0, :size] = 0.1 / spread * np.eye(size)

    def sentence(self, x, starts):
        size = SEGMENT.stop - SEGMENT.start
        pick = np.zeros((size, self.config.hidden_size))
        pick[:, SEGMENT] = np.eye(size) / math.sqrt(np.median((x[..., SEGMENT] ** 2).sum(-1)))
        words = x[(x[..., FORMAT] < 0.3 * self.constant)]
        centre = words.mean(0)[MEANING]
        for view in range(VIEWS):
            head = 2 * view
            self.alike(head, 0, pick, pick, 24)
            self.local(head, lambda d: np.exp(-0.12 * np.maximum(d - 50, 0)), 5e-5, 0)
            self.content(head, self.half - 1, RARITY, self.rarity_gain)
            self.content(head, self.half - 2, FORMAT, -9)
            rows = slice(VIEW * view, VIEW * (view + 1))
            self.v[view][:VIEW, MEANING][:, rows] = np.eye(VIEW)
            self.v[view][:VIEW, CONSTANT] = -centre[rows] / self.constant
            self.o[SENTENCE, head, :VIEW][rows] = UNIT / self.constant * np.eye(VIEW)

    def to_labels(self, x, starts):
        rows, columns = starts
        size = np.sqrt((x[rows, columns - 1][:, SENTENCE] ** 2).sum(-1).mean())
        for view in range(VIEWS):
            part = slice(VIEW * view, VIEW * (view + 1))
            self.v[view][:VIEW, SENTENCE][:, part] = np.eye(VIEW)
            self.local(2 * view, lambda d: np.exp(-0.6 * d))
            self.demand(2 * view, self.half - 1, COLON, 16)
            self.o[SENTENCE, 2 * view, :VIEW][part] = LARGE / size * np.eye(VIEW)
            self.demand(2 * view + 1, self.half - 2, LABEL, 16)
            self.o[SENTENCE, 2 * view + 1, :VIEW][part] = -COMMON * LARGE / size * np.eye(VIEW)

    def match(self, x, starts):
        rows, columns = starts
        # The embeddings' length decides a token's norm here, so constants are read where they are used.
        self.constant = float(np.median(x[rows, columns][:, CONSTANT]))
        unit = UNIT / self.constant
        d = self.config.hidden_size
        sentences = x[rows, columns][:, SENTENCE]
        near = math.sqrt(VIEWS / (sentences ** 2).sum(-1).mean())
        few = orthonormal(20, 64, self.rng)
        before, now = np.zeros((20, d)), np.zeros((20, d))
        before[:, PREVIOUS] = few
        now[:, TOKEN] = few @ self.previous_map
        # ":" before a label and the query's own: their product becomes 1.
        asked, found = x[rows, columns - 1] @ now.T, x[rows, columns] @ before.T
        same = float(np.median((asked * found).sum(1) * self.constant ** 2 /
                               (x[rows, columns - 1][:, CONSTANT] * x[rows, columns][:, CONSTANT])))
        basis = orthonormal(TOKENS, TOKENS, self.rng)
        half = TOKENS // 2   # each group's values hold one half
        for head in range(4):
            view = head // 2
            pick = np.zeros((VIEW, d))
            pick[:, SENTENCE][:, VIEW * view:VIEW * (view + 1)] = near * np.eye(VIEW)
            self.alike(head, 0, pick, pick, GAINS[head % 2] * self.sharpness[view])
            self.alike(head, VIEW // 2, now, before / same, FOLLOW)
            self.content(head, self.half - 2, CONSTANT, -FOLLOW - EVEN)
            self.demand(head, self.half - 1, LABEL, 10, COLON)
            part = slice(half * view, half * (view + 1))
            self.v[view][:half, TOKEN] = basis[part]
            self.o[TOKEN, head, :half] = OUTPUT * unit * basis[part].T
