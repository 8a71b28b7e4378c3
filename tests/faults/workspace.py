"""A tiny model, data and stores to work on, and the built program to run on copies of them."""
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tempfile

TIMEOUT_S = 30

PIPELINE = """[model]
path = "{base}/model"

[data]
demonstrations = "{base}/{pool}.jsonl"
queries = "{base}/queries.jsonl"

[block_grouper]
block_size = 4

[mask_pattern]
plugin = "dbsa"

[selection]
ratio = 0.5

[kv_store]
path = "store"
pack_bytes = 1048576
"""

SWEEP = """base = "pipeline.toml"
runs = 1

[output]
directory = "sweep"

[[axis]]
name = "share"
key = "selection.ratio"
values = [0.5, 1.0]
"""


class Finished:
    """What a process did."""

    def __init__(self, code, out, error):
        self.code, self.out, self.error = code, out, error

    @property
    def died(self):
        """The name of the signal that ended it, or None."""
        return signal.Signals(-self.code).name if self.code is not None and self.code < 0 else None

    @property
    def hung(self):
        return self.code is None


def scratch_root():
    """A file system in memory where there is one with room."""
    memory = pathlib.Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        free = shutil.disk_usage(memory).free
        if free > 512 << 20:
            return str(memory)
    return tempfile.gettempdir()


def make_examples(count, seed):
    words = "card money late rate fee cash phone pin limit lost".split()
    labels = ["alpha", "beta", "beta two", "gamma"]
    draw = random.Random(seed)
    return "".join(json.dumps({"text": " ".join(draw.choice(words) for _ in range(5)),
                               "label": labels[i % 4]}) + "\n" for i in range(count))


class Base:
    """The folder with model and data that all copies share, and the program."""

    def __init__(self, build, demonstrations=60, queries=5):
        build = pathlib.Path(build).resolve()
        self.program = build / "bin" / "dbsa-pipe"
        self.shim = build / "tests" / "libdbsa_fault_shim.so"
        self.disk_log = build / "tests" / "libdbsa_disk_log.so"
        for needed in (self.program, self.shim):
            if not needed.exists():
                raise SystemExit(f"{needed}: no such file; build the target area-faults")
        self._folder = tempfile.TemporaryDirectory(prefix="dbsa-faults-", dir=scratch_root())
        self.path = pathlib.Path(self._folder.name)
        made = subprocess.run([build / "bin" / "dbsa-make-checkpoint", f"--out={self.path}/model",
                               "--preset=tiny", "--dtype=f32", "--seed=3"], capture_output=True)
        if made.returncode != 0:
            raise SystemExit(made.stderr.decode())
        for name, count, seed in (("pool", demonstrations, 1), ("other", demonstrations, 3),
                                  ("third", demonstrations, 4), ("queries", queries, 2)):
            (self.path / f"{name}.jsonl").write_text(make_examples(count, seed))

    def close(self):
        self._folder.cleanup()

    def folder(self, name):
        """A new folder with pipeline files and nothing else."""
        path = self.path / name
        path.mkdir()
        for pool, file in (("pool", "pipeline"), ("other", "other"), ("third", "third")):
            (path / f"{file}.toml").write_text(PIPELINE.format(base=self.path, pool=pool))
        (path / "sweep.toml").write_text(SWEEP)
        return path

    def copy(self, scene, name):
        path = self.path / name
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.path / scene, path)
        return path

    def environment(self, folder, more=None):
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": str(folder),
                "XDG_CACHE_HOME": f"{folder}/cache", "DBSA_PLUGIN_PATH": "", **(more or {})}

    def start(self, folder, words, more=None, **streams):
        return subprocess.Popen([str(self.program), *words], cwd=folder,
                                env=self.environment(folder, more), **streams)

    def run(self, folder, words, stdin=None, more=None, stdout=subprocess.PIPE):
        """Runs the program in a folder, whose file `stdin` it reads."""
        source = open(folder / stdin, "rb") if stdin else subprocess.DEVNULL
        try:
            process = self.start(folder, words, more, stdin=source, stdout=stdout,
                                 stderr=subprocess.PIPE)
            try:
                out, error = process.communicate(timeout=TIMEOUT_S)
                code = process.returncode
            except subprocess.TimeoutExpired:
                process.kill()
                out, error = process.communicate()
                code = None
        finally:
            if stdin:
                source.close()
        return Finished(code, (out or b"").decode(errors="replace"),
                        error.decode(errors="replace"))

    def run_ok(self, folder, words, **options):
        done = self.run(folder, words, **options)
        if done.code != 0:
            raise SystemExit(f"{' '.join(map(str, words))} in {folder}: exit code {done.code}: "
                             f"{done.error}")
        return done


class Report:
    """The shim's report: struct Report of fault.c."""

    CALLS = 20

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        self.counts = {}
        for i in range(self.CALLS):
            name, count = struct.unpack_from("<16sQ", data, 24 * i)
            self.counts[name.rstrip(b"\0").decode()] = count
        (self.reached,) = struct.unpack_from("<Q", data, 24 * self.CALLS)
        text = data[24 * self.CALLS + 8:].split(b"\0")[0].decode(errors="replace")
        self.on, *self.frames = text.splitlines() or [""]


def shim_environment(base, report, call=None, at=0, error="", children=False):
    wish = {"LD_PRELOAD": str(base.shim), "DBSA_FAULT_REPORT": str(report)}
    if call is not None:
        wish |= {"DBSA_FAULT_CALL": call, "DBSA_FAULT_AT": str(at), "DBSA_FAULT_ERROR": error}
    if children:
        wish["DBSA_FAULT_CHILDREN"] = "1"
    return wish
