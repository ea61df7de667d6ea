"""Deliveries under fire and under load.

    python tests/bench/bench_webhooks.py [latency] [dead] [drain] [survival] [--messages 100000] [--kills 50]
    [--order chat]

survival: a receiver fails, hangs and disappears at random while the process that delivers is killed again and again.
latency: from a message to its first attempt. dead: the same without and beside an endpoint that is down, with a long
backlog.
drain: a backlog of one endpoint, to a receiver that answers at once.
Everything runs on 127.0.0.1, without sockets. Figures are printed, not judged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]

from survival import Life, survive
from unreliable_receiver import UnreliableReceiver

INSTANCES = 20
RATE = 200
WARM_S = 2.0


class InstantReceiver:
    """Takes everything at once and notes when: (path, when, seconds since the message came in). Paths may be down."""

    def __init__(self, *down: str) -> None:
        self.down = set(down)
        self.taken: list[tuple[str, float, float]] = []
        self.port = 0
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        assert self._ready.wait(10)
        self.url = f"http://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                now = time.time()
                length = int(head.lower().partition("content-length:")[2].split("\r\n", 1)[0])
                payload = json.loads(await reader.readexactly(length))
                path = head.split(" ", 2)[1]
                if path in self.down:
                    writer.write(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")
                    continue
                said_at = float(payload["message"]["text"].rpartition(" ")[2])
                self.taken.append((path, now, now - said_at))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


def resident_mib(pid: int) -> float:
    """Memory of a process (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def survival(messages: int, kills: int, order: str) -> None:
    with TemporaryDirectory() as directory:
        receiver = UnreliableReceiver(1, chance=0.0003, hang_s=3.0, away_every_s=20.0, away_s=2.0).start()
        found = survive(
            Path(directory),
            receiver,
            instances=INSTANCES,
            messages=messages // INSTANCES,
            kills=kills,
            life_s=(0.2, 1.2),
            unwell_s=3600,
            patience_s=300,
            seed=1,
            order=order,
        )
    print(
        f"survival, order by {order}: {found.events} events, {found.kills} kills, {found.seconds:.0f} s: {found.lost} lost,"
        f" {found.disordered} out of order, {found.strangers} with another id, {found.repeated} told again;"
        f" the receiver {dict(receiver.failures)}"
    )


def latency(seconds: float = 30.0) -> None:
    begun, receiver, _ = paced(seconds)
    print(f"latency: {INSTANCES} instances, {RATE} messages/s: {Spread.of(receiver, begun)}")


def paced(seconds: float, dead: str = "", backlog: int = 0) -> tuple[float, InstantReceiver, list[float]]:
    """Messages at a steady rate: when they began, who took them, and the memory in MiB by thirds of the time."""
    receiver, memory = InstantReceiver(dead), []
    with TemporaryDirectory() as directory:
        messages = int(RATE * seconds / INSTANCES)
        life = Life(Path(directory), receiver.url, INSTANCES, messages, rate=RATE, ahead=backlog)
        begun = time.time()
        for _ in range(3):
            memory.append(resident_mib(life.pid))
            life.is_drained_within(seconds / 3)
        life.end()
    return begun, receiver, memory


class Spread(NamedTuple):
    """From a message to its first attempt, once all is warm, in milliseconds."""

    p50: float
    p99: float
    most: float

    @staticmethod
    def of(receiver: InstantReceiver, begun: float) -> Spread:
        took = sorted(waited * 1000 for _, at, waited in receiver.taken if at - begun > WARM_S)
        return Spread(took[len(took) // 2], took[int(len(took) * 0.99)], took[-1])

    def __str__(self) -> str:
        return f"message to first attempt p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, max {self.most:.1f} ms"


def dead(seconds: float = 30.0, backlog: int = 10_000) -> None:
    """The same twice in one run, since the delay beside a dead receiver says little without the delay beside none."""
    begun, receiver, _ = paced(seconds)
    without = Spread.of(receiver, begun)
    begun, receiver, memory = paced(seconds, "/i0", backlog)
    beside = Spread.of(receiver, begun)
    print(f"dead: {INSTANCES} instances, {RATE} messages/s: {without}")
    print(
        f"    {backlog} events wait for one of them; the others: {beside};"
        f" ratio p50 {beside.p50 / without.p50:.2f}, p99 {beside.p99 / without.p99:.2f}"
    )
    print(f"    memory at the beginning, after a third and after two: {', '.join(f'{mib:.0f}' for mib in memory)} MiB")


def drain(backlog: int = 10_000) -> None:
    with TemporaryDirectory() as directory:
        receiver = InstantReceiver("/i0")
        life = Life(Path(directory), receiver.url, 1, backlog)
        life.is_drained_within(30.0)
        waiting_mib = resident_mib(life.pid)
        receiver.down.clear()
        life.is_drained_within(180)
        life.end()
    moments = [at for _, at, _ in receiver.taken]
    rate = (len(moments) - 1) / (moments[-1] - moments[0])
    print(f"drain: {len(moments)} waiting events at {rate:.0f}/s; {waiting_mib:.0f} MiB while they waited")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["latency", "dead", "drain", "survival"])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--order", choices=["instance", "chat"], default="instance")
    wanted = parser.parse_args()
    for what in wanted.what:
        match what:
            case "survival":
                survival(wanted.messages, wanted.kills, wanted.order)
            case "latency":
                latency()
            case "dead":
                dead()
            case "drain":
                drain()
            case _:
                parser.error(f"{what} is none of latency, dead, drain, survival")


main()
