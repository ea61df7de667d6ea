"""Numbers whose sessions are in PostgreSQL by way of a PgBouncer that lends its connections for a transaction each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import pgbouncer
from chatbot_erp.actors.assembly import CONNECTIONS
from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from pgbouncer import PgBouncer
from postgres_server import PostgresServer
from receiver import Receiver

NewPhone = Callable[[str], Phone]

NUMBERS = 4
POOL = 2


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The shared server, running again after the test."""
    yield postgres
    postgres.start_if_stopped()


@pytest.fixture
def pool(server: PostgresServer, database: str) -> Iterator[PgBouncer]:
    if pgbouncer.PROGRAM is None:
        pytest.skip(pgbouncer.NOT_RUN)
    with PgBouncer(server, database, pool_size=POOL) as pool:
        yield pool


def connections_to(database: str) -> int:
    """How many the server has for this database, but for the one that asks."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_numbers_share_the_few_connections_of_a_pool_and_outlive_a_restart(
    tmp_path: Path, pool: PgBouncer, database: str, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    customer = new_phone("Maria")
    phones = {f"shop-{n}": new_phone(f"Shop {n}") for n in range(NUMBERS)}
    seen: list[int] = []

    def exchange(word: str) -> None:
        """A message to each, and one from each."""
        for name, phone in phones.items():
            customer.send(phone.number, f"{word} to {name}")
            assert manager.send(name, customer.number, f"{word} from {name}").status_code == 200
            seen.append(connections_to(database))
        for name in phones:
            customer.receive(text=f"{word} from {name}")
        receiver.wait_for(lambda _: {f"{word} to {name}" for name in phones} <= texts(receiver))

    options = ("--database", database, "--sessions", pool.url, "--numbers-per-host", "2")
    with ManagerProcess(tmp_path / "data", network, *options) as manager:
        for name, phone in phones.items():
            manager.pair(name, phone, receiver.url())
        exchange("Olá")
        assert manager.terminate() == 0
        manager.start()
        for name in phones:
            manager.wait_connected(name)
        exchange("Oi")
        log = manager.log.read_text()
    assert not list((tmp_path / "data/sessions").iterdir())
    assert max(seen) <= CONNECTIONS + POOL
    with psycopg.connect(pool.url, autocommit=True) as connection:
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("10s",)
    assert "connections_short" not in log
    assert "Traceback" not in log


def texts(receiver: Receiver) -> set[str]:
    return {each.payload["message"]["text"] for each in receiver.deliveries(event="message.received")}


def test_what_comes_while_postgresql_or_the_pool_is_away_is_read_when_they_are_back(
    tmp_path: Path,
    server: PostgresServer,
    pool: PgBouncer,
    database: str,
    network: Network,
    receiver: Receiver,
    new_phone: NewPhone,
) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network, "--database", database, "--sessions", pool.url) as manager:
        manager.pair("empresa_x", phone, receiver.url())
        assert manager.send("empresa_x", customer.number, "Antes").status_code == 200
        customer.receive(text="Antes")
        manager.wait_still("empresa_x")
        server.kill()
        phone.wait_offline()
        customer.send(phone.number, "Enquanto isso")
        server.start()
        receiver.wait_for(lambda told: told.get("message", {}).get("text") == "Enquanto isso")

        pool.kill()
        phone.wait_offline()
        customer.send(phone.number, "Sem pool")
        pool.start()
        receiver.wait_for(lambda told: told.get("message", {}).get("text") == "Sem pool")
        manager.wait_connected("empresa_x")
        assert manager.send("empresa_x", customer.number, "Depois").status_code == 200
        customer.receive(text="Depois")
