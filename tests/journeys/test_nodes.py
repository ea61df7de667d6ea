"""Several nodes on one PostgreSQL: one works, the others answer for it and take its place."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import OPERATIONAL, ManagerProcess
from postgres_server import PostgresServer
from receiver import Receiver

NewPhone = Callable[[str], Phone]

PATIENCE_S = 120.0
SHARING = ("--stand-by", "--lease", "15")


class Nodes:
    """Two nodes, "a" and "b". The first one that was started works."""

    def __init__(self, place: Path, database: str, network: Network) -> None:
        self.database = database
        (place / "sessions").mkdir()
        self.each = {
            name: ManagerProcess(place / name, network, "--database", database, "--node", name, *SHARING)
            for name in ("a", "b")
        }
        for manager in self.each.values():
            manager.data_dir.mkdir()
            (manager.data_dir / "sessions").symlink_to(place / "sessions")

    def start(self) -> tuple[ManagerProcess, ManagerProcess]:
        a, b = self.each["a"].start(), self.each["b"]
        wait_for(lambda: names(a) == {"a"}, a)
        b.start()
        wait_for(lambda: names(b) == {"a", "b"}, a, b)
        return a, b


def answer(manager: ManagerProcess, path: str) -> Any:
    """The JSON of an answer; None where there is none now."""
    try:
        got = manager.call("GET", path)
    except requests.ConnectionError:
        return None
    return got.json() if got.status_code == 200 else None


def verdict(database: str) -> str:
    """What `chatbot-erp verify` says of the log."""
    line = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--database", database]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def names(manager: ManagerProcess) -> set[str]:
    return {node["name"] for node in answer(manager, "/nodes") or []}


def wait_for(condition: Callable[[], bool], *managers: ManagerProcess) -> None:
    """Where it takes too long, the error shows the ends of these managers' logs."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("\n".join(f"{each.url} {each.log.read_text()[-4000:]}" for each in managers))
        time.sleep(0.05)


def connections(manager: ManagerProcess) -> int:
    """How often the number was connected, as far as the log can be read."""
    page = answer(manager, "/instances/empresa_x/events?type=instance.connected&limit=500") or {}
    return len(page.get("events", ()))


def wait_at(manager: ManagerProcess, node: str) -> None:
    """Wait until the number is connected, and this node has it."""

    def arrived() -> bool:
        view = answer(manager, "/instances/empresa_x") or {}
        return view.get("node") == node and view.get("status") in OPERATIONAL

    wait_for(arrived, manager)


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The shared server, running again after the test."""
    yield postgres
    postgres.start_if_stopped()


@pytest.fixture
def nodes(tmp_path: Path, database: str, network: Network) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path, database, network)
    yield nodes
    for manager in nodes.each.values():
        manager.__exit__(None, None, None)


def test_any_node_answers_any_call_and_a_killed_one_is_replaced(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone
) -> None:
    a, b = nodes.start()
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    b.pair("empresa_x", phone, receiver.url())
    assert b.view("empresa_x")["node"] == "a"
    key = {"Idempotency-Key": "order-42"}
    sent = b.send("empresa_x", customer.number, "Olá", headers=key)
    assert sent.status_code == 200, sent.text
    assert a.send("empresa_x", customer.number, "Olá", headers=key).json() == sent.json()
    assert b.call("GET", "/instances/nobody").status_code == 404
    assert b.call("HEAD", "/instances").status_code == 200
    before = b.events("empresa_x")

    a.kill()
    wait_at(b, "b")
    assert b.events("empresa_x")[: len(before)] == before
    assert b.send("empresa_x", customer.number, "Olá", headers=key).json() == sent.json()
    customer.send(phone.number, "Oi")
    receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Oi")
    a.start()
    wait_for(lambda: names(a) == {"a", "b"}, a, b)
    assert a.send("empresa_x", customer.number, "Depois").status_code == 200
    customer.receive(text="Depois")
    assert [message.text for message in customer.inbox()] == ["Olá", "Depois"]
    assert "The log is whole" in verdict(nodes.database)


def test_a_node_that_ends_hands_over_and_the_other_outlasts_a_database_that_is_away_for_long(
    nodes: Nodes, server: PostgresServer, new_phone: NewPhone
) -> None:
    a, b = nodes.start()
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    a.pair("empresa_x", phone)
    assert a.terminate() == 0
    wait_at(b, "b")
    before = connections(b)
    server.kill()
    customer.send(phone.number, "Enquanto isso")
    wait_for(lambda: not b.host_pids())  # the lease has lapsed: as far as it knows, another node has the number
    server.start()
    wait_for(lambda: connections(b) > before, b)
    assert b.send("empresa_x", customer.number, "Olá").status_code == 200
    customer.receive(text="Olá")
    # It was told to nobody but the socket process, which wrote it down at its end.
    b.wait_event("empresa_x", "message.received", timeout_s=PATIENCE_S)
    assert len(b.events("empresa_x", "message.received")) == 1
    assert b.terminate() == 0


def test_a_node_that_was_frozen_wakes_to_stand_by_and_has_sent_and_written_nothing(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone
) -> None:
    a, b = nodes.start()
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    a.pair("empresa_x", phone, receiver.url())
    os.kill(a.pid, signal.SIGSTOP)
    try:
        customer.send(phone.number, "Enquanto isso")
        wait_at(b, "b")
        assert b.send("empresa_x", customer.number, "Olá").status_code == 200
        events = b.events("empresa_x")
    finally:
        os.kill(a.pid, signal.SIGCONT)
    wait_for(lambda: a.log.read_text().count("superseded") > 0, a, b)
    wait_for(lambda: "standing_by" in a.log.read_text().partition("superseded")[2], a, b)
    assert b.events("empresa_x")[: len(events)] == events
    # What it had in hand, and could write down no more.
    receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Enquanto isso", timeout_s=PATIENCE_S)
    assert b.view("empresa_x")["node"] == "b"
    assert b.send("empresa_x", customer.number, "Depois").status_code == 200
    customer.receive(text="Depois")
    assert [message.text for message in customer.inbox()] == ["Olá", "Depois"]
    assert "The log is whole" in verdict(nodes.database)
