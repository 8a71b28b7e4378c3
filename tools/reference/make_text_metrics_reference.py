#!/usr/bin/env python3
"""Makes tests/icl/text_metrics_reference.json: scores of texts by other programs.

Run by hand, from anywhere:

    python3 tools/reference/make_text_metrics_reference.py

It needs `rouge-score` 0.1.2 and `sacrebleu` 2.6.0 from PyPI; the versions used are written to the
file. Nothing is downloaded. Cases are written here, or drawn with a seed from a few words and
characters, so that texts share n-grams.
"""

import importlib.metadata
import json
import pathlib
import random

from rouge_score import rouge_scorer
from sacrebleu.metrics import CHRF

SEED = 20261124
DRAWN = 60
OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "icl" / "text_metrics_reference.json"

# A text and its references.
CASES = [
    ("the cat sat on the mat", ["the cat sat on the mat"]),
    ("the cat sat on the mat", ["on the mat sat the cat", "a cat is on a mat"]),
    ("The  Cat\tsat\non the mat. ", ["the cat sat on the mat"]),
    ("Aromi is a family-friendly coffee shop, rated 5 out of 5.",
     ["Aromi is a coffee shop for families. It has 5 stars.",
      "A coffee shop called Aromi welcomes children.",
      "Aromi: family friendly, 5 out of 5"]),
    ("", ["something"]),
    ("something", [""]),
    ("", [""]),
    (" \n", ["..."]),
    ("...", ["..."]),
    ("a", ["a"]),
    ("a", ["b"]),
    ("ab", ["abcdefgh"]),
    ("abcdefgh", ["ab", "abc"]),
    ("one", ["one two", "one"]),
    ("a a a a b", ["a b a", "a a"]),
    ("don't stop", ["do not stop", "dont stop"]),
    ("caf\u00e9 cr\u00e8me \u00e0 la carte", ["cafe creme a la carte", "caf\u00e9 cr\u00e8me"]),
    ("\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd", ["\u6771\u4eac\u306f\u9996\u90fd\u3067\u3059"]),
    ("stra\u00dfe \u0130stanbul 300\u212a", ["STRASSE istanbul 300k", "i stanbul 300K"]),
    ("smile \U0001f600\U0001f600!", ["smile \U0001f600", "smile!"]),
    ("no\u00a0break\u2003em\u3000wide\x1cunit", ["no break em wide unit"]),
    ("zero\u200bwidth \ufeffmark", ["zerowidth mark"]),
    ("x2 3.5 1,000", ["x2 3 5 1 000"]),
]

WORDS = ["the", "blue", "Spice", "pub", "near", "Caf\u00e9", "is", "\u20ac20", "5", "\u00fcber",
         "city", "centre", "a", "\u2014", "kid-friendly", "riverside.", "\U0001f600"]


def draw(rng, longest):
    return rng.choice([" ", "  ", "\n"]).join(
        rng.choice(WORDS) for _ in range(rng.randrange(longest)))


def drawn_cases():
    rng = random.Random(SEED)
    return [(draw(rng, 14), [draw(rng, 14) for _ in range(rng.randrange(1, 4))])
            for _ in range(DRAWN)]


def main():
    chrf, rouge = CHRF(), rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    cases = CASES + drawn_cases()
    rows = [{"text": text, "references": references,
             "rouge_l": rouge.score_multi(references, text)["rougeL"].fmeasure,
             "chrf": chrf.sentence_score(text, references).score / 100}
            for text, references in cases]
    most = max(len(references) for _, references in cases)
    columns = [[(references + [None] * most)[i] for _, references in cases] for i in range(most)]
    versions = {name: importlib.metadata.version(name) for name in ("rouge-score", "sacrebleu")}
    corpus = chrf.corpus_score([text for text, _ in cases], columns).score / 100
    lines = ",\n".join(json.dumps(row) for row in rows)
    OUT.write_text(f'{{"versions": {json.dumps(versions)},\n"signature": "{chrf.get_signature()}",\n'
                   f'"corpus_chrf": {corpus!r},\n"cases": [\n{lines}\n]}}\n', encoding="ascii")
    print(f"{OUT}: {len(rows)} cases")


if __name__ == "__main__":
    main()
