"""Nodes that freeze, are cut off from their database, or lose it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests

from chatbot_erp.eventstore.places import open_vault
from chatbot_erp.sandbox.client import Phone
from dead_line import DeadLine
from manager_process import ManagerProcess
from nodes import PATIENCE_S, Nodes, Traffic, connections, homes, told, verdict, wait_for
from postgres_server import PostgresServer
from receiver import Receiver

NewPhone = Callable[[str], Phone]


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The shared server, running again after the test."""
    yield postgres
    postgres.start_if_stopped()


def test_a_node_that_was_frozen_wakes_having_sent_and_written_nothing_and_joins_the_others(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone
) -> None:
    a, b = nodes.start("a"), nodes.start("b")
    phones = {name: new_phone(name) for name in ("um", "dois")}
    customer = new_phone("Maria")
    for name, phone in phones.items():
        a.pair(name, phone, receiver.url())
    (frozen,) = (name for name, node in homes(a, *phones).items() if node == "a")
    # As with its machine.
    processes = (a.pid, *a.host_pids())
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        customer.send(phones[frozen].number, "Enquanto isso")
        wait_for(lambda: homes(b, *phones) == dict.fromkeys(phones, "b"), b)
        assert b.send(frozen, customer.number, "Olá").status_code == 200
        events = b.events(frozen)
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    wait_for(lambda: a.log.read_text().count("superseded") > 0, a, b)
    # What it had in hand, and could write down no more.
    receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Enquanto isso", timeout_s=PATIENCE_S)
    wait_for(lambda: sorted(homes(b, *phones).values()) == ["a", "b"], a, b)
    assert b.events(frozen)[: len(events)] == events
    assert b.send(frozen, customer.number, "Depois").status_code == 200
    customer.wait_inbox(2)
    assert [message.text for message in customer.inbox()] == ["Olá", "Depois"]
    assert "The log is whole" in verdict(nodes.database)


def test_what_a_dead_node_had_in_hand_is_told_late_and_once_when_its_machine_is_back(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone
) -> None:
    a = nodes.start("a", lease_s=10)
    shop, customer = new_phone("um"), new_phone("Maria")
    a.pair("um", shop, receiver.url())
    os.kill(a.pid, signal.SIGSTOP)
    customer.send(shop.number, "Na mão")
    spools = a.data_dir / "spool"
    wait_for(lambda: any(spools.glob("*.spool")), a)
    a.kill()
    (spool,) = spools.glob("*.spool")
    shutil.copy(spool, spool.with_stem("again"))
    b = nodes.start("b")
    wait_for(lambda: homes(b, "um") == {"um": "b"}, b)
    customer.send(shop.number, "Depois")
    wait_for(lambda: "Depois" in told(receiver), b)
    assert told(receiver) == ["Depois"]
    nodes.start("a")
    with closing(open_vault(nodes.database)) as vault:
        directories = (spools, b.data_dir / "spool")
        wait_for(lambda: not (any(any(each.glob("*.spool")) for each in directories) or vault.all("spool")), a, b)
    wait_for(lambda: "Na mão" in told(receiver), a, b)
    assert told(receiver) == ["Depois", "Na mão"]
    assert len(b.events("um", "message.received")) == 2


def refused(manager: ManagerProcess, name: str, number: str) -> bool:
    """Whether a message is: by an answer, or by none, where it begins anew meanwhile."""
    with suppress(requests.ConnectionError):
        return manager.send(name, number, "Perdida").status_code in (503, 504)
    return True


def test_a_node_that_is_cut_off_from_its_database_sends_and_writes_nothing_and_comes_back_by_itself(
    nodes: Nodes, postgres: PostgresServer, receiver: Receiver, new_phone: NewPhone
) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        DeadLine(Path(place), postgres.socket) as line,
        ThreadPoolExecutor() as pool,
    ):
        a, b = nodes.start("a", nodes.database.replace(postgres.host, place)), nodes.start("b")
        phones = {name: new_phone(name) for name in ("um", "dois")}
        customer = new_phone("Maria")
        for name, phone in phones.items():
            a.pair(name, phone, receiver.url())
        (cut,) = (name for name, node in homes(b, *phones).items() if node == "a")
        line.go_dead()
        # WhatsApp and callers reach it still.
        customer.send(phones[cut].number, "Enquanto isso")
        asked = pool.submit(refused, a, cut, customer.number)
        wait_for(lambda: homes(b, *phones) == dict.fromkeys(phones, "b"), b)
        assert b.send(cut, customer.number, "Olá").status_code == 200
        events = b.events(cut)
        line.revive()
        wait_for(lambda: "superseded" in a.log.read_text(), a, b)
        receiver.wait_for(
            lambda payload: payload.get("message", {}).get("text") == "Enquanto isso", timeout_s=PATIENCE_S
        )
        wait_for(lambda: sorted(homes(b, *phones).values()) == ["a", "b"], a, b)
        assert asked.result(PATIENCE_S)
        assert b.events(cut)[: len(events)] == events
        assert b.send(cut, customer.number, "Depois").status_code == 200
        customer.wait_inbox(2)
        assert [message.text for message in customer.inbox()] == ["Olá", "Depois"]
        assert told(receiver) == ["Enquanto isso"]
        assert "The log is whole" in verdict(nodes.database)
        a.terminate(timeout_s=PATIENCE_S)


def test_nodes_outlast_a_fail_over_that_is_longer_than_their_leases_and_lose_and_repeat_nothing(
    nodes: Nodes, server: PostgresServer, receiver: Receiver, new_phone: NewPhone
) -> None:
    a, b = nodes.start("a"), nodes.start("b")
    phones = {name: new_phone(name) for name in ("um", "dois")}
    customer = new_phone("Maria")
    for name, phone in phones.items():
        b.pair(name, phone, receiver.url())
    wait_for(lambda: sorted(homes(b, *phones).values()) == ["a", "b"], a, b)
    before, owners = {name: connections(a, name) for name in phones}, homes(b, *phones)
    # What comes in the moment in which its keys are lost may be told as one that cannot be read: nothing does.
    with Traffic([a, b], phones, customer, both_ways=False) as traffic:
        for name, phone in phones.items():
            customer.send(phone.number, f"Antes, {name}")
        wait_for(lambda: len(told(receiver)) == len(phones), a, b)
        server.kill()
        # The leases have lapsed: as far as either knows, the other one has everything.
        wait_for(lambda: not (a.host_pids() or b.host_pids()), a, b)
        for name, phone in phones.items():
            customer.send(phone.number, f"Enquanto isso, {name}")
        server.start()
        wait_for(lambda: all(connections(a, name) > before[name] for name in phones), a, b)
        wait_for(lambda: homes(b, *phones) == owners, a, b)
    traffic.check(receiver)
    wait_for(lambda: len(told(receiver)) >= 2 * len(phones), a, b)
    assert sorted(told(receiver)) == sorted(f"{when}, {name}" for name in phones for when in ("Antes", "Enquanto isso"))
    assert not [node for node in (a, b) if "superseded" in node.log.read_text()]
    for name in phones:
        assert a.send(name, customer.number, f"Olá de {name}").status_code == 200
    assert "The log is whole" in verdict(nodes.database)
