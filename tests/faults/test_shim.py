#!/usr/bin/env python3
"""Tests of the preload libraries, on small Python programs: test_shim.py FAULT_SHIM DISK_LOG."""
import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import disk_states  # noqa: E402
import workspace  # noqa: E402

SHIM, DISK_LOG = "", ""

PROLOGUE = """
import ctypes, fcntl, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result in (-1, None): raise OSError(ctypes.get_errno(), "")
file = os.open("file", os.O_RDWR | os.O_CREAT)
os.pwrite(file, b"x" * 4096, 0)
"""

# What each kind of call is made by.
PROGRAMS = {
    "write": "os.write(file, b'abcd')",
    "pwrite": "os.pwrite(file, b'abcd', 0)",
    "fsync": "os.fsync(file)",
    "fdatasync": "os.fdatasync(file)",
    "rename": "os.rename('file', 'other')",
    "link": "os.link('file', 'other')",
    "unlink": "os.unlink('file')",
    "mkdir": "os.mkdir('folder')",
    "open": "os.open('file', os.O_RDONLY)",
    "close": "os.close(file)",
    "ftruncate": "os.ftruncate(file, 100)",
    "fallocate": "check(libc.fallocate(file, 1, 0, 4096))",
    "flock": "fcntl.flock(file, fcntl.LOCK_EX)",
    "mmap": "mmap.mmap(file, 4096)",
    "madvise": "m = mmap.mmap(file, 4096); m.madvise(mmap.MADV_WILLNEED)",
    "read": "os.read(file, 4)",
    "pread": "os.pread(file, 4, 0)",
    "readdir": "os.listdir('.')",
    "stat": "os.stat('file')",
}


class Preloaded(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.path = pathlib.Path(self._folder.name)
        self.report_path = self.path / "report"

    def run_program(self, body, environment):
        work = self.path / "scene"
        shutil.rmtree(work, ignore_errors=True)
        self.report_path.unlink(missing_ok=True)  # or it counts on
        work.mkdir()
        program = (f"{PROLOGUE}\ntry:\n    {body}\nexcept OSError as e:\n    os._exit(e.errno)\n"
                   "os._exit(0)\n")
        return subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], cwd=work,
                              env={"PATH": os.environ["PATH"], **environment}, capture_output=True,
                              text=True)

    def wish(self, call=None, at=0, error=""):
        base = type("Base", (), {"shim": SHIM})
        return workspace.shim_environment(base, self.report_path, call, at, error)

    def count(self, body, call):
        done = self.run_program(body, self.wish())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return workspace.Report(self.report_path).counts[call]


class FaultShim(Preloaded):
    def test_each_kind_of_call_fails_at_its_position_and_not_before(self):
        for call, body in PROGRAMS.items():
            with self.subTest(call=call):
                last = self.count(body, call)
                self.assertGreater(last, 0)
                done = self.run_program(body, self.wish(call, last, "EDQUOT"))
                self.assertEqual(done.returncode, errno.EDQUOT, done.stderr)
                self.assertEqual(workspace.Report(self.report_path).reached, 1)
                done = self.run_program(body, self.wish(call, last + 1000, "EDQUOT"))
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_memory_runs_out(self):
        body = "check(ctypes.cast(libc.malloc(10), ctypes.c_void_p).value)"
        last = self.count(body, "malloc")
        done = self.run_program(body, self.wish("malloc", last // 2, "ENOMEM+"))
        self.assertNotEqual(done.returncode, 0)

    def test_a_short_write_writes_half(self):
        body = "assert os.write(file, b'abcdef') == 3"
        last = self.count("os.write(file, b'abcdef')", "write")
        done = self.run_program(body, self.wish("write", last, "short"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_all_later_calls_fail_where_that_is_asked(self):
        body = ("try: os.fsync(file)\n    except OSError: os.fsync(file)")
        once = self.run_program(body, self.wish("fsync", 1, "EIO"))
        self.assertEqual(once.returncode, 0, once.stderr)
        always = self.run_program(body, self.wish("fsync", 1, "EIO+"))
        self.assertEqual(always.returncode, errno.EIO, always.stderr)
        self.assertEqual(workspace.Report(self.report_path).reached, 2)

    def test_the_report_says_on_what_and_where(self):
        self.run_program("os.fsync(file)", self.wish("fsync", 1, "EIO"))
        report = workspace.Report(self.report_path)
        self.assertTrue(report.on.endswith("/scene/file"), report.on)
        self.assertTrue(any("python" in frame for frame in report.frames), report.frames)

    def test_children_take_no_part_unless_asked(self):
        body = "import subprocess; os._exit(subprocess.call(['sync', 'file']))"
        self.assertEqual(self.run_program(body, self.wish("fsync", 1, "EIO")).returncode, 0)
        wish = self.wish("fsync", 1, "EIO") | {"DBSA_FAULT_CHILDREN": "1"}
        self.assertEqual(self.run_program(body, wish).returncode, 1)

    def test_a_wish_that_cannot_be_met_is_refused(self):
        for wish, said in ((("writ", 1, "EIO"), "DBSA_FAULT_CALL must be a kind of call, got \"writ\""),
                           (("write", 0, "EIO"), "DBSA_FAULT_AT must be a number from 1, got \"0\""),
                           (("write", 1, "EXX"), "DBSA_FAULT_ERROR must be a known error, got \"EXX\"")):
            done = self.run_program("pass", self.wish(*wish))
            self.assertEqual((done.returncode, done.stderr), (125, f"fault_shim: {said}\n"))


class DiskLog(Preloaded):
    def test_the_last_state_is_what_the_program_left(self):
        body = ("os.mkdir('a'); os.write(file, b'end'); os.ftruncate(file, 5000); "
                "os.fsync(file); os.rename('file', 'a/file'); "
                "b = os.open('b', os.O_WRONLY | os.O_CREAT); os.write(b, b'12'); os.write(b, b'34'); "
                "c = os.open('c', os.O_WRONLY | os.O_CREAT); os.unlink('c'); os.link('b', 'd')")
        log, work = self.path / "log", self.path / "scene"
        work.mkdir()
        disk = disk_states.Disk(work)
        done = self.run_program(body, {"LD_PRELOAD": DISK_LOG, "DBSA_DISK_LOG": str(log),
                                       "DBSA_DISK_ROOT": str(work)})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for operation in disk_states.read_log(log):
            disk.apply(operation)
        state = self.path / "state"
        disk.make_state(disk_states.Keep(True), state)
        found = {str(p.relative_to(state)): p.read_bytes() for p in state.rglob("*") if p.is_file()}
        wanted = {str(p.relative_to(work)): p.read_bytes() for p in work.rglob("*") if p.is_file()}
        self.assertEqual(sorted(wanted), ["a/file", "b", "d"])
        self.assertEqual(found, wanted)


if __name__ == "__main__":
    SHIM, DISK_LOG = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
