"""What the program as a whole does and costs, beside what the library does when it is called directly.

    python tests/bench/bench_program.py [--quick] [--instances 5,20,50,200] [--callers 16,32] [--seconds 10] [--out DIR]
    python tests/bench/bench_program.py --soak MINUTES [--instances 200] [--pace 50] [--out DIR]

Everything runs on 127.0.0.1 against the sandbox network, over REST and real webhooks. Callers, customers, receiver and
sandbox are processes of their own: they share the machine with the program, but its costs are told apart. `--out` gets
figures.json (as they come), tables.md and cost.svg. Figures are printed, not judged; `--quick` is for development
(under a minute).

`--soak` measures nothing but whether memory, descriptors and threads stay where they are under steady traffic: it says
so at the start, each minute and at the end, with what they grow by in an hour. Where something was lost, not told or
refused it ends with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from load import soak, standing, tables
from load.direct import direct_receives, direct_sends
from load.processes import descendants, pss_mb
from load.traffic import CUSTOMERS, paced, receives, sends
from load.world import world

PACE = 50.0
"""Messages a second, where nobody shall queue."""

DIRECT_AT_MOST = 20
"""Instances beyond which the library called directly gains nothing more."""


class Notes:
    """All figures of a run: what, under which circumstances, how much. `out` has them as they come."""

    def __init__(self, out: Path | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._out = out
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)

    def __call__(self, what: str, circumstances: dict[str, Any], figures: dict[str, Any]) -> None:
        self.rows.append({"what": what, **circumstances, **figures})
        if self._out is not None:
            (self._out / "figures.json").write_text(json.dumps(self.rows, indent=1) + "\n")
        shown = {**circumstances, **figures}
        print(what, *(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in shown.items()), flush=True)


def limits(note: Notes, count: int, asked: argparse.Namespace) -> None:
    """The library called directly, and how much the sandbox hands out."""
    note("direct_sends", {"instances": count}, direct_sends(count, asked.size, asked.seconds))
    note("direct_receives", {"instances": count}, direct_receives(count, CUSTOMERS, asked.seconds))


def measure(note: Notes, count: int, callers: Sequence[int], asked: argparse.Namespace) -> None:
    """A manager with so many numbers, from the first to the last figure."""
    with world(*asked.option) as one:
        at = {"instances": count}
        empty_mb = pss_mb(descendants(one.manager.pid))
        begun = time.monotonic()
        one.admit(count)
        note("pairing", at, {"s": time.monotonic() - begun, "empty_mb": empty_mb})
        # The first message of a chat costs a key exchange, which is not what is measured.
        sends(one, 8, asked.size, max(1.0, count / 25))
        receives(one, max(1.0, count / 100))
        note("memory", at, standing.memory(one, empty_mb))
        for number in callers:
            note("sends", {**at, "callers": number}, sends(one, number, asked.size, asked.seconds))
        note("receives", at, receives(one, asked.seconds))
        note("paced", at, paced(one, asked.pace, asked.seconds))
        note("memory_after", at, standing.memory(one, empty_mb))
        if not asked.quick:
            time.sleep(3.0)
            note("idle", at, standing.idle(one, 20.0))
            note("reconnect", at, standing.reconnect(one))
            note("restart", at, standing.restart(one))


def endure(note: Notes, count: int, asked: argparse.Namespace) -> None:
    """A manager with so many numbers under steady traffic."""
    with world(*asked.option) as one:
        one.admit(count)
        at = {"instances": count, "pace": asked.pace}
        # The first message of a chat leaves a session behind, in memory and on disk.
        receives(one, max(1.0, count / 100))
        note("soak", at, soak.soak(one, asked.soak, asked.pace, lambda row: note("soaking", at, row)))


def numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--instances", type=numbers)
    parser.add_argument("--callers", type=numbers)
    parser.add_argument("--size", type=int, default=40, help="characters of a message")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument(
        "--option", action="append", default=[], help="of the manager, as in --option=--numbers-per-host=32"
    )
    parser.add_argument("--pace", type=float, default=PACE, help="messages a second, where nobody shall queue")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="steady traffic for so long, and nothing else")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    asked.seconds = asked.seconds or (4.0 if asked.quick else 10.0)
    instances = asked.instances or ([200] if asked.soak else [5] if asked.quick else [5, 20, 50, 200])
    callers = asked.callers or ([16] if asked.quick else [16, 32])
    note = Notes(asked.out)
    note(
        "machine", {}, {"cores": os.cpu_count(), "python": platform.python_version(), "options": " ".join(asked.option)}
    )
    if asked.soak:
        for count in instances:
            endure(note, count, asked)
    else:
        for count in sorted({min(each, DIRECT_AT_MOST) for each in instances}):
            limits(note, count, asked)
        for count in instances:
            measure(note, count, callers, asked)
    if asked.out:
        (asked.out / "tables.md").write_text(tables.markdown(note.rows))
        (asked.out / "cost.svg").write_text(tables.plot(note.rows))
    print(tables.markdown(note.rows))
    if any(row[what] for row in note.rows if row["what"] == "soak" for what in soak.LACKING):
        sys.exit("Something was lost, not told or refused.")


if __name__ == "__main__":
    main()
