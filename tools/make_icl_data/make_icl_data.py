#!/usr/bin/env python3
"""Writes the data sets that dbsa-pipe brings along, from the grammars in this folder.

    make_icl_data.py quickstart           writes pipelines/quickstart: demonstrations and queries
    make_icl_data.py quickstart --check   writes nothing; exits 1 if the files differ
    make_icl_data.py train --out DIR      writes DIR/train.jsonl, what the model learns from

The quick start's domains (quickstart/*.toml) are no part of the training text (domains/*.toml). All
is drawn with a seed and the same on every machine.
"""

import argparse
import json
import pathlib
import random
import re
import sys

from grammar import HERE, MAX_WORDS, MIN_WORDS, Grammar, load_domains, pick, read_toml

ROOT = HERE.parents[1]
SEED = 1
DEMONSTRATIONS_PER_LABEL = 64
QUERIES = 250
GENERATION_DEMONSTRATIONS, GENERATION_QUERIES = 400, 100
TRIES = 200  # draws for each sentence wanted, before giving up


def key(text):
    """What two sentences share if only capitals, end marks or spaces tell them apart."""
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


def shuffle(items, rng):
    for last in range(len(items) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        items[last], items[other] = items[other], items[last]


def draw_different(count, draw, seen, what):
    """`count` results of draw(), a text first, none of whose texts has a key in `seen`."""
    drawn = []
    for _ in range(count * TRIES):
        if len(drawn) == count:
            return drawn
        result = draw()
        if key(result[0]) not in seen:
            seen.add(key(result[0]))
            drawn.append(result)
    raise ValueError(f"{what}: found {len(drawn)} different sentences, wanted {count}; "
                     "ask for fewer or write more phrases")


def draw_label(grammar, label, count, seed, seen):
    rng = random.Random(f"{seed}/{grammar.domain}/{label}")
    rows = draw_different(count, lambda: (grammar.sentence(label, rng),), seen,
                          f"{grammar.path}: intent {label!r}")
    return [text for (text,) in rows]


def make_classification(grammars):
    """Demonstrations and queries of all labels, each a list of {"text", "label"}, shuffled."""
    labels = sum(len(grammar.labels) for grammar in grammars)
    demonstrations, queries, seen, done = [], [], set(), 0
    for grammar in grammars:
        for label in grammar.labels:
            asked = QUERIES * (done + 1) // labels - QUERIES * done // labels
            texts = draw_label(grammar, label, DEMONSTRATIONS_PER_LABEL + asked, SEED, seen)
            rows = [{"text": text, "label": label} for text in texts]
            demonstrations += rows[:DEMONSTRATIONS_PER_LABEL]
            queries += rows[DEMONSTRATIONS_PER_LABEL:]
            done += 1
    rng = random.Random(SEED)
    shuffle(demonstrations, rng)
    shuffle(queries, rng)
    return demonstrations, queries


def draw_entry(grammar, fields, rng):
    """A message and what it comes to: its values of `fields`, in their order."""
    while True:
        message = pick(rng, grammar.intents["entry"])
        said = [field for field in fields if "{" + field + "}" in message]
        values = [pick(rng, grammar.slots[field]) for field in said]
        for field, value in zip(said, values):
            message = message.replace("{" + field + "}", value)
        text = grammar.expand(message, rng).lower()
        if MIN_WORDS <= len(text.split()) <= MAX_WORDS:
            return text, " ".join(values)


def make_generation(path):
    """As make_classification(); no query's output is the output of a demonstration."""
    grammar, fields = Grammar(path), read_toml(path)["fields"]
    rng, seen = random.Random(f"{SEED}/{grammar.domain}"), set()

    def draw_new():
        while True:
            text, output = draw_entry(grammar, fields, rng)
            if output not in outputs:
                return text, output

    outputs = set()
    demonstrations = draw_different(GENERATION_DEMONSTRATIONS,
                                    lambda: draw_entry(grammar, fields, rng), seen, path)
    outputs = {output for _, output in demonstrations}
    queries = draw_different(GENERATION_QUERIES, draw_new, seen, path)
    return [[{"text": text, "label": output} for text, output in rows]
            for rows in (demonstrations, queries)]


def make_quickstart(folder=HERE / "quickstart"):
    """The files of pipelines/quickstart: name -> rows."""
    grammars = [Grammar(folder / name) for name in ("library_desk.toml", "bicycle_hire.toml")]
    demonstrations, queries = make_classification(grammars)
    generation_demonstrations, generation_queries = make_generation(folder / "appointments.toml")
    return {"demonstrations.jsonl": demonstrations, "queries.jsonl": queries,
            "generation_demonstrations.jsonl": generation_demonstrations,
            "generation_queries.jsonl": generation_queries}


def make_train(grammars, per_intent, seed):
    """Rows {"text", "label", "domain"} of all domains, domain by domain."""
    seen = set()
    return [{"text": text, "label": label, "domain": grammar.domain}
            for grammar in grammars for label in grammar.labels
            for text in draw_label(grammar, label, per_intent, seed, seen)]


def as_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"{path}: {text.count(chr(10))} rows")


def run_quickstart(arguments):
    differ = False
    for name, rows in make_quickstart().items():
        path, text = arguments.out / name, as_lines(rows)
        if not arguments.check:
            write(path, text)
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path}: is not what make_icl_data.py makes; run `make_icl_data.py quickstart`",
                  file=sys.stderr)
            differ = True
    return 1 if differ else 0


def run_train(arguments):
    grammars = load_domains(HERE / "domains")
    if not grammars:
        raise ValueError(f"{HERE / 'domains'}: found no .toml file")
    rows = make_train(grammars, arguments.per_intent, arguments.seed)
    write(arguments.out / "train.jsonl", as_lines(rows))
    print(f"{len(grammars)} domains, {len({(row['domain'], row['label']) for row in rows})} intents")
    return 0


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="quickstart | train")
    quickstart = commands.add_parser(
        "quickstart", help="the pool and queries of pipelines/quickstart.toml and generation.toml",
        description=f"Writes {DEMONSTRATIONS_PER_LABEL} demonstrations of each of the 24 labels in "
                    f"quickstart/*.toml and {QUERIES} queries, and {GENERATION_DEMONSTRATIONS} and "
                    f"{GENERATION_QUERIES} of the generation task.")
    quickstart.add_argument("--out", type=pathlib.Path, default=ROOT / "pipelines" / "quickstart",
                            metavar="DIR", help="folder to write to (default: pipelines/quickstart)")
    quickstart.add_argument("--check", action="store_true",
                            help="write nothing; exit 1 if the files are not what would be written")
    train = commands.add_parser(
        "train", help="the training text", description="Writes DIR/train.jsonl, with one "
        '{"text", "label", "domain"} on each line, of all domains/*.toml.')
    train.add_argument("--out", type=pathlib.Path, required=True, metavar="DIR", help="folder to write to")
    train.add_argument("--per-intent", type=int, default=300, metavar="N",
                       help="different sentences of each intent (default %(default)s)")
    train.add_argument("--seed", type=int, default=SEED, help="of all draws (default %(default)s)")
    return parser.parse_args(words)


def main(words=None):
    arguments = parse(words)
    try:
        return {"quickstart": run_quickstart, "train": run_train}[arguments.command](arguments)
    except (ValueError, OSError) as error:
        print(f"make_icl_data: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 4


if __name__ == "__main__":
    sys.exit(main())
