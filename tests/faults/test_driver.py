#!/usr/bin/env python3
"""Tests of the driver's own parts; what they judge is tested by inject.py."""
import pathlib
import random
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import disk_states as disk  # noqa: E402
import inject  # noqa: E402
import judge  # noqa: E402
import plan  # noqa: E402
import store_files  # noqa: E402
import workspace  # noqa: E402


def make_pack(keys, plane=b"x" * 64):
    rows_offset = 4096 + 64 * len(keys)
    rows = b"".join(store_files.ROW.pack(bytes([key]) * 16, 1, 1, 0, 1, 1, 1, 1, len(plane), 0,
                                         4096 + 64 * i, 64, i, 0) for i, key in enumerate(keys))
    head = store_files.HEADER.pack(store_files.MAGIC, 1, 4096, rows_offset + len(rows), 0, len(keys),
                                   rows_offset, len(keys), 0)
    return head.ljust(4096, b"\0") + plane * len(keys) + rows


class Folder(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.path = pathlib.Path(self._folder.name)


class StoreFiles(Folder):
    def test_blocks_are_those_of_all_packs(self):
        (self.path / "packs").mkdir()
        (self.path / "packs/pack-00000001.h5").write_bytes(make_pack([1, 2]))
        (self.path / "packs/pack-00000002.h5").write_bytes(make_pack([2, 3], b"y" * 64))
        (self.path / "packs/writing-1-2.h5").write_bytes(b"")
        found = store_files.blocks(self.path)
        self.assertEqual(sorted(found), ["01" * 16, "02" * 16, "03" * 16])
        self.assertEqual(found["02" * 16], found["03" * 16])
        self.assertNotEqual(found["01" * 16], found["02" * 16])

    def test_a_cut_pack_is_unsound(self):
        path = self.path / "pack-00000001.h5"
        path.write_bytes(make_pack([1])[:-1])
        with self.assertRaisesRegex(store_files.Unsound, "4255 bytes, its header says 4256"):
            store_files.blocks_of_pack(path)

    def test_leftovers_are_temporary_files_and_empty_records(self):
        for name in ("writing-1-a.h5", "a.pool.tmp-Ab12Cd", "empty.json", "pack-00000001.h5"):
            (self.path / name).write_bytes(b"" if name == "empty.json" else b"x")
        self.assertEqual(store_files.leftovers(self.path),
                         ["a.pool.tmp-Ab12Cd", "empty.json", "writing-1-a.h5"])


class Plan(unittest.TestCase):
    def test_positions(self):
        self.assertEqual(list(plan.powers_of_two(9)), [1, 2, 4, 8])
        self.assertEqual(plan.spread(3, 5), [1, 2, 3])
        self.assertEqual(plan.spread(1000, 5), [1, 250, 500, 750, 1000])
        self.assertEqual(plan.spread(0, 5), [])

    def test_the_test_command_tries_every_call_that_changes_files(self):
        found = [p.at for p in plan.quick("encode", {"fsync": 50})]
        self.assertEqual(found, list(range(1, 41)))
        self.assertEqual([p.at for p in plan.quick("query", {"read": 50})], [1, 2, 4, 8, 16, 32])

    def test_by_hand_every_one_is_tried(self):
        found = [p for p in plan.full("encode", {"mmap": 1500, "malloc": 50000})]
        self.assertEqual(sum(p.call == "mmap" for p in found), 1500)
        self.assertEqual(sum(p.call == "malloc" and p.error == "ENOMEM" for p in found), 1000)


class Results(Folder):
    def test_a_cut_line_is_done_again_and_spoils_no_other(self):
        path = self.path / "results"
        path.write_text('{"command": "gc", "call": "fsync", "error": "EIO", "at": 1}\n{"comm')
        with inject.open_results(path) as file:
            file.write(b'{"command": "gc", "call": "fsync", "error": "EIO", "at": 2}\n')
        found = [inject.key_of(result).at for result in inject.results_before(path)]
        self.assertEqual(found, [1, 2])


class Ends(unittest.TestCase):
    def judged(self, code, error):
        class NoReport:
            frames = []
        return judge.judge_end(workspace.Finished(code, "", error), "write", "ENOSPC", NoReport)

    def test_a_failure_names_what_failed(self):
        self.assertEqual(self.judged(4, "error: /a/b: cannot write: No space left on device\n"), [])
        self.assertEqual(self.judged(5, "error: std::bad_function_call\n"),
                         [("message", "it names neither a file nor what was done: "
                                      "error: std::bad_function_call")])
        self.assertEqual(self.judged(4, ""), [("message", "no error is told")])
        self.assertEqual(self.judged(4, "error: /a/b: no such file\n"),
                         [("cause", "it does not say 'No space left on device'")])

    def test_no_command_dies_or_hangs(self):
        self.assertEqual(self.judged(-6, ""), [("died", "SIGABRT")])
        self.assertEqual(self.judged(None, ""), [("hung", "it did not end")])


class Traces(unittest.TestCase):
    def test_functions_are_shown_by_name_only(self):
        for full, short in (("dbsa::Result<void> dbsa::f<int>(int)", "dbsa::f"),
                            ("dbsa::(anonymous namespace)::A::g((anonymous namespace)::B const&) const",
                             "dbsa::A::g"),
                            ("dbsa::h()::{lambda(int)#1}::operator()(int) const", "dbsa::h"),
                            ("main", "main")):
            self.assertEqual(judge.without_arguments(full), short)


class DiskStates(Folder):
    """A file is written, synced, renamed: what the disk may hold at each instant."""

    def setUp(self):
        super().setUp()
        self.root = self.path / "root"
        self.root.mkdir()
        (self.root / "old").write_bytes(b"old")
        self.disk = disk.Disk(self.root)

    def operate(self, kind, name, to="", offset=0, data=b""):
        at = f"{self.root}/{name}" if name else str(self.root)
        self.disk.apply(disk.Operation(kind, at, f"{self.root}/{to}" if to else "", offset, data))

    def state(self, keep):
        target = self.path / f"state-{random.random()}"
        self.disk.make_state(disk.Keep(keep), target)
        return {path.name: path.read_bytes() for path in target.iterdir()}

    def test_what_is_not_synced_may_be_missing(self):
        self.operate(disk.OPEN, "new")
        self.operate(disk.WRITE, "new", data=b"12345")
        self.assertEqual(self.state(False), {"old": b"old"})
        self.assertEqual(self.state(True), {"old": b"old", "new": b"12345"})

    def test_a_synced_name_may_have_no_bytes(self):
        self.operate(disk.OPEN, "new")
        self.operate(disk.WRITE, "new", data=b"12345")
        self.operate(disk.SYNC, "")
        self.assertEqual(self.state(False), {"old": b"old", "new": b""})

    def test_a_synced_file_may_have_its_old_name(self):
        self.operate(disk.OPEN, "new")
        self.operate(disk.WRITE, "new", data=b"12345")
        self.operate(disk.SYNC, "new")
        self.operate(disk.RENAME, "new", "old")
        self.assertEqual(self.state(False), {"old": b"old"})
        self.assertEqual(self.state(True), {"old": b"12345"})
        self.operate(disk.SYNC, "")
        self.assertEqual(self.state(False), {"old": b"12345"})

    def test_a_removed_file_may_be_there(self):
        self.operate(disk.UNLINK, "old")
        self.assertEqual(self.state(False), {"old": b"old"})
        self.assertEqual(self.state(True), {})

    def test_writes_are_cut_at_sectors(self):
        self.operate(disk.OPEN, "new")
        self.operate(disk.SYNC, "")
        self.operate(disk.WRITE, "new", data=b"x" * 2000)
        sizes = {len(self.state(random.Random(seed))["new"]) for seed in range(60)}
        self.assertEqual(sizes, {0, 512, 1024, 1536, 2000})

    def test_a_folder_that_is_not_synced_may_be_missing_with_all_in_it(self):
        self.operate(disk.MKDIR, "a")
        self.operate(disk.OPEN, "a/new")
        self.operate(disk.SYNC, "a")
        self.assertEqual(self.state(False), {"old": b"old"})

    def test_a_log_is_read_as_it_was_written(self):
        log = self.path / "log"
        log.write_bytes(struct.pack("<IIIIQ", disk.RENAME, 2, 3, 0, 0) + b"/a/bc" +
                        struct.pack("<IIIIQ", disk.WRITE, 2, 0, 4, 7) + b"/ddata")
        self.assertEqual(disk.read_log(log), [disk.Operation(disk.RENAME, "/a", "/bc", 0, b""),
                                              disk.Operation(disk.WRITE, "/d", "", 7, b"data")])


if __name__ == "__main__":
    unittest.main()
