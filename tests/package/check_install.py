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
        text = script.read_text(encoding="utf-8")
        for rule in re.findall(r"file\(INSTALL ([^)]*)\)", text):
            for path in re.findall(r'"([^"]*)"', rule.partition("FILES")[2]):
                if path.startswith(f"{build}/"):
                    yield path, " OPTIONAL" in rule


def main() -> int:
    source, build = Path(sys.argv[1]), Path(sys.argv[2])
    targets = quick_start_targets(source)
    inputs = subprocess.run(["ninja", "-C", build, "-t", "inputs", *targets], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.split("\n")
    # `inputs` names what the targets are made of, not themselves.
    built = {str(build / name.strip()) for name in inputs} | {str(build / "bin" / "dbsa-pipe")}
    faults = looked = 0
    for path, optional in installed_files(build):
        made_here = not path.endswith((".toml", ".cmake"))  # those are written by configuring
        looked += 1
        if made_here and not optional and path not in built:
            faults += 1
            print(f"{path}: is installed, and {' '.join(targets)} do not build it")
    print(f"{looked} installed files looked at, {faults} faults")
    return 1 if faults or looked < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
