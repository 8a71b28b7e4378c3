#!/usr/bin/env python3
"""Finds the habits that make English-speaking readers stop: in docs, schemas, manifests and comments.

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
PATTERN = re.compile(r"\b(" + "|".join(WORDS).replace(" ", r"\s+") + r")\b", re.IGNORECASE)
TEXTS = ["*.md", "*.schema.json", "*plugin.toml"]
HISTORY = {"CHANGELOG.md"}

# Comments, and the strings and numbers in which their marks mean nothing.
C = re.compile(r"""(?P<comment>//[^\n]*|/\*.*?\*/)|R"([^()\\ ]*)\(.*?\)\2"|"(?:\\.|[^"\\\n])*"|"""
               r"""'(?:\\.|[^'\\\n])+'|\b\d[\w']*""", re.DOTALL)
PYTHON = re.compile(r'''(?P<comment>\#[^\n]*|^[ ]*""".*?""")|""".*?"""|\'\'\'.*?\'\'\'|'''
                    r'''"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*\'''', re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"(?<!\S)(?P<comment>#[^\n]*)")
SOURCES = {"*.h": C, "*.c": C, "*.cc": C, "*.cu": C, "*.cuh": C, "*.py": PYTHON, "*.sh": SHELL,
           "*.cmake": SHELL, "*CMakeLists.txt": SHELL}


def files(*names):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *names], cwd=ROOT,
                            stdout=subprocess.PIPE, text=True, check=True)
    return [path for path in listed.stdout.split("\n") if path and path not in HISTORY]


def comments(text, pattern):
    """The text's comments where they stand, everything else as spaces."""
    kept = re.sub(r"[^\n]", " ", text)
    for match in pattern.finditer(text):
        found = match["comment"]
        if found and not (found.startswith('"""') and "__doc__" in text):  # --help prints that one
            kept = kept[:match.start()] + found + kept[match.end():]
    return re.sub(r"^ *(//|\*|#)", lambda mark: " " * len(mark[0]), kept, flags=re.MULTILINE)


def instead_of(found):
    plain = re.sub(r"\s+", " ", found.lower())
    return plain, next(better for word, better in WORDS.items() if re.fullmatch(word, plain))


def main():
    texts = [(path, (ROOT / path).read_text()) for path in files(*TEXTS)]
    for name, pattern in SOURCES.items():
        for path in files(name):
            texts.append((path, comments((ROOT / path).read_text(), pattern)))
    count = 0
    for path, text in texts:
        for match in PATTERN.finditer(text):
            count += 1
            found, better = instead_of(match[0])
            line = text.count("\n", 0, match.start()) + 1
            print(f'{path}:{line}: error: found "{found}"; write: {better}')
    print(f"{len(texts)} files, {count} places")
    sys.exit(1 if count or not texts else 0)


if __name__ == "__main__":
    main()
