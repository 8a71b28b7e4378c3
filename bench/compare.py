#!/usr/bin/env python3
"""Shows the figures of two bench runs side by side.

usage: bench/compare.py BEFORE.json AFTER.json

Prints each figure of both, the change, and the shares of the ceilings, each measured in its own run.
On a shared machine the change of the share says more than that of the figure.
"""
import json
import sys

LESS_IS_BETTER = {"ms", "s", "us"}


def load(path):
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    rows = {}
    for row in document["rows"]:
        rows[(row["name"], row["unit"])] = row
    return document, rows


def percent(share):
    return "" if share is None else f"{100 * share:.1f}%"


def main(arguments):
    if len(arguments) != 2 or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        (before, old), (after, new) = load(arguments[0]), load(arguments[1])
    except (OSError, ValueError, KeyError) as error:
        print(f"error: no bench run: {error}", file=sys.stderr)
        return 4
    for document, name in ((before, "before"), (after, "after")):
        print(f"{name}: {document['program']}, {document['machine']['cpu']}, "
              f"{document['threads']} threads")
    print(f"{'':52} {'before':>10} {'after':>10} {'':9} {'change':>9}  share")
    for key in [*old, *(key for key in new if key not in old)]:
        name, unit = key
        first, second = old.get(key), new.get(key)
        values = [f"{row['value']:.4g}" if row else "-" for row in (first, second)]
        change = shares = ""
        if first and second and first["value"] > 0 and second["value"] > 0:
            ratio = second["value"] / first["value"]
            if unit in LESS_IS_BETTER:
                change = f"{1 / ratio:.2f}x" if ratio < 1 else f"{ratio:.2f}x slower"
            else:
                change = f"{ratio:.2f}x"
            shares = f"{percent(first.get('share'))} -> {percent(second.get('share'))}".strip(" ->")
        print(f"{name:52} {values[0]:>10} {values[1]:>10} {unit:9} {change:>9}  {shares}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
