#!/usr/bin/env python3
"""Kills a run at random instants while it answers 200 queries, three of which cannot be answered.

After each kill the journal must be a prefix of the undisturbed answers, and a record, where there is one
by then, that of an undisturbed run, except for times, dates and memory. The same command must continue
after it and end with 2 and with that record. Exit code 1 if any of it is not so.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "faults"))
import workspace  # noqa: E402

QUERIES = 200
BAD = {40: "empty_text", 90: "too_long", 150: "not_utf8"}  # by line
RUN = ["run", "pipeline.toml", "--quiet", "--threads", "1"]
TIMES = {"started_at", "seconds", "setup_seconds", "encode_seconds", "answer_seconds", "request_seconds",
         "stage_seconds", "peak_memory_bytes", "memory_bytes"}


def parse_words():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build/release", help="build folder")
    parser.add_argument("--kills", type=int, default=20, help="kills (default: 20)")
    parser.add_argument("--seed", type=int, default=None, help="of the instants")
    return parser.parse_args()


def write_queries(base):
    lines = workspace.make_examples(QUERIES, seed=2).encode().splitlines(keepends=True)
    lines[39] = b'{"text": "", "label": "alpha"}\n'
    lines[89] = json.dumps({"text": "card " * 200000, "label": "beta"}).encode() + b"\n"
    lines[149] = b'{"text": "caf\xe9", "label": "gamma"}\n'
    (base.path / "queries.jsonl").write_bytes(b"".join(lines))


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [without_times(part) for part in value]
    return value


def records(folder):
    return list((folder / "runs").glob("*.json"))


def only_record(folder):
    (path,) = records(folder)
    return json.loads(path.read_text())


def journal_lines(folder):
    """Whole lines after the header."""
    found = list((folder / "runs").glob("*.journal.jsonl"))
    if not found:
        return []
    return [json.loads(line) for line in found[0].read_text().split("\n")[1:-1]]


def outcome(entry):
    """What an entry of a journal, or of a record, says of its query."""
    if "error" in entry:
        return entry["line"], entry["error"]["code"]
    answer = entry.get("answer", entry)
    return entry["line"], answer["label"], answer["log_probability"]


def check_undisturbed(record, done):
    faults = []
    errors = {query["line"]: query["error"]["code"] for query in record["queries"] if "error" in query}
    if errors != BAD:
        faults.append(f"errors {errors}, expected {BAD}")
    items = record["totals"]["items"]
    if (items["answered"], items["errors"]) != (QUERIES - len(BAD), len(BAD)):
        faults.append(f"totals.items is {items}")
    if record["totals"]["labelled"] != QUERIES:
        faults.append(f"{record['totals']['labelled']} queries count, expected all {QUERIES}")
    if done.code != 2:
        faults.append(f"exit code {done.code}, expected 2")
    return faults


def kill_run(base, folder, seconds):
    """Whether the kill came before the end."""
    process = base.start(folder, RUN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def check_continued(base, folder, expected):
    faults = []
    kept = [outcome(entry) for entry in journal_lines(folder)]
    whole = [outcome(query) for query in expected["queries"]]
    if kept != whole[:len(kept)]:
        faults.append("the journal is no prefix of the answers")
    # A kill behind the last answer may come after the record, which is whole then.
    for path in records(folder):
        if without_times(json.loads(path.read_text())) != without_times(expected):
            faults.append("the killed run's record is another one than that of an undisturbed run")
        path.unlink()
    done = base.run(folder, RUN)
    if done.code != 2:
        return len(kept), [*faults, f"the run that continues: exit code {done.code}: {done.error[:300]}"]
    if without_times(only_record(folder)) != without_times(expected):
        faults.append("the record is another one than that of an undisturbed run")
    if list((folder / "runs").glob("*.journal.jsonl")):
        faults.append("the journal is still there")
    return len(kept), faults


def main():
    words = parse_words()
    seed = words.seed if words.seed is not None else int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    draw = random.Random(seed)
    base = workspace.Base(words.build)
    faults, kept, inside = [], [], 0
    try:
        write_queries(base)
        folder = base.folder("run")
        base.run_ok(folder, ["encode", "pipeline.toml", "--quiet"])
        begin = time.monotonic()
        done = base.run(folder, RUN)
        seconds = time.monotonic() - begin
        expected = only_record(folder)
        faults += check_undisturbed(expected, done)
        for kill in range(words.kills):
            shutil.rmtree(folder / "runs")
            if not kill_run(base, folder, draw.random() * seconds):
                continue  # it had ended
            found, wrong = check_continued(base, folder, expected)
            kept.append(found)
            inside += 0 < found < QUERIES
            faults += [f"kill {kill}: {text}" for text in wrong]
    finally:
        base.close()
    for text in faults:
        print(text)
    print(f"{len(kept)} kills, {inside} of them between answers; answers kept: {sorted(kept)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
