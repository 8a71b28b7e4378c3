#!/usr/bin/env python3
"""Measures a model with `dbsa-pipe run`: the quick start's pool, and data sets it never saw.

    tools/train_icl/evaluate.py --model build/icl-model --data DATA --out build/icl-evaluation

Every figure is read from a result record. DATA holds banking77 and trec, each with train.jsonl,
test.jsonl and test_indices.json; what is absent is left out, visibly. Records that are there already
are not made again, unless the model's weights changed. Writes evaluation.json, evaluation.md and
demonstrations.svg into the output folder.
"""

import argparse
import collections
import hashlib
import json
import math
import pathlib
import random
import shutil
import statistics
import subprocess
import sys

import corpus

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}   # two-sided Student t, by the number of sets


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measure a model with dbsa-pipe run.",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, type=pathlib.Path, help="Hugging Face folder")
    parser.add_argument("--data", type=pathlib.Path, help="folder of banking77 and trec")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--dbsa-pipe", type=pathlib.Path, default=ROOT / "build/release/bin/dbsa-pipe")
    parser.add_argument("--wordnet", default="/usr/share/wordnet", help="random labels are its words")
    parser.add_argument("--sets", type=int, default=3, help="demonstration sets of each figure")
    parser.add_argument("--queries", type=int, default=250)
    parser.add_argument("--only", default="", help="tasks to run, separated by commas; default all")
    return parser.parse_args()


class Task:
    """A pool, its queries, and how its prompt is written. Paths are absolute."""

    def __init__(self, name, demonstrations, queries, indices=None, front="query: ", back="intent: "):
        self.name, self.demonstrations, self.queries = name, demonstrations, queries
        self.indices, self.front, self.back = indices, front, back


DENSE = {"mask_pattern.plugin": "causal", "retriever.plugin": "all", "selection.ratio": 1.0}
SPARSE = {"mask_pattern.plugin": "dbsa", "mask_pattern.anchor_blocks": 1,
          "mask_pattern.previous_blocks": 2, "retriever.plugin": "bm25", "selection.ratio": 0.3}
ZERO = {"mask_pattern.plugin": "self", "selection.count": 0}
# Sixteen demonstrations by BM25, each encoded on its own behind a BOS token.
NEAREST = {"block_grouper.block_size": 1, "mask_pattern.plugin": "dbsa", "mask_pattern.anchor_blocks": 1,
           "mask_pattern.previous_blocks": 0, "prompt.anchor": "prefix", "prompt.bos": True,
           "retriever.plugin": "bm25", "retriever.text": "text", "selection.count": 16,
           "selection.order": "low_to_high"}
# Question words are the point of trec, and English stop words are question words.
WORDS_AS_THEY_ARE = {"retriever.stemmer": "none", "retriever.stop_words": "none"}


def toml_value(value):
    return json.dumps(value) if not isinstance(value, float) else repr(value)


class Evaluation:
    def __init__(self, arguments):
        self.arguments = arguments
        self.out = arguments.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        weights = (arguments.model / "model.safetensors").read_bytes()
        self.weights = hashlib.sha256(weights).hexdigest()[:12]
        self.figures = {}

    def record(self, task, name, seed, settings):
        """The record of one run."""
        values = {"model.path": str(self.arguments.model.resolve()),
                  "data.demonstrations": str(task.demonstrations), "data.queries": str(task.queries),
                  "data.labels": str(task.demonstrations), "data.seed": seed,
                  "data.query_count": self.arguments.queries,
                  "prompt.input_prefix": task.front, "prompt.output_prefix": task.back,
                  "block_grouper.plugin": "random", "block_grouper.seed": seed,
                  "kv_store.plugin": "memory", **settings}
        if task.indices is not None:
            values["data.query_indices"] = str(task.indices)
            del values["data.query_count"]
        name = f"{task.name}-{name}-{seed}"
        folder = self.out / "runs" / self.weights / name
        made = sorted(folder.glob("*.json"))
        if not made:
            folder.mkdir(parents=True, exist_ok=True)
            tables = collections.defaultdict(list)
            for key, value in values.items():
                table, _, key = key.partition(".")
                tables[table].append(f"{key} = {toml_value(value)}\n")
            pipeline = folder / f"{name}.toml"
            pipeline.write_text("".join(f"[{table}]\n{''.join(lines)}\n" for table, lines in tables.items()))
            part = folder / "part"
            shutil.rmtree(part, ignore_errors=True)
            command = [str(self.arguments.dbsa_pipe), "run", str(pipeline), "--quiet", "--output", str(part)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
            for path in part.glob("*.json"):
                path.rename(folder / path.name)
            made = sorted(folder.glob("*.json"))
        record = json.loads(made[0].read_text())
        print(f"{name}: {record['totals']['accuracy']:.3f}", flush=True)
        return record

    def figure(self, task, name, settings, sets=None):
        """Accuracy over the demonstration sets, as {"mean", "low", "high", "values"}."""
        sets = sets or self.arguments.sets
        records = [self.record(task, name, seed, settings) for seed in range(1, sets + 1)]
        figure = self.summary([record["totals"]["accuracy"] for record in records])
        if sets == 1:
            figure["low"], figure["high"] = records[0]["totals"]["accuracy_95"]
        figure["request_seconds"] = [record["totals"]["request_seconds"]["p50"] for record in records]
        figure["setup_seconds"] = [record["totals"]["setup_seconds"] for record in records]
        figure["tokens"] = records[0]["encode"]["tokens"]
        self.figures[f"{task.name} {name}"] = figure

    @staticmethod
    def summary(values):
        mean = statistics.fmean(values)
        half = 0.0
        if len(values) > 1:
            half = T95.get(len(values), 1.96) * statistics.stdev(values) / math.sqrt(len(values))
        return {"mean": mean, "low": max(0.0, mean - half), "high": min(1.0, mean + half), "values": values}

    def random_labels(self, task):
        """The same task with each label replaced by a random word."""
        words = corpus.WordNet(self.arguments.wordnet).words()
        renamed = {}
        rng = random.Random(1)
        paths = []
        for source in (task.demonstrations, task.queries):
            rows = [json.loads(line) for line in pathlib.Path(source).read_text().splitlines()]
            for row in rows:
                if row["label"] not in renamed:
                    renamed[row["label"]] = words.pop(rng.randrange(len(words)))
                row["label"] = renamed[row["label"]]
            path = self.out / f"{task.name}-words-{pathlib.Path(source).name}"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            paths.append(path)
        return Task(f"{task.name}-words", *paths, task.indices, task.front, task.back)

    def quickstart(self):
        folder = ROOT / "pipelines/quickstart"
        task = Task("quickstart", folder / "demonstrations.jsonl", folder / "queries.jsonl")
        self.figure(task, "zero-shot", ZERO, 1)
        for count in (16, 64, 256, 1024):
            self.figure(task, f"fixed {count}", {**DENSE, "data.demonstration_count": count})
        self.figure(task, "fixed all", DENSE)
        self.figure(task, "DBSA all", SPARSE)

    def unseen(self, name, back, front, many, nearest):
        folder = self.arguments.data.resolve() / name
        task = Task(name, folder / "train.jsonl", folder / "test.jsonl", folder / "test_indices.json",
                    front, back)
        self.figure(task, "16 by BM25", {**NEAREST, **nearest}, 1)
        self.figure(task, "vote of the same 16", {**NEAREST, **nearest, "decoding.method": "vote"}, 1)
        count = {"data.demonstration_count": many}
        self.figure(task, f"fixed {many}", {**DENSE, **count})
        self.figure(task, f"DBSA {many}", {**SPARSE, **nearest, **count})
        # Smaller blocks, from which BM25 can choose better.
        for size in (5, 10, 20):
            self.figure(task, f"DBSA {many}, blocks of {size}",
                        {**SPARSE, **nearest, **count, "block_grouper.block_size": size})
        if name == "banking77":
            words = self.random_labels(task)
            self.figure(words, "16 by BM25", {**NEAREST, **nearest}, 1)
            self.figure(words, f"fixed {many}", {**DENSE, **count})

    def run(self):
        only = set(filter(None, self.arguments.only.split(",")))
        if not only or "quickstart" in only:
            self.quickstart()
        for name, back, front, many, nearest in [
                ("banking77", "intent: ", "query: ", 800, {}),
                ("trec", "Type: ", "Question: ", 512, WORDS_AS_THEY_ARE)]:
            if only and name not in only:
                continue
            if self.arguments.data is None or not (self.arguments.data / name).is_dir():
                print(f"{name}: not measured, there is no {name} in --data", flush=True)
                continue
            self.unseen(name, back, front, many, nearest)

    def write(self):
        (self.out / "evaluation.json").write_text(json.dumps(
            {"weights": self.weights, "queries": self.arguments.queries, "figures": self.figures},
            indent=1) + "\n")
        lines = ["| task and method | accuracy | 95 % interval | sets |", "|---|---|---|---|"]
        for name, figure in self.figures.items():
            lines.append(f"| {name} | {figure['mean']:.3f} | {figure['low']:.3f} to {figure['high']:.3f} "
                         f"| {len(figure['values'])} |")
        (self.out / "evaluation.md").write_text("\n".join(lines) + "\n")
        print("\n".join(lines))


def main():
    evaluation = Evaluation(parse_arguments())
    try:
        evaluation.run()
    finally:
        evaluation.write()


if __name__ == "__main__":
    main()
