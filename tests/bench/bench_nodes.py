"""What numbers and their messages cost on one node and on several, over one PostgreSQL and the PgBouncer of deploy/.

    python tests/bench/bench_nodes.py [--nodes 1,2,3] [--numbers 60] [--pool 6] [--pace 20] [--seconds 15]

All of it is on this machine, on 127.0.0.1, against the sandbox network. CPU and bytes are counted, not time: they are
the same on a machine that has other things to do. Each node is called by its own callers, about all numbers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from chatbot_erp.sandbox.client import Network, Phone
from load.processes import cpu_s, descendants, pss_mb
from load.world import PAIRING_AT_ONCE, Script
from manager_process import ManagerProcess
from pgbouncer import PgBouncer
from postgres_server import PostgresServer

LEASE_S = 60
"""Long: a machine that has much to do shall not take a node for dead."""

SIZES = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'chatbot_erp'::regnamespace AND relkind = 'r'"
WAL = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
EVENTS = "SELECT position FROM chatbot_erp.head"
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


@dataclass(frozen=True)
class Count:
    """What was spent and written so far."""

    managers_s: float
    hosts_s: float
    postgresql_s: float
    pool_s: float
    log_bytes: int
    wal_bytes: int
    events: int

    def per(self, earlier: Count, divisor: float) -> dict[str, float]:
        return {name: (getattr(self, name) - getattr(earlier, name)) / divisor for name in self.__annotations__}


@dataclass
class Fleet:
    """Nodes with everything around them."""

    network: Network
    server: PostgresServer
    pool: PgBouncer
    nodes: list[ManagerProcess]
    receiver: Script
    watch: psycopg.Connection
    phones: list[Phone] = field(default_factory=list)
    most_connections: int = 0

    def admit(self, numbers: int, webhook: str) -> None:
        def one(index: int) -> Phone:
            phone = self.network.phone(f"55118{index:08}")
            self.nodes[index % len(self.nodes)].pair(f"n{index}", phone, webhook)
            return phone

        with ThreadPoolExecutor(PAIRING_AT_ONCE) as pool:
            self.phones += pool.map(one, range(numbers))

    def ask(self, statement: str) -> int:
        found = self.watch.execute(statement.encode()).fetchone()
        assert found is not None
        return int(found[0])

    def count(self) -> Count:
        managers = [node.pid for node in self.nodes]
        hosts = [pid for node in managers for pid in descendants(node) if pid != node]
        return Count(
            managers_s=cpu_s(managers),
            hosts_s=cpu_s(hosts),
            postgresql_s=cpu_s(descendants(self.server.pid)),
            pool_s=cpu_s([self.pool.pid]),
            log_bytes=self.ask(SIZES),
            wal_bytes=self.ask(WAL),
            events=self.ask(EVENTS),
        )

    def memory_mb(self) -> dict[str, float]:
        managers = [node.pid for node in self.nodes]
        whole, alone = pss_mb(pid for node in managers for pid in descendants(node)), pss_mb(managers)
        return {
            "managers": alone,
            "hosts": whole - alone,
            "postgresql": pss_mb(descendants(self.server.pid)),
            "pool": pss_mb([self.pool.pid]),
        }

    def settle(self) -> None:
        """Wait until nothing comes to the log any more."""
        still = 0
        before = self.ask(EVENTS)
        while still < 15:
            time.sleep(0.2)
            now = self.ask(EVENTS)
            still, before = (still + 1 if now == before else 0), now


@contextmanager
def counted(fleet: Fleet) -> Iterator[None]:
    """Meanwhile a thread looks how many connections the server has, all together."""
    ending = threading.Event()

    def look() -> None:
        with psycopg.connect(fleet.server.url("postgres"), autocommit=True) as connection:
            while not ending.wait(0.02):
                # One is the other look's.
                found = connection.execute(BACKENDS.encode()).fetchone()
                assert found is not None
                fleet.most_connections = max(fleet.most_connections, found[0] - 1)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield
    finally:
        ending.set()
        watch.join()


@contextmanager
def fleet(nodes: int, pool_size: int) -> Iterator[Fleet]:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        network = stack.enter_context(Network.start())
        receiver = stack.enter_context(Script("receiver"))
        server = stack.enter_context(PostgresServer("fsync = on"))
        database = server.database()
        pool = stack.enter_context(PgBouncer(server, database, pool_size=pool_size))
        managers = []
        for name in map(str, range(nodes)):
            share = ("--share", "--node", name, "--lease", str(LEASE_S)) if nodes > 1 else ()
            where = ("--database", database, "--sessions", pool.url)
            manager = ManagerProcess(place / name, network, "--no-sanity-ping", *where, *share)
            managers.append(stack.enter_context(manager))
        watch = stack.enter_context(psycopg.connect(database, autocommit=True))
        yield Fleet(network, server, pool, managers, receiver, watch)


def sends(fleet: Fleet, pace: float, seconds: float) -> int:
    customer = fleet.network.phone("5521900000000")
    numbers = [{"name": f"n{index}", "to": customer.number} for index in range(len(fleet.phones))]
    with ExitStack() as stack:
        scripts = [stack.enter_context(Script("caller", node.url)) for node in fleet.nodes]
        for script in scripts:
            share = pace / len(scripts)
            script.begin({"numbers": numbers, "callers": 4, "size": 40, "seconds": seconds, "per_s": share})
        statuses = [script.finish()["statuses"] for script in scripts]
    assert all(set(each) <= {"200"} for each in statuses), statuses
    return sum(each.get("200", 0) for each in statuses)


def receives(fleet: Fleet, pace: float, seconds: float) -> int:
    with Script("customer", fleet.network.control_url) as script:
        numbers = [phone.number for phone in fleet.phones]
        script.begin({"numbers": numbers, "customers": 4, "seconds": seconds, "per_s": pace})
        return int(script.finish()["written"])


def measure(nodes: int, asked: argparse.Namespace) -> None:
    with fleet(nodes, asked.pool) as one, counted(one):
        show(nodes, "memory, MB, no numbers", one.memory_mb())
        one.admit(asked.numbers, f"http://127.0.0.1:{one.receiver.hear()['port']}/")
        for warm in (sends, receives):
            warm(one, asked.pace, max(asked.seconds, 4 * asked.numbers / asked.pace))
        one.settle()
        show(nodes, f"memory, MB, {asked.numbers} numbers", one.memory_mb())
        before = one.count()
        time.sleep(asked.seconds)
        show(nodes, "idle, CPU-s a second", one.count().per(before, asked.seconds))
        for traffic in (sends, receives):
            before = one.count()
            done = traffic(one, asked.pace, asked.seconds)
            one.settle()
            show(nodes, f"{done} {traffic.__name__}, each", one.count().per(before, done))
        print(
            f"{nodes} nodes, {asked.numbers} numbers, pool of {asked.pool}: at most {one.most_connections} connections"
        )


def show(nodes: int, what: str, figures: dict[str, float]) -> None:
    print(f"{nodes} nodes, {what}:", *(f"{name}={value:.5g}" for name, value in figures.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1,2,3")
    parser.add_argument("--numbers", type=int, default=60)
    parser.add_argument("--pool", type=int, default=6, help="connections that PgBouncer has to the server")
    parser.add_argument("--pace", type=float, default=20.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    asked = parser.parse_args()
    for nodes in map(int, asked.nodes.split(",")):
        measure(nodes, asked)


if __name__ == "__main__":
    main()
