#!/usr/bin/env python3
"""Fetches public data sets in their published formats and writes what dbsa-pipe reads.

    fetch_datasets.py --list                  what there is, from where, under which licence
    fetch_datasets.py                         writes data/NAME/ for all of them
    fetch_datasets.py --only banking77,trec   for these
    fetch_datasets.py --from ~/Downloads      takes the files from a folder, not from the network

Each NAME/ gets train.jsonl and test.jsonl, test_indices.json with 250 lines of test.jsonl that are
drawn with a seed, and a README.md with source, licence, hashes and counts.
"""

import argparse
import json
import os
import pathlib
import random
import sys
import tempfile

from catalog import DATASETS
from download import FetchError, obtain
from formats import FormatError

QUERIES, SEED = 250, 1


def draw_indices(count, wanted, seed):
    """`wanted` of 0 ... count - 1, in the order drawn; the same with every version of Python."""
    rng, order = random.Random(seed), list(range(count))
    for place in range(min(wanted, count)):
        other = place + int(rng.random() * (count - place))
        order[place], order[other] = order[other], order[place]
    return order[:wanted]


def labels_of(row):
    return row["label"] if isinstance(row["label"], list) else [row["label"]]


def check_counts(dataset, train, test):
    labels = {label for row in train + test for label in labels_of(row)}
    found = {"training rows": len(train), "test rows": len(test)}
    if dataset.labels:
        found["labels"] = len(labels)
    expected = dict(zip(found, (dataset.train, dataset.test, dataset.labels)))
    for what, count in found.items():
        if count != expected[what]:
            raise FormatError(f"{dataset.name}: expected {expected[what]} {what} as published, found "
                              f"{count}; the files are not the published ones")
    return found


def describe(dataset, found, hashes):
    table = "".join(f"| [{source.name}]({source.url}) | `{hashes[source.name]}` |\n"
                    for source in dataset.sources)
    counts = ", ".join(f"{count:,} {what}" for what, count in found.items())
    return (f"# {dataset.name}: {dataset.title}\n\n{counts}. {dataset.notes}\n\n"
            f"Licence: {dataset.licence}, as its authors state; check before use.\n\n"
            f"| source | SHA-256 |\n|---|---|\n{table}\n"
            f"`test_indices.json`: {QUERIES} lines of test.jsonl, from 0, drawn with seed {SEED}; use the "
            "same for every method. Written by tools/fetch_datasets/fetch_datasets.py of dbsa-pipe.\n\n"
            f"```toml\n[data]\ndemonstrations = \"train.jsonl\"\nqueries = \"test.jsonl\"\n"
            f"query_indices = \"test_indices.json\"\n\n[prompt]\ninput_prefix = \"{dataset.prefixes[0]}\"\n"
            f"output_prefix = \"{dataset.prefixes[1]}\"\n```\n")


def as_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(path, text):
    """Whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)


def write_dataset(dataset, train, test, hashes, folder):
    found = check_counts(dataset, train, test)
    folder.mkdir(parents=True, exist_ok=True)
    indices = {"note": f"{QUERIES} lines of test.jsonl, from 0, drawn with seed {SEED}",
               "lines": draw_indices(len(test), QUERIES, SEED)}
    write(folder / "train.jsonl", as_lines(train))
    write(folder / "test.jsonl", as_lines(test))
    write(folder / "test_indices.json", json.dumps(indices) + "\n")
    write(folder / "README.md", describe(dataset, found, hashes))
    print(f"{folder}: " + ", ".join(f"{count:,} {what}" for what, count in found.items()))


def fetch(datasets, out, from_folder, any_version):
    """Fetches each file once, though two data sets may be made from it."""
    if from_folder:
        wanted = {source.name: source for dataset in datasets for source in dataset.sources}
        missing = [f"  {source.name}  from {source.url}" for source in wanted.values()
                   if not (from_folder / source.name).is_file()]
        if missing:
            raise FetchError(f"{from_folder}: these files are not there:\n" + "\n".join(missing))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".fetching-") as folder:
        files = {}
        for dataset in datasets:
            for source in dataset.sources:
                if source.name not in files:
                    files[source.name] = obtain(source, pathlib.Path(folder), from_folder, any_version)
            data = {source.name: files[source.name][0].read_bytes() for source in dataset.sources}
            hashes = {name: sha256 for name, (_, sha256) in files.items()}
            train, test = dataset.convert(data)
            write_dataset(dataset, train, test, hashes, out / dataset.name)


def print_list(datasets):
    for dataset in datasets:
        labels = f", {dataset.labels} labels" if dataset.labels else ""
        print(f"{dataset.name}: {dataset.title}; {dataset.train:,} / {dataset.test:,} rows{labels}; "
              f"licence: {dataset.licence}")
        for source in dataset.sources:
            print(f"  {source.name}  {source.url}")


def parse(words, datasets):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [dataset.name for dataset in datasets]
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("data"), metavar="DIR",
                        help="folder to write to (default: data)")
    parser.add_argument("--only", metavar="NAMES", default=",".join(names),
                        help=f"some of {', '.join(names)}, with commas between")
    parser.add_argument("--from", dest="from_folder", type=pathlib.Path, metavar="FOLDER",
                        help="take the published files from this folder")
    parser.add_argument("--any-version", action="store_true",
                        help="take files whose SHA-256 is not the known one; counts are checked all the same")
    parser.add_argument("--list", action="store_true", help="print data sets and files; fetch nothing")
    arguments = parser.parse_args(words)
    wanted = [name.strip() for name in arguments.only.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        parser.error(f"--only: expected some of {', '.join(names)}, found "
                     f"{', '.join(unknown) or 'none'}")
    arguments.datasets = [dataset for dataset in datasets if dataset.name in wanted]
    return arguments


def main(words=None, datasets=DATASETS):
    arguments = parse(words, datasets)
    if arguments.list:
        print_list(arguments.datasets)
        return 0
    try:
        fetch(arguments.datasets, arguments.out, arguments.from_folder, arguments.any_version)
        return 0
    except (FetchError, FormatError, OSError) as error:
        print(f"fetch_datasets: {error}", file=sys.stderr)
        return 2 if isinstance(error, FormatError) else 4


if __name__ == "__main__":
    sys.exit(main())
