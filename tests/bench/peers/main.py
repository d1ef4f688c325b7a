"""Polyak beside its peers: whole runs of the same problem from the same numbers. See script/bench-peers."""

import argparse
import json
import os
import sys

from tests.bench.peers import growth, growth_plot, networks, quadratic
from tests.bench.peers.measure import processor_name

# A case is a function of the number of rounds that returns a list of rows (measure.Row). A new case is one more line.
CASES = {
    "quadratic-10": quadratic.ten,
    "quadratic-1000": quadratic.thousand,
    "quadratic-4000": quadratic.four_thousand,
    "relu-65536": networks.relu_65536,
    "relu-digits": networks.relu_digits,
    "deep-linear-2048": networks.deep_linear_2048,
    "deep-linear-gaussian": networks.deep_linear_gaussian,
    "growth-relu": growth.relu,
    "growth-deep-linear": growth.deep_linear,
}


def main():
    parser = argparse.ArgumentParser(prog="script/bench-peers", description=__doc__)
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="times each contestant runs (default 5)")
    parser.add_argument("--json", default="build/bench-peers.json", help="where the figures go")
    parser.add_argument("--plot", help="an SVG file for the picture of the growth cases")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(CASES))
        return
    processor = processor_name()
    rows = []
    for name in arguments.case or CASES:
        print(f"bench-peers: {name}", file=sys.stderr)
        rows += CASES[name](arguments.rounds)
    print(f"{processor}, {os.cpu_count()} cores; load at the end {os.getloadavg()[0]:.1f}; medians of {arguments.rounds} rounds, taken in turn")
    print(f"{'case':<39} {'contestant':<36} {'seconds':>9} {'ratio':>8} {'processor s':>12} {'ratio':>8}  note")
    for row in rows:
        print(f"{row.case:<39} {row.contestant:<36} {row.seconds:>9.4g} {row.ratio:>8.4g} {row.processor_seconds:>12.4g} "
              f"{row.processor_ratio:>8.4g}  {row.note}")
    os.makedirs(os.path.dirname(os.path.abspath(arguments.json)), exist_ok=True)
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump({"processor": processor, "cores": os.cpu_count(), "load": os.getloadavg(), "rounds": arguments.rounds,
                   "command": "script/bench-peers " + " ".join(sys.argv[1:]), "rows": [vars(row) for row in rows]}, file, indent=1)
    if arguments.plot:
        growth_plot.draw(rows, arguments.plot, f"{processor}, {os.cpu_count()} cores; medians")


if __name__ == "__main__":
    main()
