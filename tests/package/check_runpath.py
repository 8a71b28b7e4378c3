#!/usr/bin/env python3
"""No built or installed file may make the loader look for libraries where a stranger can put one.

usage: check_runpath.py BUILD WORK

Looks at every ELF file of a build tree and of an installation of it (made in WORK): no entry of a
RUNPATH or RPATH is empty (the current folder), relative, or a folder that others can write to.
"""
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path


def elf_files(folder: Path):
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix in (".o", ".a"):
            continue
        with path.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                yield path


def search_paths(path: Path) -> list[str]:
    """Entries of RUNPATH and RPATH."""
    text = subprocess.run(["readelf", "-dW", path], check=True, capture_output=True, text=True).stdout
    entries: list[str] = []
    for found in re.finditer(r"\((?:RUNPATH|RPATH)\)\s+Library r(?:un)?path: \[(.*)\]", text):
        entries += found.group(1).split(":")
    return entries


def fault(entry: str) -> str:
    if entry == "":
        return "an empty entry, which is the current folder"
    if entry == "$ORIGIN" or entry.startswith("$ORIGIN/"):
        return ""
    if not entry.startswith("/"):
        return f"the relative entry {entry!r}"
    for folder in [Path(entry), *Path(entry).parents]:
        mode = folder.stat().st_mode if folder.exists() else 0
        # In a folder such as /tmp others can make what is missing.
        if mode & stat.S_IWOTH and not (mode & stat.S_ISVTX and Path(entry).exists()):
            return f"the entry {entry!r}, where everybody may write ({folder})"
    return ""


def main() -> int:
    build, work = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(work, ignore_errors=True)
    subprocess.run(["cmake", "--install", build, "--prefix", work], check=True, stdout=subprocess.DEVNULL)
    files = list(elf_files(build)) + list(elf_files(work))
    faults = 0
    for path in files:
        for entry in search_paths(path):
            if what := fault(entry):
                faults += 1
                print(f"{path}: its RUNPATH has {what}")
    print(f"{len(files)} files looked at, {faults} faults")
    plugins = [path for path in files if path.suffix == ".so" and os.fspath(work) in os.fspath(path)]
    if not plugins:
        print("expected plugins among the installed files, found none")
    return 1 if faults or not plugins else 0


if __name__ == "__main__":
    sys.exit(main())
