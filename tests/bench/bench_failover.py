"""What numbers at three nodes go through while nodes are killed and frozen, end and join, and their database is away.

    python tests/bench/bench_failover.py [kills] [freezes] [outages] [moves]

Without a name, all of it: 20 rounds each, 60 numbers, messages both ways. ROUNDS, NUMBERS, FREEZE_S, OUTAGE_S and LEASE_S in
the environment say otherwise. A round ends with an account of every message: it fails where one is lost, or came twice, or where
a node wrote with an epoch that had passed. Timings are printed, not judged.
"""

import itertools
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import psycopg

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from nodes import Absences, Nodes, Traffic, all_connected, living, told, verdict, wait_for
from postgres_server import PostgresServer
from receiver import Receiver

ROUNDS = int(os.environ.get("ROUNDS", "20"))
NUMBERS = int(os.environ.get("NUMBERS", "60"))
FREEZE_S = float(os.environ.get("FREEZE_S", "30"))
OUTAGE_S = float(os.environ.get("OUTAGE_S", "20"))
LEASE_S = int(os.environ.get("LEASE_S", "10"))

NAMES = "abc"
LANES = 4
PAIRING_AT_ONCE = 4


class World:
    """Three nodes, their numbers and their customers; `blow` is what happens in a round."""

    def __init__(self, place: Path, server: PostgresServer, network: Network, receiver: Receiver) -> None:
        self.server = server
        self.nodes = Nodes(place, server.database(), network, lease_s=LEASE_S)
        self.receiver = receiver
        self.customers = [network.phone(f"55118{lane:08}") for lane in range(LANES)]
        self.phones: dict[str, Phone] = {}
        self._network = network
        self._rounds = itertools.count(1)
        self._victims = itertools.cycle(NAMES)

    def begin(self) -> None:
        for name in NAMES:
            self.nodes.start(name)
        managers = list(self.nodes.each.values())

        def pair(number: int) -> None:
            name = f"loja_{number}"
            self.phones[name] = self._network.phone(f"55119{number:08}")
            managers[number % len(managers)].pair(name, self.phones[name], self.receiver.url())

        with ThreadPoolExecutor(PAIRING_AT_ONCE) as pool:
            list(pool.map(pair, range(NUMBERS)))
        self.await_balance()

    def await_balance(self) -> None:
        """Everybody is there, has a fair share, and is connected."""
        managers = list(self.nodes.each.values())

        def is_balanced() -> bool:
            loads = living(managers[0]).values()
            fair = len(loads) == len(NAMES) and max(loads) - min(loads) <= 1
            return fair and self._are_all_back(managers[0])

        wait_for(is_balanced, *managers)

    def play(self, blow: Callable[["World", str], float], heading: str, *, both_ways: bool = True) -> None:
        """Rounds of it."""
        print(f"\n{heading}\n| round | node | numbers | connected again after | sent | received | unknown |")
        print("|---|---|---|---|---|---|---|")
        took: list[float] = []
        for _ in range(ROUNDS):
            number, victim = next(self._rounds), next(self._victims)
            everyone = list(self.nodes.each.values())
            others = [manager for name, manager in self.nodes.each.items() if name != victim]
            had = living(others[0])[victim]
            with ExitStack() as stack:
                lanes = [
                    stack.enter_context(self._lane(lane, number, others if lane else everyone, both_ways=both_ways))
                    for lane in range(LANES)
                ]
                took.append(blow(self, victim))
                self.await_balance()
            for lane in lanes:
                lane.check(self.receiver)
            sent, received, unknown = (
                sum(len(getattr(lane, kind)) for lane in lanes) for kind in ("sent", "written", "unknown")
            )
            print(f"| {number} | {victim} | {had} | {took[-1]:.1f} s | {sent} | {received} | {unknown} |", flush=True)
        print(
            f"\nmedian {statistics.median(took):.1f} s, longest {max(took):.1f} s; every message accounted for;",
            end=" ",
        )
        print(verdict(self.nodes.database).splitlines()[0], flush=True)

    def _lane(self, lane: int, number: int, managers: list[ManagerProcess], *, both_ways: bool) -> Traffic:
        """Messages of some numbers; those of the first lane go through all nodes, also the one that is struck."""
        phones = dict(itertools.islice(self.phones.items(), lane, None, LANES))
        return Traffic(managers, phones, self.customers[lane], tag=f"{number}.{lane}-", both_ways=both_ways)

    def await_moved(self, victim: str) -> float:
        """How long it takes until all numbers are connected at the others."""
        begun = time.monotonic()
        asked = next(manager for name, manager in self.nodes.each.items() if name != victim)

        def have_moved() -> bool:
            return living(asked).get(victim, 0) == 0 and self._are_all_back(asked)

        wait_for(have_moved, asked)
        return time.monotonic() - begun

    def _are_all_back(self, asked: ManagerProcess) -> bool:
        """By WhatsApp's account, too: what a node had not been able to write down it does not show."""
        return all_connected(asked, NUMBERS) and all(phone.is_online for phone in self.phones.values())

    def marks(self) -> dict[str, int]:
        """How often each life of a node has written."""
        with psycopg.connect(self.nodes.database) as connection:
            return dict(connection.execute("SELECT writer, mark FROM chatbot_erp.writers").fetchall())


def kill(world: World, victim: str) -> float:
    world.nodes.kill(victim)
    took = world.await_moved(victim)
    world.nodes.start(victim)
    return took


def freeze(world: World, victim: str) -> float:
    manager = world.nodes.each[victim]
    begun, woken = time.monotonic(), manager.log.read_text().count('"superseded"')
    os.kill(manager.pid, signal.SIGSTOP)
    try:
        before = world.marks()
        took = world.await_moved(victim)
        time.sleep(max(0.0, begun + FREEZE_S - time.monotonic()))
        stood_still = {writer: mark for writer, mark in world.marks().items() if before.get(writer) == mark}
    finally:
        os.kill(manager.pid, signal.SIGCONT)
    wait_for(lambda: manager.log.read_text().count('"superseded"') > woken, manager)
    world.await_balance()
    after = world.marks()
    late = {writer for writer, mark in stood_still.items() if after.get(writer, mark) != mark}
    assert not late, f"written with an epoch that had passed: {late}"
    return took


def lose_database(world: World, victim: str) -> float:
    """What comes in while the numbers are away is told when they are back.

    Nothing comes in the moment of the loss: what a number cannot read then is told as such (docs/postgresql.md).
    """
    begun = time.monotonic()
    world.server.kill()
    wait_for(lambda: not any(manager.host_pids() for manager in world.nodes.each.values()))
    texts = [f"round {begun} {name}" for name in world.phones]
    for text, phone in zip(texts, world.phones.values(), strict=True):
        world.customers[0].send(phone.number, text)
    time.sleep(max(0.0, begun + OUTAGE_S - time.monotonic()))
    world.server.start()
    returned = time.monotonic()
    world.await_balance()
    took = time.monotonic() - returned
    wait_for(lambda: set(told(world.receiver)) >= set(texts))
    assert len([text for text in told(world.receiver) if text in texts]) == len(texts), "told twice"
    return took


def end_and_join(world: World, victim: str) -> float:
    """How long the number that was away for longest was so, as WhatsApp sees it."""
    with Absences(world.phones) as absences:
        world.nodes.each[victim].terminate()
        world.await_moved(victim)
        world.nodes.start(victim)
        world.await_balance()
    return max(absences.longest_s.values())


PARTS = {
    "kills": (kill, "A node is killed; connected again: all numbers, at the others."),
    "freezes": (freeze, f"A node is frozen for {FREEZE_S:.0f} s; connected again: all numbers, at the others."),
    "outages": (
        lose_database,
        f"The database is away for {OUTAGE_S:.0f} s; connected again: all numbers, from its return on.",
    ),
    "moves": (
        end_and_join,
        "A node ends, and joins again; connected again: each number that moves, after it was away.",
    ),
}


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        PostgresServer() as server,
        Network.start() as network,
        Receiver() as receiver,
    ):
        world = World(Path(place), server, network, receiver)
        try:
            world.begin()
            print(f"{NUMBERS} numbers, {len(NAMES)} nodes, lease {LEASE_S} s")
            for part in sys.argv[1:] or PARTS:
                world.play(*PARTS[part], both_ways=part != "outages")
        finally:
            world.nodes.end()


if __name__ == "__main__":
    main()
