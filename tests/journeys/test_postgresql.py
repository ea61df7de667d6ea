"""The whole program with its log in PostgreSQL."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import requests

from chatbot_erp.actors.serve import EXIT_SUPERSEDED
from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from postgres_server import PostgresServer
from receiver import Receiver
from waiting import wait_until

NewPhone = Callable[[str], Phone]


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The shared server, running again after the test."""
    yield postgres
    postgres.start_if_stopped()


def command(*arguments: str | Path) -> str:
    """What a command of the program prints."""
    line = [sys.executable, "-m", "chatbot_erp.actors.main", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def wait_for_status(manager: ManagerProcess, path: str, status: int) -> None:
    wait_until(
        lambda: manager.call("GET", path).status_code == status,
        describe=lambda: f"{path} answers {manager.call('GET', path).text}, not {status}",
    )


def test_a_manager_whose_database_others_took_over_ends_for_somebody_to_start_it(
    tmp_path: Path, database: str, network: Network
) -> None:
    with ManagerProcess(tmp_path / "data", network, "--database", database) as manager:
        with psycopg.connect(database, autocommit=True) as direct:
            direct.execute("UPDATE chatbot_erp.nodes SET epoch = epoch + 1")
        with suppress(requests.ConnectionError):
            manager.create("empresa_x")
        assert manager.wait_ended() == EXIT_SUPERSEDED
        manager.start()
        manager.create("empresa_x")


def test_a_number_lives_in_postgresql_through_a_restart_and_a_kill(
    tmp_path: Path, database: str, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network, "--database", database) as manager:
        manager.pair("empresa_x", phone, receiver.url())
        sent = manager.call(
            "POST",
            "/instances/empresa_x/message",
            json={"number": customer.number, "message": "Olá"},
            headers={"Idempotency-Key": "order-42"},
        )
        assert sent.status_code == 200, sent.text
        customer.receive(text="Olá")
        customer.send(phone.number, "Oi")
        receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Oi")
        assert manager.terminate() == 0

        manager.start()
        manager.wait_connected("empresa_x")
        again = manager.call(
            "POST",
            "/instances/empresa_x/message",
            json={"number": customer.number, "message": "Olá"},
            headers={"Idempotency-Key": "order-42"},
        )
        assert again.json() == sent.json()
        assert manager.send("empresa_x", customer.number, "Antes").status_code == 200
        manager.kill()

        manager.start()
        manager.wait_connected("empresa_x")
        customer.receive(text="Antes")
        assert [message.text for message in customer.inbox()] == ["Olá", "Antes"]
        assert not manager.events("empresa_x", "instance.pairing_offered")[1:]
        receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Antes")
    assert "The log is whole" in command("verify", "--database", database)
    assert "message.received" in command("events", "--database", database, "--instance", "empresa_x")
    assert "empresa_x" in command("replay", "empresa_x", "--database", database)
    assert not (tmp_path / "data/events.db").exists()
    assert not (tmp_path / "data/keys.db").exists()


@pytest.mark.parametrize("kept", ["files", "database"])
def test_while_postgresql_is_away_sends_are_refused_and_then_everything_goes_on(
    tmp_path: Path,
    kept: str,
    server: PostgresServer,
    database: str,
    network: Network,
    receiver: Receiver,
    new_phone: NewPhone,
) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network, "--database", database, "--sessions", kept) as manager:
        manager.pair("empresa_x", phone, receiver.url())
        assert manager.send("empresa_x", customer.number, "Antes").status_code == 200
        manager.wait_still("empresa_x")
        server.kill()
        if kept == "database":
            phone.wait_offline()
        customer.send(phone.number, "Enquanto isso")
        refused = manager.send("empresa_x", customer.number, "Nunca")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/store-unavailable")
        wait_for_status(manager, "/readyz", 503)
        assert manager.call("GET", "/livez").status_code == 200
        server.start()
        wait_for_status(manager, "/readyz", 200)
        receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Enquanto isso")
        manager.wait_connected("empresa_x")
        assert manager.send("empresa_x", customer.number, "Depois").status_code == 200
        customer.receive(text="Depois")
        assert [message.text for message in customer.inbox()] == ["Antes", "Depois"]
        assert not manager.events("empresa_x", "message.undecryptable")
        log = manager.log.read_text()
    assert "Traceback" not in log
    assert "The log is whole" in command("verify", "--database", database)


@pytest.mark.sqlite("an installation is moved out of its files")
def test_an_installation_is_moved_and_its_numbers_need_no_new_qr(
    tmp_path: Path, database: str, network: Network, new_phone: NewPhone
) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network) as manager:
        manager.pair("empresa_x", phone)
        before = manager.events("empresa_x")
    assert "whole" in command("migrate", "--from", tmp_path / "data", "--to", database)
    with ManagerProcess(tmp_path / "data", network, "--database", database) as manager:
        manager.wait_connected("empresa_x")
        assert manager.events("empresa_x")[: len(before)] == before
        assert manager.send("empresa_x", customer.number, "Olá").status_code == 200
        customer.receive(text="Olá")


def test_a_number_goes_on_at_another_machine_without_a_new_qr(
    tmp_path: Path, database: str, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "here", network, "--database", database) as manager:
        manager.pair("empresa_x", phone, receiver.url())
        customer.send(phone.number, "Oi")
        receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Oi")
    assert not list((tmp_path / "here/sessions").iterdir())

    with ManagerProcess(tmp_path / "there", network, "--database", database) as manager:
        manager.wait_connected("empresa_x")
        assert manager.send("empresa_x", customer.number, "Olá").status_code == 200
        customer.receive(text="Olá")
        assert len(manager.events("empresa_x", "instance.paired")) == 1

        assert manager.call("DELETE", "/instances/empresa_x", params={"unlink": "false"}).status_code == 204
        wait_for_status(manager, "/instances/empresa_x", 404)
        kept = manager.create("empresa_x", receiver.url())
        manager.wait_connected("empresa_x")
        assert not manager.events(kept["id"], "instance.pairing_offered")

        assert manager.call("DELETE", f"/subjects/{customer.number}").status_code == 200
        assert not mentions(database, customer.number)

        assert manager.call("DELETE", "/instances/empresa_x").status_code == 204
        wait_until_nobody_owns(database)
    assert sum(count for _, count in rows_of_sessions(database)) == 0


def rows_of_sessions(database: str) -> list[tuple[str, int]]:
    """How many rows each of the library's tables has that belongs to a device."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'chatbot_erp_sessions'"
            " AND column_name IN ('our_jid', 'jid') AND table_name LIKE 'whatsmeow%'"
        ).fetchall()
        counts = {
            table: connection.execute(f"SELECT count(*) FROM chatbot_erp_sessions.{table}".encode()).fetchone()
            for (table,) in tables
        }
    assert "whatsmeow_device" in counts
    return [(table, found[0]) for table, found in counts.items() if found]


def mentions(database: str, number: str) -> list[str]:
    """The tables of the library in which a number stands."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'chatbot_erp_sessions'"
        ).fetchall()
        return [
            table
            for (table,) in tables
            if connection.execute(
                f"SELECT 1 FROM chatbot_erp_sessions.{table} AS t WHERE t::text LIKE %s LIMIT 1".encode(),
                (f"%{number}%",),
            ).fetchone()
        ]


def wait_until_nobody_owns(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        wait_until(lambda: not connection.execute("SELECT 1 FROM chatbot_erp_sessions.owners").fetchone())
