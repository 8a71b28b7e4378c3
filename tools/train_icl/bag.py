"""Word vectors for the start: a bag of tokens, learned by matching sentences of one class.

The same objective as the sentence phase (objectives.sentence_loss), with a sentence's embedding a
weighted mean of its tokens' vectors instead of four layers' work: a thousand times cheaper, and the
structured start puts the vectors to the same use.
"""

import math

import torch


class Bag(torch.nn.Module):
    def __init__(self, vocab_size, size, rarity, seed):
        """rarity [V]: the tokens' first weights in the mean, as logits."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        vectors = torch.randn(vocab_size, size, generator=generator) / math.sqrt(size)
        self.vectors = torch.nn.Parameter(vectors)
        self.weights = torch.nn.Parameter(torch.as_tensor(rarity, dtype=torch.float32).clone())
        self.sharpness = torch.nn.Parameter(torch.tensor(math.log(10.0)))

    def embed(self, ids, mask):
        """[N, size] of tokens [N, T]."""
        weights = self.weights[ids].masked_fill(~mask, -1e9).softmax(-1)
        return (weights[..., None] * self.vectors[ids]).sum(1)

    def loss(self, ids, mask, classes):
        """As objectives.sentence_loss: (loss, accuracy)."""
        sentences = self.embed(ids, mask)
        sentences = sentences - sentences.mean(0)
        # The unit is the mean norm: no sentence is normalised by itself, as in the transformer.
        sentences = sentences / sentences.norm(dim=1).mean()
        scores = self.sharpness.exp() * sentences @ sentences.T
        itself = torch.eye(len(ids), dtype=torch.bool)
        logs = scores.masked_fill(itself, -1e9).log_softmax(-1)
        same = (classes[:, None] == classes[None]) & ~itself
        counted = same.any(1)
        right = logs.masked_fill(~same, -1e9).logsumexp(-1)[counted]
        with torch.no_grad():
            mass = torch.zeros(len(ids), int(classes.max()) + 1)
            mass.index_add_(1, classes, logs.exp())
            correct = (mass.argmax(-1) == classes)[counted].float().mean()
        return -right.clamp(min=-20).mean(), float(correct)


def batch_of(source, task, count, rng):
    """Tokens of a task's sentences alone: ids, mask [N, T], classes [N]."""
    chosen = source.draw(task, count, rng)
    pieces = source.demonstrations(chosen, [""] * len(task), source.template(rng), rng.random() < 0.15,
                                   rng, texts_only=True)
    width = max(map(len, pieces))
    ids = torch.zeros(len(pieces), width, dtype=torch.long)
    mask = torch.zeros(len(pieces), width, dtype=torch.bool)
    for i, piece in enumerate(pieces):
        ids[i, :len(piece)] = torch.from_numpy(piece)
        mask[i, :len(piece)] = True
    return ids, mask, torch.tensor([number for _, number in chosen])
