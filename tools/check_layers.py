#!/usr/bin/env python3
"""Checks that each room includes only what lies below it.

A room is a folder. Within the framework each may include itself and those before it in ROOMS;
plugins see the boundary, the glue and what plugins share; nothing includes tools or tests, which see
everything. Prints each include that is against this, and exits with 1 if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# From the lowest to the highest.
ROOMS = ["framework/abi", "framework/sdk", "framework/text", "framework/config", "framework/host",
         "framework/model/tokenizer", "framework/model/chat", "framework/model/config", "framework/model/checkpoint",
         "framework/model/gguf", "framework/model/decoder", "framework/model/sentence",
         "framework/model", "framework/icl",
         "framework/pipeline/encode", "framework/pipeline/settings", "framework/pipeline/identity",
         "framework/pipeline/model", "framework/pipeline/pool", "framework/pipeline/answer", "framework/pipeline",
         "framework/pipeline/record", "framework/sweep", "framework/report",
         "tools/dbsa-pipe/terminal", "tools/dbsa-pipe", "tools/dbsa-pipe/commands"]
BOUNDARY = ["framework/abi", "framework/sdk", "plugins/shared"]
# Where `#include "a/b.h"` or <a/b.h> is looked for, beside the folder of the file itself.
PLACES = ["framework", "", "tools/dbsa-pipe", "framework/abi", "framework/sdk"]
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)


def room_of(path):
    """The longest of ROOMS that the path lies in; else its folder."""
    found = [room for room in ROOMS if path.startswith(room + "/")]
    return max(found, key=len) if found else str(pathlib.PurePosixPath(path).parent)


def find(file, name):
    for place in [file.parent] + [ROOT / place for place in PLACES]:
        if (place / name).is_file():
            return (place / name).resolve().relative_to(ROOT).as_posix()
    return None  # of the system


def fault(path, target):
    """Why a file may not include another one, or None."""
    room, below = room_of(path), room_of(target)
    if path.startswith("plugins/"):
        own = "/".join(path.split("/")[:3]) + "/"
        if not target.startswith(own) and not any(target.startswith(b + "/") for b in BOUNDARY):
            return "a plugin includes the boundary, plugins/shared and itself"
    elif room in ROOMS:
        if below not in ROOMS:
            return f"{room} includes the framework only"
        if ROOMS.index(below) > ROOMS.index(room):
            return f"{below} lies above {room}"
        if room == "framework/icl" and below.startswith("framework/model"):
            return "icl and model do not know each other"
    return None


def main():
    count, faults = 0, []
    for folder in ("framework", "plugins", "tools"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix not in (".cc", ".h", ".cu", ".cuh", ".c"):
                continue
            text = file.read_text()
            path = file.relative_to(ROOT).as_posix()
            for match in INCLUDE.finditer(text):
                target = find(file, match[1])
                if target is None:
                    continue
                count += 1
                reason = fault(path, target)
                if reason:
                    line = text.count("\n", 0, match.start(1)) + 1
                    faults.append(f"{path}:{line}: error: includes {target}: {reason}")
    print("\n".join(faults + [f"{count} includes, {len(faults)} against the order of the rooms"]))
    sys.exit(1 if faults or count == 0 else 0)


if __name__ == "__main__":
    main()
