"""How many durable appends a second nodes reach together that share a PostgreSQL database, all on this machine.

    python tests/bench/bench_appends.py [--nodes 3] [--actors 300] [--seconds 5]

Each node is a process that opens the store as a manager with `--share` does: its epoch is checked in each transaction, and the
others are told of it. `fsync` is on, and so is synchronous_commit. The actors of a node append what they received through
their journals, one at a time, and six at a time from a sixth of the actors. SQLite's same lines, of one node, come before
and after. CPU is what an append costs; the machine's other work changes that least. At the end the chain is verified.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from bench_store import at, journals
from chatbot_erp.eventstore.lease import ALONE, Node
from chatbot_erp.eventstore.places import open_store, verify
from load.processes import cpu_s, descendants
from postgres_server import PostgresServer

PATIENCE_S = 120
SPAWN = multiprocessing.get_context("spawn")


class Done(NamedTuple):
    """What one node did."""

    latencies_s: array[float]
    took_s: float
    cpu_s: float


def be_a_node(
    line: Connection, directory: Path, database: str | None, node: Node, actors: int, each: int, seconds: float
) -> None:
    """A process, which ends with a traceback where anything fails. Through the line goes None where all meet, then `Done`."""

    def fail(failed: threading.ExceptHookArgs) -> None:
        threading.__excepthook__(failed)
        os._exit(1)

    def meet() -> None:
        line.send(None)
        line.recv()

    threading.excepthook = fail
    line.send(work(directory, database, node, actors, each, seconds, meet))


def work(
    directory: Path,
    database: str | None,
    node: Node,
    actors: int,
    each: int,
    seconds: float,
    meet: Callable[[], None],
) -> Done:
    """In the process of a node: open, have company, append."""
    with open_store(directory, database, node) as store:
        meet()
        store.company.announce(f"http://{node.name}.example", lambda news: None)
        latencies, took, cpu = journals(store, actors, each, seconds, meet)
        meet()
        meet()
        return Done(array("d", latencies), took, cpu)


def told(line: Connection) -> Done | None:
    """What a node says next. Exits where that is nothing."""
    if not line.poll(PATIENCE_S):
        sys.exit(f"A node has said nothing for {PATIENCE_S} s.")
    try:
        said: Done | None = line.recv()
    except (EOFError, OSError):
        sys.exit("A node has ended before its time.")
    return said


def meet(lines: Sequence[Connection]) -> None:
    """Wait until all nodes are there; then they go on."""
    for line in lines:
        assert told(line) is None
    for line in lines:
        line.send(None)


def measure(
    directory: Path,
    database: str | None,
    nodes: list[Node],
    actors: int,
    each: int,
    seconds: float,
    spent: Callable[[], float],
) -> str:
    """One line about so many nodes. `spent` says what the database has cost so far, in seconds of the CPU."""
    lines: list[Connection] = []
    for node in nodes:
        line, end = SPAWN.Pipe()
        asked = (end, directory / node.name, database, node, actors, each, seconds)
        SPAWN.Process(target=be_a_node, args=asked, daemon=True).start()
        end.close()
        lines.append(line)
    meet(lines)  # all have opened
    meet(lines)  # all begin to append
    before = spent()
    meet(lines)  # all have appended
    database_s = spent() - before
    meet(lines)  # all may close
    done = [each_told for line in lines if (each_told := told(line))]
    latencies = sorted(latency for each_node in done for latency in each_node.latencies_s)
    return (
        f"{len(latencies) / max(node.took_s for node in done):8,.0f}/s"
        f"  p50 {at(0.5, latencies):6.2f} ms  p99 {at(0.99, latencies):6.2f} ms"
        f"  CPU an append: nodes {sum(node.cpu_s for node in done) / len(latencies) * 1e6:4.0f} µs"
        f", database {database_s / len(latencies) * 1e6:4.0f} µs"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--actors", type=int, default=300, help="of each node")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    asked = parser.parse_args()
    forms = [(asked.actors, 1), (max(1, asked.actors // 6), 6)]
    nodes = [Node(name=f"node-{number}", movable=True) for number in range(asked.nodes)]
    with tempfile.TemporaryDirectory(prefix="bench-appends-") as scratch, PostgresServer("fsync = on") as server:
        root = Path(scratch)

        def sqlite(when: str) -> None:
            for actors, each in forms:
                found = measure(root / f"{when}-{each}", None, [ALONE], actors, each, asked.seconds, lambda: 0.0)
                print(f"SQLite, {actors:4} actors, {each} at a time           {found}", flush=True)
                assert verify(root / f"{when}-{each}").problem is None

        sqlite("before")
        database = server.database()
        for actors, each in forms:
            found = measure(root, database, nodes, actors, each, asked.seconds, lambda: cpu_s(descendants(server.pid)))
            print(f"PostgreSQL, {len(nodes)} × {actors:4} actors, {each} at a time  {found}", flush=True)
        sqlite("after")
        report = verify(database)
        assert report.problem is None, report
        print(f"verified: {report.events:,} events of all nodes are one chain")


if __name__ == "__main__":
    main()
