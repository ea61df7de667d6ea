"""Several nodes on one PostgreSQL share its numbers, answer for each other, and take over from each other."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import pytest
import requests

from chatbot_erp.eventstore.places import open_vault
from chatbot_erp.sandbox.client import Network, Phone
from manager_process import OPERATIONAL, ManagerProcess
from postgres_server import PostgresServer
from receiver import Receiver

NewPhone = Callable[[str], Phone]

PATIENCE_S = 120.0
LEASE_S = 5
"""Of the nodes here, seconds: short, so that nobody waits long for one that is gone."""


class Nodes:
    """Nodes on one database, by their names."""

    def __init__(self, place: Path, database: str, network: Network) -> None:
        self.database = database
        self._place = place
        self._network = network
        self.each: dict[str, ManagerProcess] = {}

    def start(self, name: str, lease_s: int = LEASE_S) -> ManagerProcess:
        """Start one, and wait until the others know of it. One that was here before keeps its options."""
        share = ("--database", self.database, "--share", "--node", name, "--lease", str(lease_s))
        manager = self.each.setdefault(name, ManagerProcess(self._place / name, self._network, *share))
        manager.start()
        wait_for(lambda: name in living(manager), manager)
        return manager


def answer(manager: ManagerProcess, path: str) -> Any:
    """The JSON of an answer; None where there is none now."""
    try:
        got = manager.call("GET", path)
    except requests.ConnectionError:
        manager.find_again()
        return None
    return got.json() if got.status_code == 200 else None


def verdict(database: str) -> str:
    """What `chatbot-erp verify` says of the log."""
    line = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--database", database]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def living(manager: ManagerProcess) -> dict[str, int]:
    """How many numbers each node has that lives."""
    return {node["name"]: node["instances"] for node in answer(manager, "/nodes") or [] if node["alive"]}


def wait_for(condition: Callable[[], bool], *managers: ManagerProcess) -> None:
    """Where it takes too long, the error shows the ends of these managers' logs."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("\n".join(f"{each.url} {each.log.read_text()[-4000:]}" for each in managers))
        time.sleep(0.05)


def homes(manager: ManagerProcess, *wanted: str) -> dict[str, str]:
    """Which node has which of these numbers; those only that are connected."""
    views = {name: answer(manager, f"/instances/{name}") for name in wanted}
    return {name: view["node"] for name, view in views.items() if view and view["status"] in OPERATIONAL}


def connections(manager: ManagerProcess, name: str) -> int:
    """How often the number was connected, as far as the log can be read."""
    page = answer(manager, f"/instances/{name}/events?type=instance.connected&limit=500") or {}
    return len(page.get("events", ()))


def told(receiver: Receiver) -> list[str]:
    """The texts of what was received, each event once, by its id."""
    events = {each.id: each.payload for each in receiver.deliveries(event="message.received")}
    return [each["message"]["text"] for each in events.values()]


def next_accepted(manager: ManagerProcess, cause: Callable[[], object]) -> str:
    """The text that a follower of accepted messages hears of next at this node, when it follows and this was caused."""
    with requests.Session() as session:
        session.trust_env = False
        with session.get(
            manager.url + "/events/stream?type=message.accepted", stream=True, timeout=PATIENCE_S
        ) as stream:
            lines = stream.iter_lines(chunk_size=1)
            next(lines)
            cause()
            data = next(line for line in lines if line.startswith(b"data: "))
    return str(json.loads(data.removeprefix(b"data: "))["data"]["text"])


class Absences:
    """How long phones' companions were away at a time, as WhatsApp sees it, from `with` to its end."""

    def __init__(self, phones: dict[str, Phone]) -> None:
        self._phones = phones
        self._ending = Event()
        self._thread = Thread(target=self._watch)
        self.longest_s = dict.fromkeys(phones, 0.0)

    def _watch(self) -> None:
        since: dict[str, float] = {}
        while not self._ending.wait(0.01):
            for name, phone in self._phones.items():
                now = time.monotonic()
                if phone.is_online:
                    since.pop(name, None)
                else:
                    self.longest_s[name] = max(self.longest_s[name], now - since.setdefault(name, now))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def __str__(self) -> str:
        return ", ".join(f"{name} {longest:.2f} s" for name, longest in self.longest_s.items() if longest)


class Traffic:
    """Messages both ways, by one number after the other and all nodes in turn, from `with` to its end."""

    def __init__(self, managers: list[ManagerProcess], phones: dict[str, Phone], customer: Phone) -> None:
        self._managers, self._phones, self._customer = managers, phones, customer
        self._ending = Event()
        self._threads = [Thread(target=self._send), Thread(target=self._write)]
        self.sent: list[str] = []
        self.unknown: list[str] = []
        self.written: list[str] = []

    def _send(self) -> None:
        """Each message until it is told what became of it."""
        for number, name in enumerate(itertools.cycle(self._phones)):
            text = f"para-{number}"
            for attempt in itertools.count(number):
                manager = self._managers[attempt % len(self._managers)]
                with suppress(requests.ConnectionError):
                    got = manager.send(name, self._customer.number, text, headers={"Idempotency-Key": text})
                    if got.status_code == 200:
                        self.sent.append(text)
                        break
                    if got.json()["type"] == "/problems/outcome-unknown":
                        self.unknown.append(text)
                        break
                time.sleep(0.1)
                assert attempt < number + 1200, got.text
            if self._ending.wait(0.05):
                return

    def _write(self) -> None:
        for number, phone in enumerate(itertools.cycle(self._phones.values())):
            text = f"de {number}"
            self._customer.send(phone.number, text)
            self.written.append(text)
            if self._ending.wait(0.05):
                return

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def check(self, receiver: Receiver) -> None:
        """Everything came once, and nothing else; what nobody knows of may have."""
        wait_for(lambda: set(told(receiver)) >= set(self.written))
        assert sorted(told(receiver)) == sorted(self.written)
        came = [message.text for message in self._customer.inbox() if message.text.startswith("para-")]
        assert len(came) == len(set(came))
        assert set(self.sent) <= set(came) <= {*self.sent, *self.unknown}


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


def test_nodes_share_the_numbers_answer_for_each_other_and_take_over_from_one_that_is_killed(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone
) -> None:
    a, b = nodes.start("a"), nodes.start("b")
    phones = {name: new_phone(name) for name in ("um", "dois", "tres")}
    customer = new_phone("Maria")
    for (name, phone), manager in zip(phones.items(), (a, b, a), strict=True):
        manager.pair(name, phone, receiver.url())
    assert sorted(homes(a, *phones).values()) in (["a", "a", "b"], ["a", "b", "b"])
    taken = b.call("POST", "/instances/create", json={"name": "um", "webhookUrl": receiver.url()})
    assert taken.status_code == 409
    for manager in (a, b):
        seen = {each["name"]: each["status"] for each in manager.call("GET", "/instances").json()}
        assert seen == dict.fromkeys(phones, "CONNECTED")
    sent = {}
    for name, manager in zip(phones, (b, a, b), strict=True):
        sent[name] = manager.send(name, customer.number, f"Olá de {name}", headers={"Idempotency-Key": name})
        assert sent[name].status_code == 200, sent[name].text
    owners = homes(a, *phones)
    elsewhere = {node: next(name for name in phones if owners[name] != node) for node in "ab"}
    assert next_accepted(b, lambda: a.send(elsewhere["b"], customer.number, "Ao vivo")) == "Ao vivo"
    customer.send(phones[elsewhere["b"]].number, "Esqueça")
    wait_for(lambda: "Esqueça" in told(receiver))
    erased = b.call("DELETE", f"/subjects/{customer.number}")
    assert erased.json()["subjects"] > 0, erased.text
    for manager in (a, b):
        page = manager.call("GET", f"/instances/{elsewhere['b']}/events", params={"type": "message.received"})
        assert "Esqueça" not in page.text
    before = b.call("GET", "/events", params={"limit": 500}).json()["events"]

    a.kill()
    wait_for(lambda: homes(b, *phones) == dict.fromkeys(phones, "b"), b)
    assert b.call("GET", "/events", params={"limit": 500}).json()["events"][: len(before)] == before
    for name, phone in phones.items():
        again = b.send(name, customer.number, f"Olá de {name}", headers={"Idempotency-Key": name})
        assert again.json() == sent[name].json()
        customer.send(phone.number, f"Oi, {name}")
    wait_for(lambda: {f"Oi, {name}" for name in phones} <= set(told(receiver)))
    nodes.start("a")
    wait_for(lambda: sorted(homes(a, *phones).values()) == ["a", "b", "b"], a, b)
    for name in phones:
        assert a.send(name, customer.number, f"Depois de {name}").status_code == 200
    customer.wait_inbox(7)
    assert sorted(message.text for message in customer.inbox()) == sorted(
        ["Ao vivo", *(f"{when} de {name}" for name in phones for when in ("Olá", "Depois"))]
    )
    assert "The log is whole" in verdict(nodes.database)


def test_a_node_that_joins_is_handed_numbers_and_one_that_ends_hands_them_back_while_messages_come_and_go(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone, capsys: pytest.CaptureFixture[str]
) -> None:
    a = nodes.start("a")
    phones = {name: new_phone(name) for name in ("um", "dois", "tres", "quatro")}
    customer = new_phone("Maria")
    for name, phone in phones.items():
        a.pair(name, phone, receiver.url())
    with Traffic([a], phones, customer) as traffic, Absences(phones) as absences:
        b = nodes.start("b")
        wait_for(lambda: sorted(homes(b, *phones).values()) == ["a", "a", "b", "b"], a, b)
        joined = str(absences)
        assert b.terminate() == 0
        wait_for(lambda: homes(a, *phones) == dict.fromkeys(phones, "a"), a, b)
    traffic.check(receiver)
    with capsys.disabled():
        print(f"\naway when b joined: {joined}; also when it ended: {absences};", end=" ")
        print(f"{len(traffic.sent)} sent, {len(traffic.written)} received, {len(traffic.unknown)} unknown")
    assert "The log is whole" in verdict(nodes.database)


def test_a_node_that_was_frozen_wakes_having_sent_and_written_nothing_and_joins_the_others(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone
) -> None:
    a, b = nodes.start("a"), nodes.start("b")
    phones = {name: new_phone(name) for name in ("um", "dois")}
    customer = new_phone("Maria")
    for name, phone in phones.items():
        a.pair(name, phone, receiver.url())
    (frozen,) = (name for name, node in homes(a, *phones).items() if node == "a")
    os.kill(a.pid, signal.SIGSTOP)
    try:
        customer.send(phones[frozen].number, "Enquanto isso")
        wait_for(lambda: homes(b, *phones) == dict.fromkeys(phones, "b"), b)
        assert b.send(frozen, customer.number, "Olá").status_code == 200
        events = b.events(frozen)
    finally:
        os.kill(a.pid, signal.SIGCONT)
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
    (spool,) = spools.iterdir()
    shutil.copy(spool, spool.with_stem("again"))
    b = nodes.start("b")
    wait_for(lambda: homes(b, "um") == {"um": "b"}, b)
    customer.send(shop.number, "Depois")
    wait_for(lambda: "Depois" in told(receiver), b)
    assert told(receiver) == ["Depois"]
    nodes.start("a")
    with closing(open_vault(nodes.database)) as vault:
        wait_for(lambda: not (any(spools.iterdir()) or vault.all("spool") or any(b.data_dir.glob("spool/*"))), a, b)
    wait_for(lambda: "Na mão" in told(receiver), a, b)
    assert told(receiver) == ["Depois", "Na mão"]
    assert len(b.events("um", "message.received")) == 2


def test_nodes_outlast_a_database_that_is_away_for_longer_than_their_leases(
    nodes: Nodes, server: PostgresServer, new_phone: NewPhone
) -> None:
    a, b = nodes.start("a"), nodes.start("b")
    phones = {name: new_phone(name) for name in ("um", "dois")}
    customer = new_phone("Maria")
    for name, phone in phones.items():
        b.pair(name, phone)
    wait_for(lambda: sorted(homes(b, *phones).values()) == ["a", "b"], a, b)
    before, owners = {name: connections(a, name) for name in phones}, homes(b, *phones)
    server.kill()
    # The leases have lapsed: as far as either knows, the other one has everything.
    wait_for(lambda: not (a.host_pids() or b.host_pids()), a, b)
    server.start()
    wait_for(lambda: all(connections(a, name) > before[name] for name in phones), a, b)
    assert homes(b, *phones) == owners
    assert not [node for node in (a, b) if "superseded" in node.log.read_text()]
    for name in phones:
        assert a.send(name, customer.number, f"Olá de {name}").status_code == 200
    customer.wait_inbox(2)
