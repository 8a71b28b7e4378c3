#!/usr/bin/env python3
"""Runs clang-tidy on everything that a build compiles of framework, plugins and tools.

A unity build's units are checked whole, so that each header is parsed and searched once for many
files: half the time, and the same findings except one. clang-tidy looks for unused using
declarations only in a unit's own text, so those are looked for here. What was clean is remembered
by a hash of all that clang-tidy reads, and checked again when any of it changes.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("framework", "plugins", "tools")


def sources_of(unit):
    """The files of the project that a unit is made of."""
    text = unit.read_text() if unit.parent.name == "Unity" else ""
    return [pathlib.Path(name) for name in re.findall(r'^#include "(.*)"$', text, re.M)] or [unit]


def units_of(build):
    """The compile commands to check, each with its sources; every source in one of them only."""
    seen, units = set(), []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        unit = pathlib.Path(entry["file"])
        sources = [s for s in sources_of(unit)
                   if s.suffix == ".cc" and s.is_relative_to(SOURCE)
                   and s.relative_to(SOURCE).parts[0] in FOLDERS]
        if not sources or seen.issuperset(sources):
            continue
        seen.update(sources)
        units.append((unit, sources, entry))
    return sorted(units, key=lambda u: -len(u[1]))  # the longest first


def read_by(entry):
    """Everything that the compiler reads, comments included, for they may hold a NOLINT."""
    command = shlex.split(entry["command"])
    if os.path.basename(command[0]) == "ccache":
        command = command[1:]
    command = [c for i, c in enumerate(command) if c not in ("-c", "-o") and command[i - 1] != "-o"]
    return subprocess.run([*command, "-E", "-C", "-P"], cwd=entry["directory"], capture_output=True,
                          check=True).stdout


def unused_using(source):
    """A finding for each name that a using declaration brings and the file never says again."""
    text = source.read_text()
    for match in re.finditer(r"^using (?:\w*::)+(\w+);", text, re.M):
        if len(re.findall(rf"\b{match[1]}\b", text)) == text.count(match[0]):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{source}:{line}: error: nothing uses '{match[0]}' [misc-unused-using-decls]"


def check(unit, entry, build, known, common):
    """The findings, or nothing."""
    try:
        verdict = known / hashlib.sha256(common + read_by(entry)).hexdigest()
    except subprocess.CalledProcessError as error:
        return error.stderr.decode(errors="replace")
    if verdict.exists():
        return ""
    # One configuration for all: a unit lies in the build folder, which need not be within the sources.
    run = subprocess.run(
        ["clang-tidy", "-quiet", "-p", build, f"--config-file={SOURCE / '.clang-tidy'}", unit],
        capture_output=True, text=True, errors="replace")
    if run.returncode == 0:
        verdict.touch()
        return ""
    return run.stdout + "\n".join(line for line in run.stderr.splitlines()
                                  if not re.match(r"\d+ warnings? generated|Suppressed", line))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=pathlib.Path, help="a configured build folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--all", action="store_true", help="check again what is known to be clean")
    args = parser.parse_args()

    known = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    known = known / "dbsa-pipe" / "clang-tidy"
    known.mkdir(parents=True, exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    common = version + (SOURCE / ".clang-tidy").read_bytes()
    if args.all:
        common += os.urandom(16)

    units = units_of(args.build.resolve())
    files = sorted({source for _, sources, _ in units for source in sources})
    unused = [finding for source in files for finding in unused_using(source)]
    print("\n".join(unused))
    failures = len(unused)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for findings in pool.map(lambda u: check(u[0], u[2], args.build, known, common), units):
            if findings:
                failures += 1
                print(findings, flush=True)
    print(f"clang-tidy: {len(files)} files in {len(units)} units, {failures} with findings")
    return 1 if failures or not files else 0


if __name__ == "__main__":
    sys.exit(main())
