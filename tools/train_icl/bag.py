"""Word vectors for the start: a bag of tokens, learned by matching sentences of one class.

A sentence's embedding is the weighted mean of its tokens' vectors, cut into views; each view compares
sentences by itself, and what each finds is averaged. The structured start puts vectors and weights to
the same use with five layers' work: this is a thousand times cheaper.
"""

import math

import torch


class Bag(torch.nn.Module):
    def __init__(self, vocab_size, size, views, weights, seed):
        """size: of all views together; weights [V]: the tokens' first weights in the mean, as logits."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        vectors = torch.randn(vocab_size, size, generator=generator) * math.sqrt(views / size)
        self.views = views
        self.vectors = torch.nn.Parameter(vectors)
        self.weights = torch.nn.Parameter(torch.as_tensor(weights, dtype=torch.float32).clone())
        self.sharpness = torch.nn.Parameter(torch.full((views,), math.log(12.0)))

    def embed(self, ids, mask):
        """[N, views, size / views] of tokens [N, T]."""
        used, inverse = ids.unique(return_inverse=True)   # few rows of the table are touched
        weights = self.weights[used][inverse].masked_fill(~mask, -1e9).softmax(-1)
        counts = torch.zeros(len(ids), len(used)).scatter_add(1, inverse, weights)
        return (counts @ self.vectors[used]).view(len(ids), self.views, -1)

    def loss(self, ids, mask, classes, allowed):
        """-log of the attention that a sentence gives to others of its class; allowed [N, N] says which
        it sees. -> (loss, accuracy)"""
        sentences = self.embed(ids, mask)
        sentences = sentences - sentences.mean(0)
        length = sentences.norm(dim=(1, 2), keepdim=True).clamp(min=1e-4)
        sentences = sentences * (math.sqrt(self.views) / length)
        scores = torch.einsum("avs,bvs->vab", sentences, sentences) * self.sharpness.exp()[:, None, None]
        attention = scores.masked_fill(~allowed, -1e9).softmax(-1).mean(0)
        same = (classes[:, None] == classes[None]) & allowed
        counted = same.any(1)
        right = (attention * same).sum(1)[counted]
        with torch.no_grad():
            mass = torch.zeros(len(ids), int(classes.max()) + 1).index_add_(1, classes, attention)
            correct = (mass.argmax(-1) == classes)[counted].float().mean()
        return -right.clamp(min=1e-6).log().mean(), float(correct)


def batch_of(source, task, count, rng):
    """Tokens of a task's sentences only: ids, mask [N, T], classes [N]."""
    chosen = source.draw(task, count, rng)
    pieces = source.demonstrations(chosen, [""] * len(task), source.template(rng), rng.random() < 0.12,
                                   rng, texts_only=True)
    width = max(map(len, pieces))
    ids = torch.zeros(len(pieces), width, dtype=torch.long)
    mask = torch.zeros(len(pieces), width, dtype=torch.bool)
    for i, piece in enumerate(pieces):
        ids[i, :len(piece)] = torch.from_numpy(piece)
        mask[i, :len(piece)] = True
    return ids, mask, torch.tensor([number for _, number in chosen])


def all_others(ids):
    return ~torch.eye(len(ids), dtype=torch.bool)


def nearest(ids, mask, rarity, count):
    """[N, N]: the `count` others that share most with each, rare tokens counting more; what a retriever
    would show it."""
    used, inverse = ids.unique(return_inverse=True)
    holds = torch.zeros(len(ids), len(used)).index_put_(
        (torch.arange(len(ids))[:, None].expand_as(ids)[mask], inverse[mask]), torch.tensor(1.0))
    holds *= rarity[used]
    shared = holds @ holds.T / (1 + 0.5 * mask.sum(1))
    shared.fill_diagonal_(-1)
    found = shared.topk(min(count, len(ids) - 1), 1).indices
    return torch.zeros(len(ids), len(ids), dtype=torch.bool).scatter_(1, found, True)
