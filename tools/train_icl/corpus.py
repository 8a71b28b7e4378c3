"""Training text: classes of sentences, from our own grammars, open data sets and WordNet."""

import collections
import json
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "make_icl_data"))
import grammar  # noqa: E402

# Kept out of training, to watch it: some of our domains and some scenarios of the NLU data.
VALIDATION_DOMAINS = {"veterinary", "event_tickets", "pharmacy", "car_rental", "question_forms"}
VALIDATION_SCENARIOS = {"transport", "takeaway", "lists", "cooking", "social"}


class Group:
    """Classes that belong together: a domain, or a data set. classes: {label: [text, ...]}"""

    def __init__(self, name, classes):
        self.name = name
        self.classes = classes
        self.labels = sorted(classes)


def own_domains(sentences, seed):
    """One group a grammar file, with up to `sentences` different texts of each intent."""
    groups = {}
    for path in sorted((HERE.parent / "make_icl_data" / "domains").glob("*.toml")):
        domain = grammar.Grammar(path)
        rng = random.Random(f"{seed} {path.stem}")
        groups[path.stem] = Group(path.stem, {
            label: sorted({domain.sentence(label, rng) for _ in range(sentences)})
            for label in domain.labels})
    return groups


def read_jsonl(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def open_data(folder):
    """The training parts of nlu, hwu64 (the same labels: one group a scenario) and snips."""
    folder = pathlib.Path(folder)
    classes = collections.defaultdict(dict)
    for name in ("nlu", "hwu64"):
        for row in read_jsonl(folder / name / "train.jsonl"):
            classes[row["label"]][row["text"].lower()] = row["text"]
    scenarios = collections.defaultdict(dict)
    for label, texts in classes.items():
        texts = [text for text in texts.values() if 2 <= len(text.split()) <= 40]
        if len(texts) >= 12:
            scenarios[label.split()[0]][label] = texts
    groups = {name: Group(name, members) for name, members in scenarios.items()}
    snips = collections.defaultdict(list)
    for row in read_jsonl(folder / "snips" / "train.jsonl"):
        snips[row["label"]].append(row["text"])
    groups["snips"] = Group("snips", dict(snips))
    return groups


class WordNet:
    """Definitions as texts, the kind of thing defined as their class."""

    def __init__(self, folder):
        self.gloss, self.name, self.children = {}, {}, collections.defaultdict(list)
        self.examples = []
        for part in ("noun", "verb"):
            with open(pathlib.Path(folder) / f"data.{part}", encoding="utf-8") as file:
                for line in file:
                    if not line.startswith("  "):
                        self.read(part, line)
        self.members = {}
        for key in self.children:
            found = self.below(key)
            if 12 <= len(found) <= 1500:
                self.members[key] = sorted(found)
        self.kinds = sorted(self.members)
        self.families = {key: [child for child in below if child in self.members]
                         for key, below in self.children.items()}
        self.families = {key: below for key, below in self.families.items() if len(below) >= 4}

    def read(self, part, line):
        fields, _, gloss = line.partition("|")
        fields = fields.split()
        key = (part, fields[0])
        words = int(fields[3], 16)
        self.name[key] = fields[4].replace("_", " ").lower()
        pointers = fields[4 + 2 * words + 1:]
        for at in range(0, int(fields[4 + 2 * words]) * 4, 4):
            if pointers[at] in ("~", "~i"):
                self.children[key].append((part, pointers[at + 1]))
        definition = re.sub(r"\([^)]*\)", "", gloss.split('"')[0]).strip(" ;\n")
        self.examples += [text for text in re.findall(r'"([^"]*)"', gloss) if len(text.split()) > 3]
        definition = re.sub(r"\s+", " ", definition)
        if len(definition.split()) >= 3:
            self.gloss[key] = " ".join(definition.split()[:30])

    def below(self, key):
        found, stack = set(), list(self.children[key])
        while stack and len(found) <= 1500:
            key = stack.pop()
            if key not in found:
                found.add(key)
                stack += self.children.get(key, [])
        return {key for key in found if key in self.gloss}

    def siblings(self, rng, most):
        """Classes under one kind of thing: near each other."""
        parent = rng.choice(sorted(self.families)) if rng.random() < 0.3 else rng.choice(
            [key for key in self._big_families()])
        chosen = list(self.families[parent])
        rng.shuffle(chosen)
        return self._classes(chosen[:most])

    def anywhere(self, rng, most):
        chosen = rng.sample(self.kinds, most)
        return self._classes(chosen)

    def _big_families(self):
        if not hasattr(self, "_big"):
            self._big = sorted(key for key, below in self.families.items() if len(below) >= 10)
        return self._big

    def _classes(self, keys):
        """{name: [definition]}, no definition in two classes."""
        taken, classes = set(), {}
        for key in keys:
            own = [member for member in self.members[key] if member not in taken]
            taken.update(own)
            if len(own) >= 6 and self.name[key] not in classes:
                classes[self.name[key]] = [self.gloss[member] for member in own]
        return classes

    def words(self):
        return sorted({name for name in self.name.values() if name.isalpha() and 3 <= len(name) <= 9})


class Corpus:
    def __init__(self, data, wordnet, seed, sentences=400):
        own = own_domains(sentences, seed)
        real = open_data(data)
        self.own = [group for name, group in own.items() if name not in VALIDATION_DOMAINS]
        self.real = [group for name, group in real.items() if name not in VALIDATION_SCENARIOS]
        self.validation = {
            "own": [group for name, group in own.items() if name in VALIDATION_DOMAINS],
            "nlu": [group for name, group in real.items() if name in VALIDATION_SCENARIOS]}
        self.wordnet = WordNet(wordnet)
        self.label_words = self.wordnet.words()

    def texts(self):
        """All training texts, for the tokenizer."""
        for group in self.own + self.real:
            for texts in group.classes.values():
                yield from texts
        yield from self.wordnet.gloss.values()
        yield from self.wordnet.examples

    def task(self, rng, most):
        """{label: [text, ...]} of at most `most` classes, for one episode."""
        kind = rng.random()
        if kind < 0.30:
            return self.from_groups(rng, self.own, rng.choice([1, 1, 2, 4, 8]), most)
        if kind < 0.50:
            return self.from_groups(rng, self.real, rng.choice([1, 3, 6, 12, 20]), most)
        if kind < 0.60:
            return self.from_groups(rng, self.own + self.real, rng.choice([4, 12, 30]), most)
        if kind < 0.75:
            return self.wordnet.siblings(rng, most)
        if kind < 0.88:
            return self.wordnet.anywhere(rng, most)
        return self.keywords(rng, most)

    @staticmethod
    def from_groups(rng, groups, count, most):
        chosen = {}
        for group in rng.sample(groups, min(count, len(groups))):
            chosen.update(group.classes)
        labels = sorted(chosen)
        rng.shuffle(labels)
        return {label: chosen[label] for label in labels[:most]}

    def keywords(self, rng, most):
        """Random words; what a class has in common is two to five words, of which each sentence
        holds one or two."""
        words = self.label_words
        background = rng.sample(words, rng.choice([40, 200, 1000]))
        classes = {}
        for label in rng.sample(words, min(most, rng.choice([4, 10, 30, 80]))):
            keys = rng.sample(words, rng.randint(2, 5))
            classes[label] = [self._around(rng, keys, background) for _ in range(16)]
        return classes

    @staticmethod
    def _around(rng, keys, background):
        sentence = [rng.choice(background) for _ in range(rng.randint(2, 14))]
        for key in rng.sample(keys, rng.choice([1, 1, 2])):
            sentence.insert(rng.randint(0, len(sentence)), key)
        return " ".join(sentence)
