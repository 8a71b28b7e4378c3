#!/usr/bin/env python3
"""Forges files with right checksums, runs dbsa-pipe on each, and reports how badly it takes them.

    tools/acceptance/forge_files.py                          # everything, some 15 minutes on 2 cores
    tools/acceptance/forge_files.py --only pack:17 --keep /tmp/forged

A fault is a crash, a hang, memory above twice that of the honest file and 256 MiB, an answer that the
forged bytes do not lead to, or an error that does not say which file is wrong. Forged numbers that are
plausible (a block's values, a weight, an index) may change answers: that is none.

Kinds: KV packs, pool manifests with the index of every retriever, packed weights, model folders, pipelines,
sweeps and data. Bytes are changed blindly and by the files' structure (forge_mutations.py,
forge_kinds.py); then each checksum on the way is made right (forge_formats.py). The same seed forges the
same cases. Exits 1 if there was a fault; the folder of each is left under --keep, with faults.txt.
"""

import argparse
import collections
import dataclasses
import json
import multiprocessing
import os
import pathlib
import random
import re
import resource
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

import forge_formats as formats
import forge_kinds as kinds

FAISS = ["Flat", "SQ8", "SQ6", "SQ4", "SQfp16", "PQ8", "PQ8x4", "PQ8x4fs", "HNSW16", "HNSW16,SQ8", "HNSW16,PQ8",
         "IVF4,Flat", "IVF4,SQ8", "IVF4,SQfp16", "IVF4,PQ8x4", "IVF4,PQ8x4fs", "PCA16,Flat", "PCAW16,IVF4,Flat",
         "PCAR16,HNSW8", "Flat,RFlat", "PQ8x4fs,RFlat"]
SMALL = {"data": "small", "decoding": "likelihood"}
# Name -> what differs from a float32 model that ranks 8 blocks of "small" by BM25.
PIPELINES = {
    "f32": {}, "bf16": {"model": "bf16"}, "int8": {"model": "bf16", "kv_dtype": "int8"},
    "bm25": SMALL, "vote": {"decoding": "vote"}, "all": {"retriever": 'plugin = "all"'},
    "random": {"retriever": 'plugin = "random"'},
    "hybrid": {"embedding": True, "retriever":
               'plugin = "hybrid"\n[retriever.first]\nplugin = "bm25"\n[retriever.second]\nplugin = "faiss"'},
    **{index: {"data": "large", "embedding": True, "retriever":
               f'plugin = "faiss"\nunit = "demonstration"\nindex = "{index}"'} for index in FAISS}}
WORDS = ["card", "money", "late", "rate", "fee", "cash", "phone", "pin"]
LABELS = ["alpha", "beta", "beta two", "gamma"]


def pipeline_text(model="f32", kv_dtype="auto", data="small", decoding="trie", retriever='plugin = "bm25"',
                  embedding=False):
    method = "llm_hidden" if embedding else "none"
    size = 16 if data == "large" else 3
    return (f'[model]\npath = "{model}"\nkv_dtype = "{kv_dtype}"\n[data]\ndemonstrations = "{data}.jsonl"\n'
            f'queries = "queries.jsonl"\n[block_grouper]\nblock_size = {size}\n[mask_pattern]\nplugin = "dbsa"\n'
            f'[selection]\ncount = 3\n[embedding]\nmethod = "{method}"\n[decoding]\nmethod = "{decoding}"\n'
            f'[kv_store]\npath = "stores/none"\n[retriever]\n{retriever}\n')


class Base:
    """Models, data, pipelines, and a store for each pipeline, all made by the real programs."""

    def __init__(self, root, build):
        self.root, self.program = pathlib.Path(root), build / "bin/dbsa-pipe"
        self.queries, self.names = self.examples(6, 2), list(PIPELINES)
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        for dtype in ("f32", "bf16"):
            subprocess.run([build / "bin/dbsa-make-checkpoint", f"--out={self.root / dtype}", "--preset=tiny",
                            f"--dtype={dtype}", "--seed=3"], check=True, stdout=subprocess.DEVNULL)
        (self.root / "f32/generation_config.json").write_text('{"eos_token_id": [257], "do_sample": false}\n')
        self.make_sharded_model()
        for name, count in (("small", 24), ("large", 272)):
            (self.root / f"{name}.jsonl").write_bytes(self.examples(count, 1))
        (self.root / "queries.jsonl").write_bytes(self.queries)
        for name in ("small", "queries"):
            rows = map(json.loads, (self.root / f"{name}.jsonl").read_text().splitlines())
            (self.root / f"{name}.csv").write_text("text,label\n" + "".join(
                f'"{row["text"]}",{row["label"]}\n' for row in rows))
        (self.root / "labels.csv").write_text("label\nalpha\ndelta\n")
        (self.root / "indices.json").write_text("[0, 2, 4]\n")
        for name, changes in PIPELINES.items():
            self.pipeline(name).write_text(pipeline_text(**changes))
            words = ["run", self.pipeline(name), "--set", f"kv_store.path={self.store(name)}"]
            made = subprocess.run([self.program, *words, "--output", self.root / "runs"],
                                  env=environment(self.cache(name)), capture_output=True)
            if made.returncode != 0:
                raise SystemExit(f"the honest pipeline {name} fails:\n{made.stderr.decode()}")

    @staticmethod
    def examples(count, seed):
        draw = random.Random(seed)
        rows = ({"text": " ".join(draw.choices(WORDS, k=3)), "label": LABELS[i % 4]} for i in range(count))
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    def make_sharded_model(self):
        shutil.copytree(self.root / "f32", self.root / "sharded")
        (self.root / "sharded/model.safetensors").unlink()
        header, body = formats.split_safetensors((self.root / "f32/model.safetensors").read_bytes())
        tensors = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        places = {}
        for shard in (1, 2):
            name, entries, data = f"model-{shard:05}-of-00002.safetensors", {}, b""
            for tensor in sorted(tensors)[shard - 1::2]:
                begin, end = tensors[tensor]["data_offsets"]
                entries[tensor] = {**tensors[tensor], "data_offsets": [len(data), len(data) + end - begin]}
                data += body[begin:end]
                places[tensor] = name
            (self.root / "sharded" / name).write_bytes(formats.join_safetensors(json.dumps(entries).encode(), data))
        (self.root / "sharded/model.safetensors.index.json").write_text(json.dumps(
            {"metadata": {"total_size": len(body)}, "weight_map": places}))

    def pipeline(self, name):
        return self.root / (re.sub(r"\W", "_", name) + ".toml")

    def store(self, name):
        return self.root / "stores" / re.sub(r"\W", "_", name)

    def cache(self, name):
        return self.root / "caches" / re.sub(r"\W", "_", name)

    def only_file(self, name, folder):
        return next((self.store(name) / folder).iterdir())

    def packed_weights(self, name):
        return next((self.cache(name) / kinds.WEIGHTS).iterdir())


def environment(cache):
    """Neither the user's plugins nor the user's cache take part; threads of busy machines wait asleep."""
    return {**os.environ, "DBSA_PLUGIN_PATH": "", "XDG_CACHE_HOME": str(cache / "cache"), "OMP_WAIT_POLICY": "passive"}


# Kind -> (cases, what forges one, the honest files it may begin with).
TEXTS = ["f32", "int8", "bm25", "vote"]  # explain computes no embeddings
KINDS = {
    "pack": (500, kinds.forge_pack, ["f32", "bf16", "int8"]),
    "manifest": (600, kinds.forge_manifest, ["bm25", "f32", "vote", "all", "random", "hybrid", *FAISS]),
    "weights": (300, kinds.forge_weights, ["bf16", "f32"]),
    "model": (200, kinds.forge_model, [
        "f32/config.json", "f32/tokenizer.json", "f32/generation_config.json", "f32/model.safetensors", "f32/odd",
        "sharded/odd", "sharded/config.json", "sharded/model.safetensors.index.json",
        "sharded/model-00002-of-00002.safetensors", "f32/tokenizer.json"]),
    "pipeline": (100, kinds.forge_pipeline, TEXTS),
    "sweep": (100, kinds.forge_sweep, TEXTS),
    "data": (100, kinds.forge_data, [*kinds.DATA_KEYS, "standard input"]),
}
TIME_LIMIT_S = 10
UNCLEAR = ["std::", "[json.exception", "basic_string", "vector::_M", "what():"]


# ---- one command --------------------------------------------------------------------------------

@dataclasses.dataclass
class Outcome:
    code: int       # negative: the signal
    hung: bool
    peak_kib: int
    out: str
    error: str


def execute(program, words, given, folder):
    """Runs the program to its end, or for TIME_LIMIT_S."""
    files = ((folder / name).open("wb+") for name in ("out", "err", "in"))
    with next(files) as out, next(files) as error, next(files) as source:
        source.write(given or b"")
        source.seek(0)
        child = subprocess.Popen([program, *words], stdin=source, stdout=out, stderr=error, cwd=folder,
                                 env=environment(folder), start_new_session=True)
        ended = os.pidfd_open(child.pid)
        hung = not select.select([ended], [], [], TIME_LIMIT_S)[0]
        if hung:
            os.killpg(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        os.close(ended)
        child.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, error):
            file.seek(0)
            texts.append(file.read(4_000_000).decode("utf-8", "replace"))
    return Outcome(child.returncode, hung, usage.ru_maxrss, *texts)


def answers_of(name, outcome, folder):
    """(label, log-probability, blocks) of each query, and what is odd about them."""
    if name in ("query", "text"):
        answers = [json.loads(line) for line in outcome.out.splitlines()]
    else:
        answers = json.loads(max((folder / "runs").glob("*.json"), key=os.path.getmtime).read_text())["queries"]
    found, odd = [], []
    for answer in answers:
        blocks = [(block["block"], block["start"], block["tokens"]) for block in answer["blocks"]]
        if answer["log_probability"] is None or not -1e6 < answer["log_probability"] < 1e-3:
            odd.append(f"wrong outcome: a log-probability of {answer['log_probability']}")
        if len({block[0] for block in blocks}) < len(blocks):
            odd.append("wrong outcome: a block is selected twice")
        found.append([answer["label"], answer["log_probability"], [list(block) for block in blocks]])
    return found, sorted(set(odd))


# ---- judging ------------------------------------------------------------------------------------

def faults_of(case, name, outcome, honest):
    """What is wrong with how the program took a forged file."""
    if outcome.hung:
        yield f"hang: over {TIME_LIMIT_S} s"
    elif outcome.code < 0:
        yield f"crash: {signal.Signals(-outcome.code).name}"
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # a child begins as a copy, with this peak
    if outcome.peak_kib > max(own, 2 * honest["peak_kib"] + 256 * 1024):
        yield f"memory: {outcome.peak_kib >> 10} MiB, {honest['peak_kib'] >> 10} of the honest file"
    if outcome.hung or outcome.code < 0:
        return
    # `verify` prints what it finds, `query --json` the error of each line.
    said = outcome.error + (outcome.out if name in ("verify", "query") else "")
    for text in UNCLEAR:
        if text in said:
            yield f"unclear error: {text}"
    if outcome.code not in (0, 2, 3, 4, 5):
        yield f"unclear error: exit code {outcome.code}"
    if outcome.code != 0 and not said.strip():
        yield "unclear error: no message"
    elif outcome.code != 0 and not any(text in said for text in case.names):
        yield "unclear error: no name of a file"
    if outcome.code == 0 and name in ("query", "text", "run"):
        try:
            answers, odd = answers_of(name, outcome, case.folder)
        except (ValueError, KeyError, TypeError) as problem:
            yield f"wrong outcome: answers that cannot be read: {problem!r}"
            return
        yield from odd
        if not case.may_change and answers != honest["answers"]:
            yield "wrong outcome: other answers than the honest ones"


def try_case(job):
    """Forges and tries one case. Without a seed: the honest one, as (peak, answers) by command."""
    kind, number, name, seed, base, root, honest = job
    rng = None if seed is None else random.Random(f"{seed} {kind} {number}")
    folder = root / (f"honest-{kind}-" + re.sub(r"\W", "_", name) if rng is None else f"{kind}-{number}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    case = KINDS[kind][1](base, name, folder, rng)
    faults, reads, codes = [], {}, []
    for command, words, given in case.commands:
        outcome = execute(base.program, words, given, folder)
        if outcome.hung and rng is not None:  # once more: the machine may have been busy
            outcome = execute(base.program, words, given, folder)
        codes.append(outcome.code)
        if rng is None:
            if outcome.code != 0:
                raise RuntimeError(f"{kind} {name}: the honest case fails: {command}: {outcome.error}")
            answers = answers_of(command, outcome, folder)[0] if command in ("query", "text", "run") else None
            before = reads.get(command, {"peak_kib": 0})
            reads[command] = {"peak_kib": max(outcome.peak_kib, before["peak_kib"]), "answers": answers}
            continue
        for fault in faults_of(case, command, outcome, honest[command]):
            faults.append((command, fault))
            with (folder / "faults.txt").open("a", errors="backslashreplace") as file:
                file.write(f"{case.what}\n{fault}\n{base.program} {shlex.join(words)}\nexit code {outcome.code}\n"
                           f"{outcome.error[:4000]}\n{outcome.out[:4000]}\n\n")
    if not faults:
        shutil.rmtree(folder)
    return kind, number, name, reads if rng is None else all(code == 0 for code in codes), faults, case.what


def limit_memory():
    """A forged file must not take the whole machine with it."""
    for what, most in ((resource.RLIMIT_AS, 6 << 30), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))


# ---- all of them --------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"),
                        help="folder with bin/dbsa-pipe")
    parser.add_argument("--seed", default="1", help="of all mutations")
    parser.add_argument("--only", metavar="KIND[:NUMBER]", help="a kind, or one case of it")
    parser.add_argument("--share", type=float, default=1, help="how much of each kind's cases")
    parser.add_argument("--jobs", type=int, default=2, help="cases at once")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave honest files and failing cases here")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")
    only, _, number = (options.only or "").partition(":")
    if (only and only not in KINDS) or (number and not number.isdigit()):
        parser.error(f"--only: expected one of {', '.join(KINDS)}, and a number, got {options.only}")
    if not (options.build / "bin/dbsa-pipe").exists():
        parser.error(f"--build: expected a folder with bin/dbsa-pipe, got {options.build}; build the preset release")
    with tempfile.TemporaryDirectory(prefix="forge-") as temporary:
        root = (options.keep or pathlib.Path(temporary)).resolve()
        base = Base(root / "base", options.build.resolve())
        jobs = [(kind, i, names[i % len(names)]) for kind, (count, _, names) in KINDS.items() if only in ("", kind)
                for i in ([int(number)] if number else range(int(count * options.share)))]
        print(f"seed {options.seed}, {len(jobs)} cases", flush=True)
        return try_all(jobs, base, root, options)


def try_all(jobs, base, root, options):
    table = collections.defaultdict(collections.Counter)
    causes = collections.defaultdict(list)
    with multiprocessing.Pool(options.jobs, limit_memory, maxtasksperchild=50) as pool:
        needed = sorted({(kind, name) for kind, _, name in jobs})
        tried = pool.imap_unordered(try_case, [(kind, 0, name, None, base, root, None) for kind, name in needed])
        honest = {(kind, name): reads for kind, _, name, reads, _, _ in tried}
        work = ((kind, i, name, options.seed, base, root, honest[kind, name]) for kind, i, name in jobs)
        for done, (kind, i, name, accepted, faults, what) in enumerate(pool.imap_unordered(try_case, work), 1):
            table[kind].update({"cases": 1, "accepted": accepted, "refused": not accepted, "faults": bool(faults)})
            for command, fault in dict.fromkeys(faults):
                print(f"{kind}:{i} {name}: {command}: {fault}  ({what[:150]!r})", flush=True)
                causes[kind, command, re.sub(r"\d+ MiB.*", "", fault)].append(i)
            if done % 50 == 0:
                print(f"{done} of {len(jobs)}", file=sys.stderr, flush=True)
    print(f"\n{'kind':10}{'cases':>8}{'accepted':>10}{'refused':>9}{'faults':>8}")
    for kind, row in table.items():
        print(f"{kind:10}{row['cases']:8}{row['accepted']:10}{row['refused']:9}{row['faults']:8}")
    for (kind, command, fault), numbers in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"{len(numbers):5}  {kind}: {command}: {fault}  ({', '.join(map(str, sorted(numbers)[:8]))})")
    return 1 if causes else 0


if __name__ == "__main__":
    sys.exit(main())
