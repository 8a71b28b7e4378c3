#!/usr/bin/env python3
"""Replaces files of a model and its data in place while a process starts on them.

usage: replace_in_place.py [--build BUILD] [--instants N] [--seed S] [--kind KIND ...]

For each kind of file (weights, tokenizer, config, demonstrations, queries) and each of N instants of
`dbsa-pipe run`, the file's bytes are overwritten by those of another version, as `cp` does: same name,
same inode, no rename. Whatever became of that run (a record, or an error that says so), both versions
are then run on the store it left: every answer must be what a store of its own gives, and the record,
where there is one, must hold the answers of one version. Prints a table; exit code 1 when there was a
wrong answer, a death by a signal or an unsound store.
"""
import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = """[model]
path = "model"
[data]
demonstrations = "pool.jsonl"
queries = "queries.jsonl"
[block_grouper]
block_size = 4
[mask_pattern]
plugin = "dbsa"
[selection]
ratio = 0.5
[decoding]
method = "likelihood"
[kv_store]
path = "store"
[output]
directory = "runs"
"""
KINDS = ("weights", "tokenizer", "config", "demonstrations", "queries")
WORDS = "card money late rate fee cash phone pin limit lost".split()
LABELS = ("alpha", "beta", "beta two", "gamma")


def examples(count: int, seed: int) -> str:
    chance = random.Random(seed)
    return "".join(
        json.dumps({"text": " ".join(chance.choices(WORDS, k=5)), "label": LABELS[i % 4]}) + "\n"
        for i in range(count))


class Bench:
    """A folder with two versions of everything, and the program to run on it."""

    def __init__(self, build: Path, root: Path):
        self.program = build / "bin/dbsa-pipe"
        self.root = root
        self.environment = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(root / "cache"), "DBSA_PLUGIN_PATH": ""}
        for version, seed in (("a", 3), ("b", 4)):
            folder = root / version
            subprocess.run([build / "bin/dbsa-make-checkpoint", f"--out={folder}/model", "--preset=tiny",
                            "--dtype=f32", f"--seed={seed}"], check=True, stdout=subprocess.DEVNULL)
            (folder / "pool.jsonl").write_text(examples(48, seed))
            (folder / "queries.jsonl").write_text(examples(10, 10 + seed))
        tokenizer = json.loads((root / "b/model/tokenizer.json").read_text())
        tokenizer["pre_tokenizer"]["add_prefix_space"] = True
        (root / "b/model/tokenizer.json").write_text(json.dumps(tokenizer))
        config = json.loads((root / "b/model/config.json").read_text())
        config["rope_theta"] = 20000.0
        (root / "b/model/config.json").write_text(json.dumps(config))
        self.files = {"weights": "model/model.safetensors", "tokenizer": "model/tokenizer.json",
                      "config": "model/config.json", "demonstrations": "pool.jsonl", "queries": "queries.jsonl"}

    def prepare(self, name: str) -> Path:
        """A fresh copy of version a, with no store."""
        folder = self.root / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root / "a", folder)
        (folder / "pipeline.toml").write_text(PIPELINE)
        (folder / "runs").mkdir()
        return folder

    def start(self, folder: Path, *more: str) -> subprocess.Popen:
        return subprocess.Popen([self.program, "run", folder / "pipeline.toml", "--quiet", *more],
                                env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def overwrite(self, folder: Path, kind: str, version: str) -> None:
        """In place; shorter and longer files too."""
        source = (self.root / version / self.files[kind]).read_bytes()
        with (folder / self.files[kind]).open("r+b") as file:
            file.write(source)
            file.truncate()

    def answers(self, folder: Path) -> list | None:
        records = sorted((folder / "runs").glob("*.json"))
        if not records:
            return None
        record = json.loads(records[-1].read_text())
        found = [(q["text"], q["label"], q["log_probability"]) for q in record["queries"]]
        for path in records:
            path.unlink()
        return found

    def run(self, folder: Path) -> list:
        # Dealt again, because a pool that was there before is changed as little as can be.
        process = self.start(folder, "--regroup")
        _, error = process.communicate(timeout=120)
        if process.returncode != 0:
            raise RuntimeError(f"exit {process.returncode}: {error}")
        return self.answers(folder)

    def sound(self, folder: Path) -> bool:
        return subprocess.run([self.program, "store", "verify", folder / "store"], env=self.environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def trial(bench: Bench, kind: str, delay: float, right: dict) -> tuple[str, list[str]]:
    """What became of the run, and what is wrong after it."""
    folder = bench.prepare("trial")
    process = bench.start(folder)
    time.sleep(delay)
    bench.overwrite(folder, kind, "b")
    _, error = process.communicate(timeout=120)
    faults = []
    if process.returncode < 0:
        faults.append(f"killed by signal {-process.returncode}")
    found = bench.answers(folder)
    if process.returncode == 0 and found not in (right["a"], right["b"]):
        faults.append("the record holds answers of neither version")
    if process.returncode != 0 and not error.strip():
        faults.append(f"exit {process.returncode} without a word")
    if (folder / "store/packs").exists() and not bench.sound(folder):
        faults.append("the store is not sound")
    for version in ("b", "a"):
        bench.overwrite(folder, kind, version)
        if bench.run(folder) != right[version]:
            faults.append(f"version {version} answers otherwise on the store that was left")
    outcome = "stopped" if process.returncode != 0 else "answered as " + ("a" if found == right["a"] else "b")
    return outcome, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build/release"))
    parser.add_argument("--instants", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, action="append")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    wrong = 0
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(options.build.resolve(), Path(root))
        for kind in options.kind or KINDS:
            right = {}
            for version in ("a", "b"):
                folder = bench.prepare("alone")
                bench.overwrite(folder, kind, version)
                begin = time.monotonic()
                right[version] = bench.run(folder)
                whole = time.monotonic() - begin
            if right["a"] == right["b"]:
                raise SystemExit(f"{kind}: both versions answer the same, so nothing could be noticed")
            outcomes: dict[str, int] = {}
            for i in range(options.instants):
                delay = whole * (i + chance.random()) / options.instants
                outcome, faults = trial(bench, kind, delay, right)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
                wrong += len(faults)
                for fault in faults:
                    print(f"{kind}, {delay * 1000:.1f} ms: {fault}", flush=True)
            told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
            print(f"{kind:15} {options.instants} instants of {whole * 1000:.0f} ms: {told}", flush=True)
    print(f"{wrong} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
