#!/usr/bin/env python3
"""Writes the quick start's data set: what people ask at a library's desk, with twelve intents.

Every sentence is drawn from a small grammar below, so the data is our own and the same on every
machine. The demonstrations and the queries share no sentence.

    tools/make_quickstart_data/make_quickstart_data.py            # writes pipelines/quickstart
    tools/make_quickstart_data/make_quickstart_data.py --check    # exits 1 if the files differ
"""

import argparse
import json
import pathlib
import random
import re
import sys

DEMONSTRATIONS_PER_INTENT = 20
QUERIES_PER_INTENT = 4
SEED = 1

# A word in braces is replaced by one of its fillers; {a|b} is a choice made on the spot.
FILLERS = {
    "title": ["The Salt Harbour", "A Ladder of Rivers", "Night Ferry to Orsa", "The Glass Orchard",
              "Seven Winters", "The Mapmaker's Debt", "Bread and Copper", "Small Engines",
              "The Quiet Parallel", "Letters from the Causeway", "An Owl in the Ledger",
              "The Tin Lighthouse"],
    "item": ["book", "novel", "cookbook", "travel guide", "atlas", "audio book", "DVD",
             "picture book"],
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "room": ["the small study room", "the music room", "the reading room upstairs",
             "the meeting room", "the workshop", "a quiet room"],
    "count": ["three", "four", "six", "eight", "a dozen", "twenty"],
    "branch": ["the main library", "the harbour branch", "the branch on Mill Street",
               "the station branch"],
    "device": ["my tablet", "my phone", "my e-reader", "my laptop"],
    "person": ["my daughter", "my son", "my neighbour", "my grandmother", "a friend"],
    "amount": ["two euros", "3.50", "twelve euros", "7.20", "a few euros"],
    "subject": ["bee keeping", "Estonian", "bicycle repair", "the history of glass",
                "knitting", "chess openings", "astronomy", "wild mushrooms"],
    "place": ["on the tram", "at the beach", "in a hotel", "on the train", "somewhere at home"],
}

INTENTS = {
    "renew loan": [
        "{can|could|may} I keep {title} for another {week|two weeks}?",
        "my {item} is due on {day} and I have not finished it",
        "please extend my loan of {title}",
        "I need {a few more days|more time} with the {item} I borrowed",
        "how do I renew {title} {online|by phone}?",
        "is it possible to prolong the {item} until {day}?",
    ],
    "reserve book": [
        "{title} is out on loan, can you put me on the waiting list?",
        "please hold {title} for me at {branch}",
        "I would like to reserve the new {item} called {title}",
        "how many people are waiting for {title}?",
        "tell me when {title} is back on the shelf",
        "can you set {title} aside until {day}?",
    ],
    "reserve room": [
        "is {room} free on {day}?",
        "we are {count} people and need {room} on {day}",
        "I want to book {room} for {an hour|the afternoon|the evening}",
        "how much does it cost to use {room}?",
        "please cancel my booking of {room} on {day}",
        "can our {chess club|book club|choir} meet in {room}?",
    ],
    "opening hours": [
        "when does {branch} close on {day}?",
        "are you open {this|next} {day}?",
        "what time can I come in on {day} morning?",
        "is {branch} open during the holidays?",
        "how late can I stay at {branch} on {day}?",
        "do you open before nine on {day}?",
    ],
    "pay fine": [
        "I owe {amount} for a late {item}, where do I pay?",
        "can I settle my late fee by {card|bank transfer}?",
        "why have I been charged {amount} for {title}?",
        "I think the fine of {amount} is a mistake",
        "I returned the {item} on {day}, must I still pay {amount}?",
        "how high is the fee when a {item} comes back late?",
    ],
    "lost item": [
        "I left {title} {place} and cannot find it",
        "my {item} from the library has been stolen {place}",
        "what happens if I lost {title}?",
        "I cannot find the {item} I borrowed, do I have to replace it?",
        "{person} lost the library's {item} {place}",
        "must I buy a new copy because I lost the {item}?",
    ],
    "damaged item": [
        "the last pages of {title} are missing",
        "{person} spilled {tea|juice|coffee} over the {item}",
        "the {item} I borrowed on {day} is scratched",
        "my dog chewed {title}, what now?",
        "the cover of {title} came off",
        "some pages in the {item} are {torn|wet|stained}",
    ],
    "get card": [
        "how do I become a member of {branch}?",
        "{person} wants a library card, what do we have to bring?",
        "what does a yearly membership cost for {person}?",
        "can I sign up at {branch} on {day}?",
        "I have just moved here and would like to join",
        "do I need a passport to get a card at {branch}?",
    ],
    "lost card": [
        "I lost my library card {place}",
        "my card was stolen, please block it",
        "what does a replacement for my card cost?",
        "{person} found a library card {place}, it is not mine",
        "I cannot find my card, can I still borrow a {item}?",
        "please send a new card, the old one disappeared {place}",
    ],
    "electronic books": [
        "how do I read your e-books on {device}?",
        "the app does not open {title} on {device}",
        "can I download {title} to {device}?",
        "the e-book of {title} says that the licence has expired",
        "how many e-books can I have on {device} at once?",
        "the download to {device} stops half way",
    ],
    "suggest purchase": [
        "you should buy more about {subject}",
        "could the library get {title} for its shelves?",
        "I miss a good {item} about {subject} in your collection",
        "who decides which new books you buy? I would propose {title}",
        "please order the second part of {title}",
        "your shelf on {subject} is out of date, here is a suggestion",
    ],
    "courses and events": [
        "is there a course on {subject} {this autumn|in spring}?",
        "what is on for children on {day}?",
        "I want to sign up for the talk about {subject}",
        "are there places left in the evening on {subject}?",
        "does the reading with the author of {title} cost anything?",
        "when does the next workshop on {subject} begin?",
    ],
}

OPENERS = ["", "", "", "hello, ", "good morning, ", "hi, ", "excuse me, "]
CLOSERS = ["", "", "", "", " thanks", " thank you"]


def pick(rng, choices):
    # random() is the one method whose sequence Python promises to keep.
    return choices[int(rng.random() * len(choices))]


def expand(rng, template):
    def fill(match):
        word = match.group(1)
        return pick(rng, word.split("|")) if "|" in word else pick(rng, FILLERS[word])

    return re.sub(r"\{([^}]*)\}", fill, template)


def sentence(rng, templates):
    text = pick(rng, OPENERS) + expand(rng, pick(rng, templates))
    if not text.endswith("?"):
        text += "."
    return text[0].upper() + text[1:] + pick(rng, CLOSERS).replace(" t", " T", 1)


def make():
    """Returns demonstrations and queries, lists of {"text", "label"}."""
    rng = random.Random(SEED)
    demonstrations, queries = [], []
    for label, templates in INTENTS.items():
        texts = []
        while len(texts) < DEMONSTRATIONS_PER_INTENT + QUERIES_PER_INTENT:
            text = sentence(rng, templates)
            if text not in texts:
                texts.append(text)
        examples = [{"text": text, "label": label} for text in texts]
        demonstrations += examples[:DEMONSTRATIONS_PER_INTENT]
        queries += examples[DEMONSTRATIONS_PER_INTENT:]
    for examples in (demonstrations, queries):
        for last in range(len(examples) - 1, 0, -1):
            other = int(rng.random() * (last + 1))
            examples[last], examples[other] = examples[other], examples[last]
    return demonstrations, queries


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--output", type=pathlib.Path, default=root / "pipelines" / "quickstart")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if files differ")
    arguments = parser.parse_args()
    differ = False
    for name, examples in zip(("demonstrations.jsonl", "queries.jsonl"), make()):
        path = arguments.output / name
        text = "".join(json.dumps(example) + "\n" for example in examples)
        if arguments.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                print(f"{path} is not what this script makes", file=sys.stderr)
                differ = True
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
