"""Tokens of demonstrations, exactly as the engine makes them, gathered into training batches."""

import dataclasses
import json
import pathlib
import random

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SEPARATOR = "\n==\n"
TASK = 1000   # more classes than a task has
# (input prefix, output prefix, how often drawn). The first three are the paper's.
TEMPLATES = [("query: ", "intent: ", 5), ("utterance: ", "intent: ", 2), ("Question: ", "Type: ", 3),
             ("text: ", "label: ", 1), ("sentence: ", "topic: ", 1), ("message: ", "category: ", 1),
             ("input: ", "output: ", 1)]
SPECIAL = {"bos": "<|begin_of_text|>", "eos": "<|end_of_text|>", "pad": "<|pad|>"}
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_tokenizer(texts, size, path):
    """Byte-level BPE with Llama 3's pattern; the prompt's format is in it whole."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL), show_progress=False, min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    formats = [f"{front}a\n{back}b{SEPARATOR}" for front, back, _ in TEMPLATES] * 2000
    capitals = [text[0].upper() + text[1:] for text in texts if text[0].islower()]
    tokenizer.train_from_iterator(formats + texts + capitals, trainer)
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    tokenizer.save(str(path))
    return tokenizer


@dataclasses.dataclass
class Batch:
    """ids, positions [B, T]; one entry a demonstration: its row, the column where its label begins,
    its class (-1: no class); one entry a label token to predict: row, column that predicts it, the
    token, whether its class stood in the row before, whether it is a label's first."""

    ids: torch.Tensor
    positions: torch.Tensor
    demonstrations: torch.Tensor
    classes: torch.Tensor
    predictions: torch.Tensor
    targets: torch.Tensor
    known: torch.Tensor
    first: torch.Tensor

    def to(self, device):
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True)
                       for field in dataclasses.fields(self)))


class Prompts:
    def __init__(self, tokenizer, corpus):
        self.tokenizer, self.corpus = tokenizer, corpus
        self.special = {name: tokenizer.token_to_id(text) for name, text in SPECIAL.items()}
        size = tokenizer.get_vocab_size()
        tokens = [tokenizer.id_to_token(i) for i in range(size)]
        fixed = set()
        for front, back, _ in TEMPLATES:
            for text in (f"{front}a\n{back}b{SEPARATOR}", f"{front.rstrip()}", f".\n{back.rstrip()}"):
                fixed.update(tokenizer.encode(text).ids)
        fixed -= set(tokenizer.encode("a").ids + tokenizer.encode(" b").ids + tokenizer.encode(" a").ids)
        self.format_ids = np.array(sorted(fixed))
        self.separator_ids = np.array([tokenizer.encode(f"b{SEPARATOR}").ids[-1], self.special["bos"]])
        self.colon_id = tokenizer.token_to_id(":")
        # Tokens that end a line; those that end a separator do not.
        self.line_ids = np.array([i for i in range(size) if "\u010a" in tokens[i]
                                  and i not in self.separator_ids])
        # Word tokens, those that begin a word and those that go on with one, for permutations.
        self.word_ids = []
        for begins in (True, False):
            self.word_ids.append(np.array([
                i for i, text in enumerate(tokens)
                if i not in fixed and text.startswith("\u0120") == begins
                and text.lstrip("\u0120").isalpha() and text.lstrip("\u0120").isascii()]))

    def labels(self, names, rng):
        """A label string for each class; no label begins another at a word's end."""
        count, kind = len(names), rng.random()
        words = self.corpus.label_words
        if kind < 0.25:
            return [name.replace("_", " ") for name in names]
        if kind < 0.40:
            shuffled = list(names)
            rng.shuffle(shuffled)
            return shuffled
        if kind < 0.75:
            return rng.sample(words, count)
        if kind < 0.92:
            heads = rng.sample(words, max(1, count // rng.choice([2, 3, 5])))
            labels = set()
            while len(labels) < count:
                labels.add(f"{rng.choice(heads)} {rng.choice(words)}")
            labels = sorted(labels)
            rng.shuffle(labels)
            return labels
        numbers = list(range(1, max(10, count) + 1))
        rng.shuffle(numbers)
        return [str(number) for number in numbers[:count]]

    def demonstrations(self, chosen, labels, template, permute, rng, texts_only=False):
        """chosen: [(text, class)]. -> for each (lead ids, label ids with the terminator, rest ids),
        or the texts' ids only"""
        front, back = template
        spelling = rng.choice([None, None, str.lower, lambda text: text[0].upper() + text[1:]])
        if spelling is not None:
            chosen = [(spelling(text), number) for text, number in chosen]
        leads = self.tokenizer.encode_batch([f"{front}{text}\n{back.rstrip()}" for text, _ in chosen])
        ends = [encoding.ids for encoding in self.tokenizer.encode_batch(
            [f" {label}{SEPARATOR}" for label in labels])]
        skip = len(self.tokenizer.encode(front.rstrip()).ids)
        mapping = self.permutation(rng) if permute else None
        made = []
        for encoding, (_, number) in zip(leads, chosen):
            lead = np.array(encoding.ids)
            if mapping is not None:
                lead[skip:] = mapping[lead[skip:]]
            if texts_only:
                made.append(lead[skip:])
                continue
            end = ends[number]
            made.append((lead, end[:-1], end[-1:]))
        return made

    def permutation(self, rng):
        mapping = np.arange(self.tokenizer.get_vocab_size())
        generator = np.random.default_rng(rng.getrandbits(64))
        for ids in self.word_ids:
            mapping[ids] = generator.permutation(ids)
        return mapping

    @staticmethod
    def draw(task, count, rng):
        """count (text, class) pairs; some classes are more frequent than others."""
        names = list(task)
        skew = rng.choice([0.0, 0.0, 0.5, 1.0])
        weights = [(1 + i) ** -skew for i in range(len(names))]
        numbers = rng.choices(range(len(names)), weights, k=count)
        used, chosen = {}, []
        for number in numbers:
            if number not in used:
                texts = task[names[number]]
                used[number] = iter(rng.sample(texts, min(len(texts), count)))
            text = next(used[number], None)
            if text is not None:
                chosen.append((text, number))
        return chosen

    @staticmethod
    def template(rng):
        front, back, _ = rng.choices(TEMPLATES, [weight for *_, weight in TEMPLATES])[0]
        return front, back

    def gather(self, rows, rng, longest_gap):
        """rows: lists of (lead, label, rest, class). BOS and gaps between are drawn here."""
        bos, pad = self.special["bos"], self.special["pad"]
        ids, positions, places, classes, predictions, targets = [], [], [], [], [], []
        known, first = [], []
        for r, row in enumerate(rows):
            tokens = [bos] if rng.random() < 0.8 else []
            at = list(range(len(tokens)))
            gaps = longest_gap > 0 and rng.random() < 0.5
            position = len(tokens) + (rng.randrange(longest_gap) if gaps else 0)
            share = rng.choice([0.02, 0.1, 0.5])
            seen = set()
            for lead, label, rest, number in row:
                if gaps and rng.random() < share:
                    position += int(longest_gap ** rng.random())
                start = len(tokens) + len(lead)
                places.append((r, start))
                classes.append(number)
                for offset, token in enumerate(label):
                    predictions.append((r, start + offset - 1))
                    targets.append(token)
                    known.append(number in seen)
                    first.append(offset == 0)
                seen.add(number)
                piece = [*lead, *label, *rest]
                tokens += piece
                at += range(position, position + len(piece))
                position += len(piece)
            ids.append(tokens)
            positions.append(at)
        width = max(map(len, ids))
        for tokens, at in zip(ids, positions):
            at += [at[-1]] * (width - len(at))
            tokens += [pad] * (width - len(tokens))
        return Batch(torch.tensor(np.array(ids)), torch.tensor(positions),
                     torch.tensor(places).T, torch.tensor(classes), torch.tensor(predictions).T,
                     torch.tensor(np.array(targets)), torch.tensor(known), torch.tensor(first))

    def sentences(self, tasks, count, rng, longest_gap=0):
        """Tasks in rows of a few demonstrations each, `count` of a task; classes of a later task are
        numbered from the next multiple of TASK on."""
        rows = []
        for index, task in enumerate(tasks):
            labels = self.labels(list(task), rng)
            chosen = self.draw(task, count, rng)
            pieces = self.demonstrations(chosen, labels, self.template(rng), rng.random() < 0.3, rng)
            made = [(*piece, TASK * index + number) for piece, (_, number) in zip(pieces, chosen)]
            while made:
                size = rng.choice([1, 2, 4, 6])
                rows.append(made[:size])
                made = made[size:]
        # Rows of about one length: short ones join.
        joined, limit = [], max(sum(len(p[0]) + len(p[1]) + 1 for p in row) for row in rows)
        for row in rows:
            length = sum(len(p[0]) + len(p[1]) + 1 for p in row)
            if joined and joined[-1][0] + length <= limit:
                joined[-1] = (joined[-1][0] + length, joined[-1][1] + row)
            else:
                joined.append((length, row))
        return self.gather([row for _, row in joined], rng, longest_gap)

    def episodes(self, tasks, length, rng, longest_gap=0):
        """One row of about `length` tokens for each task."""
        rows = []
        for task in tasks:
            labels = self.labels(list(task), rng)
            chosen = self.draw(task, max(4, length // 14), rng)
            pieces = self.demonstrations(chosen, labels, self.template(rng), rng.random() < 0.3, rng)
            row, total = [], 1
            for piece, (_, number) in zip(pieces, chosen):
                total += len(piece[0]) + len(piece[1]) + 1
                if total > length:
                    break
                row.append((*piece, number))
            rows.append(row)
        return self.gather(rows, rng, longest_gap)
