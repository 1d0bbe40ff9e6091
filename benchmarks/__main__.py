"""Measure, print the table, and with `--write` keep it: `python -m benchmarks [--only bulk,...] [--write]`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from . import bars, blocking, bulk, commands, decoding, doubts, figures, importing, journal, plot, streaming, throughput
from .peers import Peers
from .rows import ROUNDS, Row, table
from .server import Ports, running_server

HERE = Path(__file__).parent
BEGIN, END = "<!-- measured -->\n", "\n<!-- end of measured -->"

GROUPS: dict[str, Callable[[Peers, Ports, int], list[Row]]] = {
    "ideal": bulk.against_the_ideal,
    "bulk": bulk.against_peers,
    "throughput": throughput.rows,
    "decoding": lambda peers, _, rounds: decoding.rows(peers, rounds),
    "bars": lambda peers, _, rounds: bars.rows(peers, rounds),
    "blocking": blocking.rows,
    "streaming": streaming.rows,
    "commands": lambda peers, _, rounds: commands.rows(peers, rounds),
    "importing": lambda peers, _, rounds: importing.rows(peers, rounds),
    "doubts": doubts.rows,
    "journal": journal.rows,
    "figures": lambda _peers, _ports, rounds: figures.rows(rounds),
}


def main() -> int:
    """Run what was asked for; ends with 1 if a number is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="GROUPS", help=f"some of {','.join([*GROUPS, 'plot'])}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the table into README.md, and draw the plot")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else [*GROUPS, "plot"]

    rows: list[Row] = []
    print(f"{os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.2f}")
    with running_server() as ports, Peers() as peers:
        for name in chosen:
            if name == "plot":
                plot.draw(plot.measure(peers, ports), HERE / "concurrency.svg")
                continue
            measured = GROUPS[name](peers, ports, options.rounds)
            for row in measured:
                print(" | ".join(row.cells()), flush=True)
            rows += measured
    print(f"\n{table(rows)}")
    if options.write:
        _keep(rows)
    return 0 if all(row.reached for row in rows) else 1


def _keep(rows: list[Row]) -> None:
    """Put rows into the table of README.md, each in the place of the one that it had there."""
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    kept, _, after = rest.partition(END)
    lines = {}
    for line in [*kept.splitlines()[2:], *table(rows).splitlines()[2:]]:
        lines[line.split(" | ")[0]] = line
    readme.write_text(before + BEGIN + "\n".join([table([]), *lines.values()]) + END + after)


if __name__ == "__main__":
    raise SystemExit(main())
