"""Sentences from small grammars: one TOML file a domain, drawn with a seed.

A domain file:

    domain = "parcel delivery"
    context = ["{The|Your} van came by {day}.", ...]    # says nothing about what is asked for

    [slots]
    parcel = ["parcel", "package", "{small|big} box"]

    [[intents]]
    label = "track parcel"
    phrases = ["where is my {parcel} {now|at the moment}?", ...]

`{name}` is replaced by one entry of the slot, the domain's own or one of shared.toml, and `{a|b|}`
by one of the choices written; both may hold braces again. What a sentence says is drawn first, how
it is said (a greeting, a sentence of context, thanks, its spelling) after it. Every template is
checked when the file is read. Draws use only random(): its sequence is the one Python promises to
keep from version to version.
"""

import pathlib
import random
import re
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
INNERMOST = re.compile(r"\{([^{}]*)\}")
MIN_WORDS, MAX_WORDS = 5, 40


def pick(rng, choices):
    return choices[int(rng.random() * len(choices))]


class Grammar:
    """One domain: its labels, and sentences of each."""

    def __init__(self, path, shared=None):
        self.path = pathlib.Path(path)
        source = read_toml(self.path)
        if shared is None:
            shared = load_shared()
        for key in ("domain", "intents"):
            if key not in source:
                raise ValueError(f"{self.path}: there is no {key!r}; see grammar.py for the layout")
        self.domain = source["domain"]
        self.slots = {**shared["slots"], **source.get("slots", {})}
        self.openings = shared["openings"]
        self.closings = shared["closings"]
        self.context = source.get("context", [])
        self.intents = {}
        for intent in source["intents"]:
            if intent["label"] in self.intents:
                raise ValueError(f"{self.path}: label {intent['label']!r} stands twice; "
                                 "give each intent a label of its own")
            self.intents[intent["label"]] = intent["phrases"]
        self._check()

    @property
    def labels(self):
        return list(self.intents)

    def _check(self):
        """Raises ValueError unless every slot named is there and none leads back to itself."""
        named = {slot: set() for slot in self.slots}
        for slot, entries in self.slots.items():
            for entry in entries:
                named[slot] |= self._named(entry, f"slot {slot!r}")
        for label, phrases in self.intents.items():
            for phrase in phrases:
                self._named(phrase, f"intent {label!r}")
        for part in ("context", "openings", "closings"):
            for template in getattr(self, part):
                self._named(template, part)
        for slot in named:
            self._follow(named, [slot], set())

    def _named(self, template, where):
        """The slots that a template names."""
        found, rest = set(), template
        while match := INNERMOST.search(rest):
            inside = match.group(1)
            if "|" not in inside:
                if inside not in self.slots:
                    raise ValueError(f"{self.path}: {where}: there is no slot {inside!r}; add it to "
                                     "[slots], or write choices as {a|b}")
                found.add(inside)
            rest = rest[: match.start()] + "." + rest[match.end():]
        if "{" in rest or "}" in rest:
            raise ValueError(f"{self.path}: {where}: a brace has no partner: {template!r}")
        return found

    def _follow(self, named, way, done):
        """Goes from the last slot of the way to all that it leads to, each once."""
        for slot in sorted(named[way[-1]]):
            if slot in way:
                circle = " -> ".join(way[way.index(slot):] + [slot])
                raise ValueError(f"{self.path}: a slot leads back to itself: {circle}; write one of "
                                 "them without the other")
            if slot not in done:
                self._follow(named, way + [slot], done)
                done.add(slot)

    def expand(self, template, rng):
        """A template with every brace replaced."""
        while match := INNERMOST.search(template):
            inside = match.group(1)
            chosen = pick(rng, inside.split("|") if "|" in inside else self.slots[inside])
            template = template[: match.start()] + chosen + template[match.end():]
        return re.sub(r"\s+", " ", template).replace(" ?", "?").replace(" .", ".").strip()

    def core(self, label, rng):
        """Only what is asked for."""
        return self.expand(pick(rng, self.intents[label]), rng)

    def sentence(self, label, rng):
        """A text of MIN_WORDS to MAX_WORDS words."""
        while True:
            parts = [self.core(label, rng)]
            if self.context and rng.random() < 0.35:
                parts.insert(pick(rng, [0, 1]), self.expand(pick(rng, self.context), rng))
            if rng.random() < 0.25:
                parts.insert(0, self.expand(pick(rng, self.openings), rng))
            if rng.random() < 0.2:
                parts.append(self.expand(pick(rng, self.closings), rng))
            words = sum(len(part.split()) for part in parts)
            if MIN_WORDS <= words <= MAX_WORDS:
                return spelled(parts, rng)


def spelled(parts, rng):
    """Parts joined as somebody might type them: with or without capitals and end marks."""
    ended = [part if part[-1] in ".?!,:" else part + "." for part in parts]
    text = ""
    for part in ended:
        begins = not text or text[-1] in ".?!"
        text += (" " if text else "") + (part[0].upper() + part[1:] if begins else part)
    style = rng.random()
    if style < 0.25:
        text = text.lower()
    if style < 0.12 or style > 0.92:
        text = text.rstrip(".?!")
    return text


def read_toml(path):
    with open(path, "rb") as file:
        try:
            return tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: {error}") from error


def load_shared():
    return read_toml(HERE / "shared.toml")


def load_domains(folder):
    shared = load_shared()
    return [Grammar(path, shared) for path in sorted(pathlib.Path(folder).glob("*.toml"))]


def main():
    """Prints sentences of the files given: python3 grammar.py FILE... [--count N]"""
    import argparse
    import sys

    parser = argparse.ArgumentParser(description="Check grammar files and print sentences of them.")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--count", type=int, default=3, help="sentences of each label (default 3)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    for path in arguments.files:
        try:
            grammar = Grammar(path)
        except ValueError as error:
            sys.exit(str(error))
        for label in grammar.labels:
            drawn = {grammar.core(label, rng) for _ in range(2000)}
            print(f"\n{grammar.domain} / {label}: {len(grammar.intents[label])} phrases, "
                  f"{len(drawn)} different of 2,000")
            for _ in range(arguments.count):
                print("   ", grammar.sentence(label, rng))


if __name__ == "__main__":
    main()
