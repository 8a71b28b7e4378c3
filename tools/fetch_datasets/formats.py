"""The published formats of the data sets, as rows (text, label).

Each reader takes the bytes of a file and its name, and raises FormatError with name and line for
what is not as published.
"""

import csv
import io
import json
import re


class FormatError(Exception):
    """A file that is not in its published format."""


def decoded(data, name, encoding="utf-8"):
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"{name}:{line}: expected {encoding.upper()}, found the byte "
                          f"0x{data[error.start]:02X}; get the file again") from None


def records(data, name, columns, **dialect):
    """The records of a CSV file with these columns, below its header, each with its line."""
    reader = csv.reader(io.StringIO(decoded(data, name).removeprefix("\ufeff"), newline=""),
                        **dialect)
    begin = 1
    try:
        for number, row in enumerate(reader):
            if number == 0 and row != columns:
                raise FormatError(f"{name}:1: expected the columns {', '.join(columns)}, found "
                                  f"{', '.join(row)}; get the file again")
            if number > 0 and row:
                if len(row) != len(columns):
                    raise FormatError(f"{name}:{begin}: expected {len(columns)} fields, found "
                                      f"{len(row)}; get the file again")
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise FormatError(f"{name}:{begin}: expected CSV, found a fault: {error}; get the file "
                          "again") from None


def checked(text, label, name, line):
    if not text.strip() or not label.strip():
        raise FormatError(f"{name}:{line}: expected a text and a label, found an empty one; get the "
                          "file again")
    return text, label


# ---- banking77, e2e_nlg: CSV of two columns ----

def pairs_csv(data, name, columns):
    return [checked(*row, name, line) for line, row in records(data, name, columns, strict=True)]


# ---- clinc150: JSON, six lists of [text, intent] ----

def clinc_json(data, name, lists):
    """The rows of the lists named, one list after the other."""
    try:
        document = json.loads(decoded(data, name))
    except json.JSONDecodeError as error:
        raise FormatError(f"{name}:{error.lineno}: expected JSON, found a fault at column "
                          f"{error.colno}: {error.msg}; get the file again") from None
    rows = []
    for key in lists:
        entries = document.get(key) if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise FormatError(f"{name}: expected a list under \"{key}\", found none; get the file again")
        for number, entry in enumerate(entries):
            if not (isinstance(entry, list) and len(entry) == 2
                    and all(isinstance(part, str) and part.strip() for part in entry)):
                raise FormatError(f"{name}: \"{key}\" entry {number}: expected [text, intent], found "
                                  f"{json.dumps(entry)[:60]}; get the file again")
            rows.append(tuple(entry))
    return rows


# ---- nlu: CSV with semicolons; entities are marked in the text ----

NLU_COLUMNS = ["userid", "answerid", "scenario", "intent", "status", "answer_annotation", "notes",
               "suggested_entities", "answer_normalised", "answer", "question"]
MARKED_ENTITY = re.compile(r"\[.+?\s+:+\s(.+?)\]")  # [time : five am]


def nlu_csv(data, name):
    """Texts are the annotated ones without their marks; rows without an answer ("null") go."""
    rows = []
    for line, row in records(data, name, NLU_COLUMNS, delimiter=";", skipinitialspace=True):
        fields = dict(zip(NLU_COLUMNS, row))
        if fields["answer_annotation"] == "null":
            continue
        text = MARKED_ENTITY.sub(r"\1", fields["answer_annotation"])
        rows.append(checked(text, f"{fields['scenario']}_{fields['intent']}", name, line))
    return rows


# ---- trec: lines "COARSE:fine text" ----

QUESTION = re.compile(r"((?:ABBR|DESC|ENTY|HUM|LOC|NUM):[a-z]+) (.*\S)\s*")


def trec_lines(data, name):
    """Labels are "COARSE:fine". The one byte that is not ASCII becomes a space, as others do."""
    rows = []
    for number, line in enumerate(data.replace(b"\xf0", b" ").split(b"\n"), 1):
        text = line.decode("latin-1")
        if not text.strip():
            continue
        match = QUESTION.fullmatch(text)
        if not match:
            raise FormatError(f"{name}:{number}: expected \"COARSE:fine text\", found "
                              f"{json.dumps(text[:60])}; get the file again")
        rows.append((match[2], match[1]))
    return rows


# ---- hwu64, snips: a file of texts and one of labels, a row on a line ----

def parallel_lines(texts, texts_name, labels, labels_name):
    sides = []
    for data, name in ((texts, texts_name), (labels, labels_name)):
        sides.append(decoded(data, name).removesuffix("\n").split("\n"))
    if len(sides[0]) != len(sides[1]):
        raise FormatError(f"{labels_name}: expected {len(sides[0])} lines, as {texts_name} has, found "
                          f"{len(sides[1])}; get both files again")
    return [checked(text, label, texts_name, number)
            for number, (text, label) in enumerate(zip(*sides), 1)]
