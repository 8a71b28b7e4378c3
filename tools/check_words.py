#!/usr/bin/env python3
"""Finds the habits in docs, schemas and manifests that make English-speaking readers stop.

Prints each place with what to write instead, and exits with 1 if there is one.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORDS = {
    r"alone": "only",
    r"anew": "again",
    r"whatever": "any",
    r"but for": "except",
    r"goes on": "continues",
    r"do(es)? without": "set ... to skip this; without",
    r"in place of": "instead of",
    r"of (its|their) own": "its own, separate",
}
PATTERN = re.compile(r"\b(" + "|".join(WORDS) + r")\b")
FILES = ["*.md", "*.schema.json", "plugin.toml"]
HISTORY = {"CHANGELOG.md"}


def instead_of(found):
    return next(better for word, better in WORDS.items() if re.fullmatch(word, found))


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *FILES], cwd=ROOT,
                            stdout=subprocess.PIPE, text=True, check=True)
    paths = [path for path in listed.stdout.split("\n") if path and path not in HISTORY]
    count = 0
    for path in paths:
        for number, line in enumerate((ROOT / path).read_text().split("\n"), 1):
            for match in PATTERN.finditer(line):
                count += 1
                print(f'{path}:{number}: error: found "{match[0]}"; write: {instead_of(match[0])}')
    print(f"{len(paths)} files, {count} places")
    sys.exit(1 if count or not paths else 0)


if __name__ == "__main__":
    main()
