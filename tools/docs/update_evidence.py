#!/usr/bin/env python3
"""Writes the tables of docs/evidence.md from the records of the sweeps in pipelines/evidence.

    tools/docs/update_evidence.py                      # of runs/evidence
    tools/docs/update_evidence.py --runs DIR --program build/release/bin/dbsa-pipe

A table stands between two comments, `begin NAME: VALUES` and `end`. NAME is a sweep, VALUES are values of its
axes, as in "begin methods: model=SmolLM2 135M", that the table is of. A cell without a record is named as such.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PAGE = SOURCE / "docs" / "evidence.md"
TABLE = re.compile(r"(<!-- begin (\w+)(?:: ([^>]*?))? -->\n).*?(<!-- end -->)", re.DOTALL)


def study_of(program, folder):
    """The report's figures of one sweep."""
    out = subprocess.run(
        [program, "report", folder, "--json", "--no-plots", "--quiet", "--output", folder / "report"],
        check=True, capture_output=True, text=True).stdout
    document, _ = json.JSONDecoder().raw_decode(out)
    return document["studies"][0]


def percent(accuracy):
    if accuracy is None:
        return "no answer"
    low, high = accuracy["interval_95"] or (None, None)
    interval = f" ({100 * low:.1f} to {100 * high:.1f})" if low is not None else ""
    return f"{100 * accuracy['mean']:.1f}{interval}"


def difference(group):
    """From the baseline, paired; marked where its interval leaves out zero."""
    found = group["accuracy_difference"]
    if group["baseline"] or found is None:
        return ""
    low, high = found["interval_95"] or (-1, 1)
    return f"; {100 * found['mean']:+.1f}{'*' if low > 0 or high < 0 else ''}"


def table_of(study, wanted):
    """Rows are values of the axis with the most of them that is not wanted; columns those of the others."""
    groups = [g for g in study["groups"]
              if all(g["values"].get(axis) == value for axis, value in wanted.items())]
    axes = [a for a in study["axes"] if a["name"] not in wanted]
    rows, columns = axes[0], axes[1:]
    heads = [[]]
    for axis in columns:
        heads = [head + [(axis["name"], value)] for head in heads for value in axis["values"]]
    by_values = {tuple(sorted((k, str(v)) for k, v in g["values"].items() if k not in wanted)): g
                 for g in groups}
    lines = [f"| {rows['name']} | " + " | ".join(", ".join(str(v) for _, v in head) for head in heads) + " |",
             "|---|" + "---|" * len(heads)]
    for value in rows["values"]:
        cells = []
        for head in heads:
            key = tuple(sorted([(rows["name"], str(value))] + [(k, str(v)) for k, v in head]))
            group = by_values.get(key)
            cells.append("not run" if group is None else percent(group["accuracy"]) + difference(group))
        lines.append(f"| {value} | " + " | ".join(cells) + " |")
    draws = sorted({g["draws"] for g in groups})
    queries = sorted({g["accuracy"]["queries"] for g in groups if g["accuracy"] and "queries" in g["accuracy"]})
    lines += ["", f"{' or '.join(str(d) for d in draws)} draws of the demonstrations"
              + (f", {' or '.join(str(q) for q in queries)} queries each." if queries else ".")]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=pathlib.Path, default=SOURCE / "runs" / "evidence")
    parser.add_argument("--program", type=pathlib.Path,
                        default=SOURCE / "build" / "release" / "bin" / "dbsa-pipe")
    arguments = parser.parse_args()
    studies = {}

    def fill(match):
        name = match.group(2)
        folder = arguments.runs / name
        if not folder.is_dir():
            sys.exit(f"{folder}: no such sweep; run dbsa-pipe sweep pipelines/evidence/{name}.toml")
        if name not in studies:
            studies[name] = study_of(arguments.program, folder)
        wanted = dict(pair.strip().split("=", 1) for pair in (match.group(3) or "").split(";") if pair.strip())
        return f"{match.group(1)}\n{table_of(studies[name], wanted)}\n\n{match.group(4)}"

    PAGE.write_text(TABLE.sub(fill, PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
