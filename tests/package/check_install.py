#!/usr/bin/env python3
"""`cmake --install` must work right after the quick start's build.

usage: check_install.py SOURCE BUILD

Every file of the build tree that the installation copies, and does not call optional, is one that
the quick start's targets build. BUILD is a build tree of Ninja.
"""
import re
import subprocess
import sys
from pathlib import Path


def quick_start_targets(source: Path) -> list[str]:
    text = (source / "tools" / "quickstart.sh").read_text(encoding="utf-8")
    found = re.search(r"cmake --build --preset release --target (.*)", text)
    if not found:
        sys.exit("tools/quickstart.sh: expected a line cmake --build --preset release --target ...")
    return found.group(1).split()


def installed_files(build: Path):
    """Files of the build tree in the installation's scripts, with whether they are optional."""
    for script in sorted(build.rglob("cmake_install.cmake")):
        # Tests make further build trees in this one.
        if any((folder / "CMakeCache.txt").exists() for folder in script.parents
               if folder != build and folder.is_relative_to(build)):
            continue
        text = script.read_text(encoding="utf-8")
        for rule in re.findall(r"file\(INSTALL ([^)]*)\)", text):
            for path in re.findall(r'"([^"]*)"', rule.partition("FILES")[2]):
                if path.startswith(f"{build}/"):
                    yield Path(path).relative_to(build).as_posix(), " OPTIONAL" in rule


def main() -> int:
    source, build = Path(sys.argv[1]), Path(sys.argv[2])
    targets = quick_start_targets(source)
    commands = subprocess.run(["ninja", "-C", build, "-t", "commands", *targets], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
    built = set(re.findall(r" -o (\S+)", commands))
    # The program writes its manual pages and completions there when it is linked.
    shared = re.search(r"dbsa-pipe completion --output (\S+)", commands)
    folder = Path(shared.group(1)).relative_to(build).as_posix() + "/" if shared else None
    faults = looked = 0
    for path, optional in installed_files(build):
        looked += 1
        if folder and path.startswith(folder):
            continue
        # Manifests and the CMake package are written by configuring.
        if path not in built and not optional and not path.endswith((".toml", ".cmake")):
            faults += 1
            print(f"{path}: is installed, and {' '.join(targets)} do not build it")
    print(f"{looked} installed files looked at, {faults} faults")
    return 1 if faults or looked < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
