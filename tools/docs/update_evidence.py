#!/usr/bin/env python3
"""Keeps docs/evidence.csv, a row for each cell of the sweeps in pipelines/evidence, and writes the tables
and pictures of docs/evidence.md from it.

    tools/docs/update_evidence.py --runs runs/evidence    # takes the cells of these records, then writes
    tools/docs/update_evidence.py                         # writes
    tools/docs/update_evidence.py --check                 # exits 1 if the page does not say what the rows say

The sweeps take many hours, so they may be run in parts and on several machines: a cell's row is replaced
by one of at least as many draws of the demonstrations. Figures are those of `dbsa-pipe report`, so the
records of a cell's draws, and of its baseline's, must lie together. In the page a table stands between two
comments, `begin NAME: VALUES` and `end`. NAME is a sweep, VALUES are values of its axes that the table is
of, as in "begin methods: model=SmolLM2 135M". A cell without a row is named as such.
"""

import argparse
import csv
import html
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SWEEPS = SOURCE / "pipelines" / "evidence"
PAGE = SOURCE / "docs" / "evidence.md"
ROWS = SOURCE / "docs" / "evidence.csv"
PICTURES = SOURCE / "docs" / "evidence"
TABLE = re.compile(r"(<!-- begin (\w+)(?:: ([^>]*?))? -->\n).*?(<!-- end -->)", re.DOTALL)
COLUMNS = ["sweep", "cell", "draws", "queries", "demonstrations", "blocks", "selected_tokens", "accuracy", "low",
           "high", "covers", "difference", "difference_low", "difference_high", "group", "commit", "backend"]


def cell_name(values):
    """As in "data=trec; model=SmolLM2 135M": names of axes in their order of letters."""
    return "; ".join(f"{axis}={values[axis]}" for axis in sorted(values))


def read_rows():
    if not ROWS.exists():
        return {}
    with ROWS.open(newline="", encoding="utf-8") as file:
        return {(row["sweep"], row["cell"]): row for row in csv.DictReader(file)}


def written(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[key] for key in sorted(rows))
    return out.getvalue()


def fixed(number, digits=4):
    return "" if number is None else f"{number:.{digits}f}"


def interval(summary):
    return (summary or {}).get("interval_95") or (None, None)


def row_of(sweep, group, commit):
    record = json.loads(pathlib.Path(group["records"][0]).read_text(encoding="utf-8"))
    accuracy, difference = group["accuracy"], group["accuracy_difference"]
    return {
        "sweep": sweep, "cell": cell_name(group["values"]), "draws": str(group["draws"]),
        "queries": str(record["totals"]["queries"]),
        "demonstrations": f"{group['demonstrations']:.0f}", "blocks": f"{group['blocks']:.0f}",
        "selected_tokens": f"{group['selected_tokens']:.0f}", "accuracy": fixed(accuracy["mean"]),
        "low": fixed(interval(accuracy)[0]), "high": fixed(interval(accuracy)[1]), "covers": accuracy["covers"],
        "difference": fixed(difference["mean"]) if difference else "",
        "difference_low": fixed(interval(difference)[0]), "difference_high": fixed(interval(difference)[1]),
        "group": group["identity"]["group"], "commit": commit,
        "backend": re.sub(r", \d+ threads?$", "", record["model"]["backend"]),
    }


def take(rows, runs, program, commit):
    """Adds the cells of the records below `runs`."""
    for folder in sorted(path.parent for path in runs.glob("*/sweep.json")):
        with tempfile.TemporaryDirectory() as scratch:
            out = subprocess.run([program, "report", folder, "--json", "--no-plots", "--quiet", "--output", scratch],
                                 check=True, capture_output=True, text=True).stdout
        for group in json.loads(out)["studies"][0]["groups"]:
            row = row_of(folder.name, group, commit)
            key = (row["sweep"], row["cell"])
            if key not in rows or int(rows[key]["draws"]) <= int(row["draws"]):
                rows[key] = row


def axes_of(sweep):
    """[(name, values)] of a sweep's file."""
    document = tomllib.loads((SWEEPS / f"{sweep}.toml").read_text(encoding="utf-8"))
    return [(axis["name"], [str(v) for v in axis.get("values", [v["name"] for v in axis.get("value", [])])])
            for axis in document["axis"]]


def percent(share):
    return f"{100 * float(share):.1f}"


def table_cell(row):
    if row is None:
        return "not run"
    text = percent(row["accuracy"])
    if row["low"]:
        text += f" ({percent(row['low'])} to {percent(row['high'])})"
    if row["difference"]:
        sure = row["difference_low"] and float(row["difference_low"]) * float(row["difference_high"]) > 0
        text += f"; {100 * float(row['difference']):+.1f}{'*' if sure else ''}"
    return text


def some(values, one, many):
    """As in "1 draw" and "1 to 3 draws"."""
    values = sorted({int(v) for v in values})
    if len(values) > 1:
        return f"{values[0]:,} to {values[-1]:,} {many}"
    return f"{values[0]:,} {one if values[0] == 1 else many}"


class Table:
    """Rows are the values of the first axis that is not wanted; columns those of the others."""

    def __init__(self, sweep, wanted, rows):
        axes = [(name, values) for name, values in axes_of(sweep) if name not in wanted]
        self.sweep, self.wanted = sweep, wanted
        self.row_axis, self.row_names = axes[0]
        self.heads = [{}]
        for axis, values in axes[1:]:
            self.heads = [head | {axis: value} for head in self.heads for value in values]
        self.rows = [[rows.get((sweep, cell_name(wanted | {self.row_axis: name} | head))) for head in self.heads]
                     for name in self.row_names]

    def head_text(self, head):
        return ", ".join(value if axis in ("data", "model") else f"{axis} {value}" for axis, value in head.items())

    def markdown(self):
        lines = [f"| {self.row_axis} | " + " | ".join(self.head_text(head) for head in self.heads) + " |",
                 "|---|" + "---|" * len(self.heads)]
        for name, row in zip(self.row_names, self.rows):
            lines.append(f"| {name} | " + " | ".join(table_cell(cell) for cell in row) + " |")
        found = [cell for row in self.rows for cell in row if cell]
        count = sum(len(row) for row in self.rows)
        if found:
            draws = some([c["draws"] for c in found], "draw of the demonstrations", "draws of the demonstrations")
            queries = some([c["queries"] for c in found], "query", "queries each")
            lines += ["", f"{draws}, {queries}; {len(found)} of {count} cells have records."]
        else:
            lines += ["", f"None of {count} cells has a record."]
        return "\n".join(lines)

    def picture(self):
        """Dots with their intervals: a panel for each column, a line for each row."""
        label, panel, line, top = 190, 150, 18, 34
        width, height = label + panel * len(self.heads), top + line * len(self.rows) + 22
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
               f'font-size="11" role="img"><title>{html.escape(self.title())}</title>',
               f'<rect width="{width}" height="{height}" fill="#fff"/>']
        for i, head in enumerate(self.heads):
            left = label + panel * i + 10
            out.append(f'<text x="{left}" y="20" font-weight="bold">{html.escape(self.head_text(head))}</text>')
            for share in (0, 0.5, 1):
                x = left + share * (panel - 20)
                out.append(f'<path d="M{x:.1f} {top - 6}V{height - 20}" stroke="#ccc"/><text x="{x:.1f}" '
                           f'y="{height - 6}" text-anchor="middle">{100 * share:.0f}</text>')
        for r, (name, row) in enumerate(zip(self.row_names, self.rows)):
            y = top + line * r + 8
            out.append(f'<text x="{label - 4}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text>')
            for i, cell in enumerate(row):
                if cell is None:
                    continue
                left = label + panel * i + 10
                x, low, high = (left + float(cell[k] or cell["accuracy"]) * (panel - 20)
                                for k in ("accuracy", "low", "high"))
                out.append(f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="#0b5394" stroke-width="2"/>'
                           f'<circle cx="{x:.1f}" cy="{y}" r="3.5" fill="#0b5394"/>')
        return "\n".join(out + ["</svg>"]) + "\n"

    def title(self):
        return f"Accuracy in percent with 95 % intervals: {self.sweep}, {', '.join(self.wanted.values()) or 'all'}"

    def picture_name(self):
        return re.sub(r"[^a-z0-9]+", "_", " ".join([self.sweep, *self.wanted.values()]).lower()) + ".svg"


def documents(rows):
    """Everything that is made from the rows: path -> text."""
    made = {}

    def fill(match):
        pairs = (pair.strip() for pair in (match.group(3) or "").split(";"))
        table = Table(match.group(2), dict(pair.split("=", 1) for pair in pairs if pair), rows)
        picture = ""
        if any(cell for row in table.rows for cell in row):
            made[PICTURES / table.picture_name()] = table.picture()
            picture = f"![{table.title()}](evidence/{table.picture_name()})\n\n"
        return f"{match.group(1)}\n{table.markdown()}\n\n{picture}{match.group(4)}"

    page = PAGE.read_text(encoding="utf-8")
    made[PAGE] = TABLE.sub(fill, page)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=pathlib.Path, help="a folder with the sweeps' folders")
    parser.add_argument("--program", type=pathlib.Path, default=SOURCE / "build" / "release" / "bin" / "dbsa-pipe")
    parser.add_argument("--commit", help="that the program of the runs was built from (default: this one)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    arguments = parser.parse_args()
    rows = read_rows()
    if arguments.runs:
        commit = arguments.commit or subprocess.run(["git", "-C", SOURCE, "rev-parse", "--short", "HEAD"], check=True,
                                                    capture_output=True, text=True).stdout.strip()
        take(rows, arguments.runs, arguments.program, commit)
    made = documents(rows) | {ROWS: written(rows)}
    changed = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if arguments.check:
        for path in changed:
            print(f"{path.relative_to(SOURCE)}: out of date; run tools/docs/update_evidence.py", file=sys.stderr)
        return 1 if changed else 0
    PICTURES.mkdir(exist_ok=True)
    for path in changed:
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
