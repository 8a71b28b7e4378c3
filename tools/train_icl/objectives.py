"""What training minimises, and the accuracies it reports."""

import torch
from torch.nn import functional

from model import causal
from prompts import TASK


def sentence_loss(model, batch):
    """Cross-demonstration matching in the last layer only, over all rows of a batch, task by task:
    the query at "intent:" against the key at the first label token of every other demonstration.
    -> (mean over heads of -log of the attention on the right class, accuracy of the heads' mean)"""
    hidden = causal(batch.ids.shape[1], batch.ids.device)
    x, tables = model.below_top(batch.ids, batch.positions, hidden)
    layer = model.layers[-1]
    rows, columns = batch.demonstrations

    def heads(projection, at):
        picked = layer.input_layernorm(x[rows, at])[None]
        cos, sin = (table[rows, at][None] for table in tables)
        return layer.heads(picked, projection, (cos, sin))[0]

    q, k = heads(layer.q_proj, columns - 1), heads(layer.k_proj, columns)
    k = k.repeat_interleave(len(q) // len(k), 0)
    scores = (q @ k.transpose(1, 2)).float() * q.shape[-1] ** -0.5
    itself = torch.eye(len(rows), dtype=torch.bool, device=x.device)
    task = batch.classes // TASK
    scores = scores.masked_fill(itself | (task[:, None] != task[None]), -30000.0)
    same = (batch.classes[:, None] == batch.classes[None]) & ~itself
    counted = same.any(1) & (batch.classes >= 0)
    logs = scores.log_softmax(-1)
    right = logs.masked_fill(~same, -30000.0).logsumexp(-1)[:, counted]
    loss = -right.clamp(min=-20).mean()
    with torch.no_grad():
        present, number = batch.classes.unique(return_inverse=True)
        mass = torch.zeros(len(rows), len(present), device=x.device)
        mass.index_add_(1, number, logs.exp().mean(0))
        correct = (mass.argmax(-1) == number)[counted].float().mean()
    return loss, float(correct)


def episode_loss(model, batch):
    """Next-token loss at the label tokens whose class stood in the row before. -> (loss, accuracy
    at labels' first tokens, among the first tokens of the labels that stood before)"""
    hidden = causal(batch.ids.shape[1], batch.ids.device)
    x, tables = model.below_top(batch.ids, batch.positions, hidden)
    rows, columns = batch.predictions
    logits = model.top(x, tables, hidden, rows, columns).float()
    losses = functional.cross_entropy(logits, batch.targets, reduction="none")
    weight = batch.known.float() * torch.where(batch.first, 1.0, 0.5)
    loss = (losses * weight).sum() / weight.sum().clamp(min=1)
    with torch.no_grad():
        correct = total = 0
        for row in rows.unique().tolist():
            here = (rows == row) & batch.first
            options = batch.targets[here].unique()
            guess = options[logits[here][:, options].argmax(-1)]
            known = batch.known[here]
            correct += int((guess == batch.targets[here])[known].sum())
            total += int(known.sum())
    return loss, correct / max(total, 1)
