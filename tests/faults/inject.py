#!/usr/bin/env python3
"""Makes calls of dbsa-pipe fail one by one, and checks what is left: see README.md.

The test command runs it as it is, a command at a time; with --full it tries every position, which
takes an hour, and continues where it was stopped.
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import queue
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import judge  # noqa: E402
import plan  # noqa: E402
import scenes  # noqa: E402
import workspace  # noqa: E402

# Calls that a command must be seen to make, or the shim does not stand before them.
MUST_COUNT = {"encode": ["write", "pwrite", "fsync", "rename", "open", "mmap", "pread", "malloc"],
              "compact": ["pwrite", "fsync", "rename", "unlink", "flock"]}


def parse_words():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="build folder, of the preset release")
    parser.add_argument("--commands", default="", help="some of them, with commas (default: all)")
    parser.add_argument("--calls", default="", help="some kinds of calls, with commas")
    parser.add_argument("--full", action="store_true", help="every position, not only a few")
    parser.add_argument("--results", help="file of results; what is in it is not done again")
    parser.add_argument("--jobs", type=int, default=1, help="positions at once")
    parser.add_argument("--position", help="only COMMAND:CALL:ERROR:N, with all that is known of it")
    return parser.parse_args()


def wanted_commands(words):
    commands = scenes.make_commands()
    names = [name for name in words.commands.split(",") if name] or list(commands)
    if words.position:
        names = [words.position.split(":")[0]]
    unknown = [name for name in names if name not in commands]
    if unknown:
        raise SystemExit(f"--commands: unknown {', '.join(unknown)}; there are {', '.join(commands)}")
    return {name: commands[name] for name in names}


def positions_of(words, commands, reference):
    if words.position:
        command, call, error, at = words.position.split(":")
        return [plan.Position(command, call, error, int(at))]
    make = plan.full if words.full else plan.quick
    calls = {call for call in words.calls.split(",") if call}
    return [position for name in commands for position in make(name, reference.counts[name])
            if not calls or position.call in calls]


def check_counts(reference):
    for name, calls in MUST_COUNT.items():
        for call in calls:
            if name in reference.counts and reference.counts[name][call] == 0:
                raise SystemExit(f"{name} made no {call}: the preload library does not see it")


def results_before(path):
    if not path or not pathlib.Path(path).exists():
        return []
    lines = pathlib.Path(path).read_text().splitlines()
    results = []
    for line in lines:
        try:
            results.append(json.loads(line))
        except ValueError:
            pass  # cut when the program was killed
    return results


def open_results(path):
    """The file, to be appended to from a new line on."""
    file = open(path, "a+b")
    if file.seek(0, 2) > 0:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")
    return file


def key_of(result):
    return plan.Position(*(result[name] for name in plan.Position._fields))


class Progress:
    def __init__(self, total):
        self.total, self.done, self.faulty, self.begin = total, 0, 0, time.monotonic()
        self.told = self.begin

    def add(self, result):
        self.done += 1
        self.faulty += bool(result["faults"])
        now = time.monotonic()
        if now - self.told < 10 and self.done < self.total:
            return
        self.told = now
        left = (now - self.begin) / self.done * (self.total - self.done)
        print(f"{self.done} of {self.total} positions, {self.faulty} with faults, "
              f"{left / 60:.1f} min to go", flush=True)


def run_positions(words, base, commands, reference, todo):
    workers = queue.SimpleQueue()
    for worker in range(words.jobs):
        workers.put(worker)

    def one(position):
        worker = workers.get()
        try:
            return judge.disturb(base, reference, commands[position.command], *position[1:], worker)
        finally:
            workers.put(worker)

    progress = Progress(len(todo))
    file = open_results(words.results) if words.results else None
    with concurrent.futures.ThreadPoolExecutor(words.jobs) as pool:
        for result in pool.map(one, todo):
            if file:
                file.write(json.dumps(result).encode() + b"\n")
                file.flush()
            progress.add(result)
            yield result


def print_table(results):
    """Counts by call and error."""
    rows = collections.defaultdict(collections.Counter)
    for result in results:
        row = rows[result["command"], result["call"], result["error"]]
        row["positions"] += 1
        row["reached"] += result["reached"] > 0
        row["handled" if result["code"] == 0 else "refused"] += 1
        row["leftovers"] += result["leftovers"] > 0
        row["faults"] += bool(result["faults"])
    columns = ["positions", "reached", "refused", "handled", "leftovers", "faults"]
    print(f"\n{'command':9}{'call':10}{'error':11}" + "".join(f"{name:>10}" for name in columns))
    total = collections.Counter()
    for key, row in sorted(rows.items()):
        print("{:9}{:10}{:11}".format(*key) + "".join(f"{row[name]:>10}" for name in columns))
        total.update(row)
    print(f"{'all':30}" + "".join(f"{total[name]:>10}" for name in columns))


def cause_of(result):
    """What faulty results have in common: the kinds of faults, the call, and where it was made."""
    kinds = "+".join(sorted({kind for kind, _ in result["faults"]}))
    own = [name for name in result["where"] if "dbsa::" in name]
    return kinds, result["call"], result["where"][0], *own[:2]


def print_faults(results):
    """Each cause once, with the first result that has it."""
    faulty = [result for result in results if result["faults"]]
    causes = collections.defaultdict(list)
    for result in faulty:
        causes[cause_of(result)].append(result)
    for (kinds, *_), same in sorted(causes.items(), key=lambda cause: (cause[0][0], -len(cause[1]))):
        first = same[0]
        commands = sorted({result["command"] for result in same})
        print(f"\n{kinds}: {len(same)} of {', '.join(commands)}, such as "
              "{command}:{call}:{error}:{at}, exit code {code}".format(**first))
        for kind, text in first["faults"]:
            print(f"  {kind}: {text}")
        print(f"  said: {first['message']}")
        print(f"  on {first['on'] or 'memory'}, in {' < '.join(first['where'])}")
    return len(faulty)


def main():
    words = parse_words()
    commands = wanted_commands(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that its folder goes
    base = workspace.Base(words.build)
    try:
        scenes.make_scenes(base)
        reference = judge.Reference(base, commands.values())
        check_counts(reference)
        wanted = positions_of(words, commands, reference)
        before = results_before(words.results)
        known = {key_of(result) for result in before}
        todo = [position for position in wanted if position not in known]
        print(f"{len(wanted)} positions, {len(wanted) - len(todo)} of them done before")
        results = before + list(run_positions(words, base, commands, reference, todo))
    finally:
        base.close()
    print_table(results)
    faulty = print_faults(results)
    unreached = sum(1 for result in results if not result["reached"])
    if unreached > len(results) // 20:
        print(f"\n{unreached} of {len(results)} positions were not reached: the counts do not repeat")
        return 1
    print(f"\n{faulty} of {len(results)} positions with faults")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
