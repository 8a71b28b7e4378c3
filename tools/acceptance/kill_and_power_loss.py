#!/usr/bin/env python3
"""Kills processes at random instants, and cuts the power on paper; then looks at what is left.

Kills: rounds of two encoders, a reader, compact and gc at once on one store; one to three of them are
killed. Power: what encode, compact and gc do to their files is written down by a preload library, and
states that the disk may hold are made from it. After each: is the store sound, are the blocks and the
answers right, and are leftovers gone after `store gc`? Exit code 1 if any of it is not so.
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "faults"))
import disk_states  # noqa: E402
import judge  # noqa: E402
import scenes  # noqa: E402
import store_files  # noqa: E402
import workspace  # noqa: E402

BUSY = "is writing to this store"  # what compact and gc may say while an encoder is at work


def parse_words():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build/release", help="build folder")
    parser.add_argument("--kills", type=int, default=200, help="processes to kill (default: 200)")
    parser.add_argument("--states", type=int, default=300,
                        help="states of each command after a power failure (default: 300)")
    parser.add_argument("--seed", type=int, default=None, help="of all that is drawn")
    return parser.parse_args()


class Faults:
    def __init__(self):
        self.counts = collections.Counter()

    def add(self, where, found):
        for kind, text in found:
            self.counts[kind] += 1
            if self.counts[kind] <= 10:
                print(f"{where}: {kind}: {text}", flush=True)


# ---- kills -------------------------------------------------------------------------------------


class Process:
    def __init__(self, base, folder, name, words, stdin=None):
        self.name, self.killed = name, False
        source = open(stdin, "rb") if stdin else subprocess.DEVNULL
        self.process = base.start(folder, words, stdin=source, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        if stdin:
            source.close()

    def kill(self):
        """Kills it if it is still at work."""
        self.process.send_signal(signal.SIGKILL)

    def judge(self, expected):
        """Waits for its end. Faults of one that was not killed."""
        try:
            out, error = self.process.communicate(timeout=workspace.TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.communicate()
            return [("hung", self.name)]
        code = self.process.returncode
        self.killed = code == -signal.SIGKILL
        if self.killed:
            return []
        if code != 0:
            said = error.decode(errors="replace").strip()
            if self.name in ("compact", "gc") and code == 4 and BUSY in said:
                return []
            return [("failed", f"{self.name}: exit code {code}: {said[:300]}")]
        if self.name == "query" and scenes.answers_of(out.decode()) != expected:
            return [("wrong", "a reader got other answers")]
        return []


def plan_round(base, draw):
    """(name, words, input) of what runs at once. Encoders make pools that are not there yet."""
    few = ["--set", f"data.seed={draw.randrange(10**6)}", "--set", "data.demonstration_count=40"]
    publish = ["--set", f"kv_store.publish_interval_s={draw.choice([0.0, 10.0])}"]
    encode = [("encode", ["encode", file, *few, *publish, "--quiet", *scenes.ONE_THREAD], None)
              for file in ("other.toml", "third.toml")]
    maintain = [(name, ["store", name, "pipeline.toml"], None) for name in ("compact", "gc")]
    query = ("query", scenes.QUERY, base.path / "queries.jsonl")
    # Half of the rounds without encoders, so that compact and gc are let in.
    return [query, *maintain, *(encode if draw.random() < 0.5 else [query])]


def run_round(base, folder, plan, seconds, draw):
    """Starts all within a few instants, kills one to three at theirs, and waits for the others."""
    events = []  # (instant, number in `plan`, what to do)
    victims = draw.sample(range(len(plan)), draw.randint(1, 3))
    for i, (name, _, _) in enumerate(plan):
        begin = draw.random() * 0.04
        events.append((begin, i, "start"))
        if i in victims:
            events.append((begin + draw.random() * seconds[name], i, "kill"))
    processes, origin = {}, time.monotonic()
    for instant, i, what in sorted(events):
        time.sleep(max(0.0, origin + instant - time.monotonic()))
        if what == "start":
            processes[i] = Process(base, folder, *plan[i])
        else:
            processes[i].kill()
    return list(processes.values())


def measure(base, folder):
    """Seconds that each kind of process takes by itself, and half as much again."""
    seconds = {}
    for name, words, _ in plan_round(base, random.Random(1)) + plan_round(base, random.Random(2)):
        begin = time.monotonic()
        base.run_ok(folder, words, stdin="../queries.jsonl" if name == "query" else None)
        seconds[name] = 1.5 * (time.monotonic() - begin)
    return seconds


def judge_round(base, folder, kept, expected):
    faults = []
    verified = base.run(folder, ["store", "verify", "store"])
    if verified.code != 0:
        faults.append(("unsound", verified.out.strip()[:300]))
    try:
        faults += [("lost", text) for text in
                   scenes.differences(store_files.blocks(folder / "store"), kept, "blocks")]
    except store_files.Unsound as error:
        faults.append(("unsound", str(error)))
    done = base.run(folder, scenes.QUERY, stdin="../queries.jsonl")
    if done.code != 0 or scenes.answers_of(done.out) != expected:
        faults.append(("wrong", f"answers afterwards: {done.error.strip()[:200]}"))
    left, still_left = judge.judge_leftovers(base, folder)
    return left, faults + still_left


def kill_processes(base, kills, draw, faults):
    folder = base.copy("encoded", "kills")
    kept = store_files.blocks(folder / "store")
    own_pools = set(store_files.pools(folder / "store"))
    expected = scenes.answers_of(base.run_ok(folder, scenes.QUERY, stdin="../queries.jsonl").out)
    seconds = measure(base, base.copy("encoded", "measured"))
    killed, rounds, left = collections.Counter(), 0, 0
    told = time.monotonic()
    while sum(killed.values()) < kills:
        rounds += 1
        for process in run_round(base, folder, plan_round(base, draw), seconds, draw):
            faults.add(f"round {rounds}", process.judge(expected))
            killed[process.name] += process.killed
        found, wrong = judge_round(base, folder, kept, expected)
        left += found
        faults.add(f"round {rounds}", wrong)
        for name in set(store_files.pools(folder / "store")) - own_pools:
            if draw.random() < 0.7:
                (folder / "store" / "pools" / name).unlink()
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{sum(killed.values())} of {kills} kills in {rounds} rounds", flush=True)
    print(f"kills      {sum(killed.values())} in {rounds} rounds: "
          + ", ".join(f"{count} of {name}" for name, count in sorted(killed.items()))
          + f"; {left} leftovers seen")


# ---- power -------------------------------------------------------------------------------------


def instants(operations):
    """After which operations the power may fail: around each one that makes something certain."""
    found = {0, len(operations)}
    for i, operation in enumerate(operations):
        if operation.kind not in (disk_states.OPEN, disk_states.WRITE):
            found |= {i, i + 1}
    return sorted(found)


def record_operations(base, command):
    folder = base.copy(command.scene, "power")
    log = base.path / "disk-log"
    log.unlink(missing_ok=True)
    begin = disk_states.Disk(folder)
    base.run_ok(folder, command.words, more={"LD_PRELOAD": str(base.disk_log),
                                             "DBSA_DISK_LOG": str(log),
                                             "DBSA_DISK_ROOT": str(folder)})
    return begin, disk_states.read_log(log)


def make_plan(operations, states, draw):
    """(instant, what is kept) of each state: the extremes at each instant, then random ones."""
    marks = instants(operations)
    plan = [(mark, keep) for mark in marks for keep in (False, True)]
    draw.shuffle(plan)
    plan = [(len(operations), False), *plan[:states * 2 // 3]]
    while len(plan) < states:
        mark = draw.choice(marks) if draw.random() < 0.5 else draw.randrange(len(operations) + 1)
        plan.append((mark, random.Random(draw.random())))
    return sorted(plan, key=lambda entry: entry[0])


def cut_power(base, reference, command, states, draw, faults):
    disk, operations = record_operations(base, command)
    applied, left = 0, 0
    for mark, keep in make_plan(operations, states, draw):
        for operation in operations[applied:mark]:
            disk.apply(operation)
        applied = mark
        target = base.path / "work-0"
        shutil.rmtree(target, ignore_errors=True)
        disk.make_state(disk_states.Keep(keep), target)
        # What had ended must be certain.
        ended = workspace.Finished(0 if mark == len(operations) else 4, "", "")
        found = judge.judge_store(base, target, command, reference, ended)
        seen, still = judge.judge_leftovers(base, target)
        left += seen
        found += still + judge.judge_recovery(base, target, command, reference, ended)
        shown = keep if isinstance(keep, bool) else "some"
        faults.add(f"{command.name}, {mark} of {len(operations)} operations, unsynced kept: {shown}",
                   found)
    print(f"power      {states} states of {command.name}, of {len(operations)} operations; "
          f"{left} leftovers seen", flush=True)


def main():
    words = parse_words()
    seed = words.seed if words.seed is not None else int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    draw = random.Random(seed)
    faults = Faults()
    base = workspace.Base(words.build)
    try:
        scenes.make_scenes(base)
        commands = scenes.make_commands()
        kill_processes(base, words.kills, draw, faults)
        names = ["encode", "run", "compact", "gc"]
        reference = judge.Reference(base, [commands[name] for name in names])
        for name in names:
            cut_power(base, reference, commands[name], words.states, draw, faults)
    finally:
        base.close()
    print("\n" + (", ".join(f"{count} {kind}" for kind, count in faults.counts.items()) or "no")
          + " faults")
    return 1 if faults.counts else 0


if __name__ == "__main__":
    sys.exit(main())
