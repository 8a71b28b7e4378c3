#!/usr/bin/env python3
"""Compares the answers of two result records of the same queries.

usage: compare_answers.py EXPECTED.json GOT.json [MOST]

Fails where more than MOST (5) labels differ: those that two backends may give to queries whose best
two labels are as good as equal.
"""
import json
import sys


def main():
    expected, got = (json.load(open(path)) for path in sys.argv[1:3])
    most = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    pairs = list(zip(expected["queries"], got["queries"]))
    if not pairs or len(expected["queries"]) != len(got["queries"]):
        sys.exit("the records have other queries")
    different = [(a, b) for a, b in pairs if a["label"] != b["label"]]
    distances = [abs(a["log_probability"] - b["log_probability"]) for a, b in pairs
                 if a["label"] == b["label"]]
    accuracy = [record["totals"]["accuracy"] for record in (expected, got)]
    print(f"{len(pairs)} queries, {len(different)} other labels; accuracy {accuracy[0]:.3f} and "
          f"{accuracy[1]:.3f}; log probabilities differ by {max(distances, default=0):.3g} at most")
    for a, b in different:
        lead = a["log_probability"] - (a["runner_up"] or a)["log_probability"]
        print(f"  line {a['line']}: {a['label']} (ahead by {lead:.3g}) and {b['label']}")
    totals = got["totals"]
    print("seconds: " + json.dumps({key: totals[key] for key in
                                    ("setup_seconds", "answer_seconds", "stage_seconds")}))
    sys.exit(len(different) > most)


main()
