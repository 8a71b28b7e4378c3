"""The commands that are disturbed, what each starts from, and what it must have done if it says so."""
import json
import shutil

import store_files

ONE_THREAD = ["--threads", "1"]  # so that calls come in the same order each time
RECOVER = ["run", "pipeline.toml", "--json", "--output", "after", *ONE_THREAD]
QUERY = ["query", "pipeline.toml", "--json", *ONE_THREAD]


def answers_of(text):
    return [store_files.answers(json.loads(line)) for line in text.splitlines()]


class Facts:
    """What a folder holds after an undisturbed command, by which others are judged."""

    def __init__(self, folder, done):
        store = folder / "store"
        self.blocks = store_files.blocks(store)
        self.pools = store_files.pools(store)
        self.packs = len(store_files.packs(store))
        self.weights = store_files.files(folder / "cache/dbsa-pipe/weights")
        self.records = store_files.records(folder / "runs")
        self.cells = store_files.records(folder / "sweep" / "records")
        self.report = store_files.files(folder / "report")
        self.exported = store_files.files(folder / "exported")
        self.out = done.out


class Command:
    """A command line, the scene that it starts from, and whether it must keep what is there."""

    scene = "encoded"
    stdin = None
    makes_pool = False  # the pool is there only afterwards
    children = False    # calls of the processes that it starts fail, too

    def __init__(self, name, words):
        self.name, self.words = name, words

    def missing(self, facts, wanted, done):
        """What is not as it must be after exit code 0."""
        return []

    def partial(self, facts, wanted):
        """What is there, but not whole."""
        return []


def differences(found, wanted, what):
    lost = sorted(wanted.keys() - found.keys())
    wrong = sorted(key for key in found.keys() & wanted.keys() if found[key] != wanted[key])
    return ([f"{len(lost)} of {len(wanted)} {what} are not there"] if lost else []) + (
        [f"{len(wrong)} {what} are different"] if wrong else [])


def not_whole(found, wanted, what):
    return [f"{what} {name} is not whole" for name in sorted(found.keys() & wanted.keys())
            if found[name] != wanted[name]]


class Encode(Command):
    scene = "empty"
    makes_pool = True

    def missing(self, facts, wanted, done):
        faults = differences(facts.blocks, wanted.blocks, "blocks")
        faults += differences(facts.pools, wanted.pools, "pools")
        # Packed weights only save time; to say that they are not kept is enough.
        if "weights are not kept" not in done.error:
            faults += differences(facts.weights, wanted.weights, "files of packed weights")
        return faults

    def partial(self, facts, wanted):
        return not_whole(facts.pools, wanted.pools, "pool")


class Run(Encode):
    def missing(self, facts, wanted, done):
        faults = super().missing(facts, wanted, done)
        # One more where a run failed after its record was written.
        whole = facts.records and all(record == wanted.records[0] for record in facts.records)
        return faults if whole else [*faults, "another record"]

    def partial(self, facts, wanted):
        faults = super().partial(facts, wanted)
        return faults if facts.records in ([], wanted.records) else [*faults, "another record"]


class Query(Command):
    stdin = "../queries.jsonl"

    def missing(self, facts, wanted, done):
        return [] if answers_of(done.out) == answers_of(wanted.out) else ["other answers"]


class Maintain(Command):
    def missing(self, facts, wanted, done):
        faults = [] if facts.packs == wanted.packs else [
            f"{facts.packs} packs are left, an undisturbed command leaves {wanted.packs}"]
        if facts.blocks.keys() - wanted.blocks.keys():
            faults.append("blocks are there that should have gone")
        return faults


class Compact(Maintain):
    scene = "scattered"


class Collect(Maintain):
    scene = "garbage"


class Sweep(Command):
    def missing(self, facts, wanted, done):
        return [] if facts.cells == wanted.cells else ["other records of cells"]

    def partial(self, facts, wanted):
        return [] if all(cell in wanted.cells for cell in facts.cells) else ["other records of cells"]


class SweepCells(Sweep):
    children = True


class MakeReport(Command):
    scene = "swept"

    def missing(self, facts, wanted, done):
        return differences(facts.report, wanted.report, "files of the report")

    def partial(self, facts, wanted):
        return not_whole(facts.report, wanted.report, "report")


class Verify(Command):
    def missing(self, facts, wanted, done):
        return [] if done.out == wanted.out else [f"it says {done.out!r}"]


class Export(Command):
    def missing(self, facts, wanted, done):
        return differences(facts.exported, wanted.exported, "exported files")

    def partial(self, facts, wanted):
        return not_whole(facts.exported, wanted.exported, "exported file")


def make_commands():
    commands = [
        Encode("encode", ["encode", "pipeline.toml", "--json", *ONE_THREAD]),
        Run("run", ["run", "pipeline.toml", "--json", *ONE_THREAD]),
        Query("query", QUERY),
        Compact("compact", ["store", "compact", "pipeline.toml"]),
        Collect("gc", ["store", "gc", "pipeline.toml"]),
        Verify("verify", ["store", "verify", "pipeline.toml"]),
        Export("export", ["store", "export", "pipeline.toml", "--all", "--output", "exported"]),
        Sweep("sweep", ["sweep", "sweep.toml", "--jobs", "1", *ONE_THREAD]),
        SweepCells("cells", ["sweep", "sweep.toml", "--jobs", "1", *ONE_THREAD]),
        MakeReport("report", ["report", "sweep", "--output", "report"]),
    ]
    return {command.name: command for command in commands}


def make_scenes(base):
    """Makes the folders that commands start from."""
    base.folder("empty")
    encoded = base.folder("encoded")
    base.run_ok(encoded, ["encode", "pipeline.toml", *ONE_THREAD])
    swept = base.copy("encoded", "swept")
    base.run_ok(swept, ["sweep", "sweep.toml", *ONE_THREAD])
    # A pack for each block, and two for one of them.
    scattered = base.folder("scattered")
    often = ["--set", "kv_store.publish_interval_s=0.0", *ONE_THREAD]
    base.run_ok(scattered, ["encode", "pipeline.toml", *often])
    shutil.copy2(store_files.packs(scattered / "store")[0], scattered / "store/packs/pack-00000900.h5")
    # Two pools whose blocks share packs, one of them given up, and what a killed encoder left.
    garbage = base.copy("scattered", "garbage")
    (garbage / "store/packs/pack-00000900.h5").unlink()
    kept = set(store_files.pools(garbage / "store"))
    base.run_ok(garbage, ["encode", "other.toml", *often])
    base.run_ok(garbage, ["store", "compact", "pipeline.toml"])
    for name in set(store_files.pools(garbage / "store")) - kept:
        (garbage / "store/pools" / name).unlink()
    (garbage / "store/packs/writing-1-0.h5").write_bytes(b"left by a process that was killed")
