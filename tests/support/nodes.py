"""Several nodes on one PostgreSQL, for journeys and benchmarks, and the traffic that goes on while things happen to them."""

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

import requests

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import OPERATIONAL, ManagerProcess, end_of
from receiver import Receiver
from waiting import wait_until

PATIENCE_S = 200.0
LEASE_S = 5
"""Of the nodes of journeys, seconds: short, so that nobody waits long for one that is gone."""

SEEKING = Lock()
"""Held by whoever reads what a node says of its address, or starts or kills it."""


class Nodes:
    """Nodes on one database, by their names."""

    def __init__(self, place: Path, database: str, network: Network, *, lease_s: int = LEASE_S) -> None:
        self.database = database
        self._lease_s = lease_s
        self._place = place
        self._network = network
        self.each: dict[str, ManagerProcess] = {}

    def start(self, name: str, database: str = "", *, lease_s: int = 0) -> ManagerProcess:
        """Start one, and wait until the others know of it. One that was here before keeps its options.

        It reaches the database there, where that is given.
        """
        share = (
            "--database",
            database or self.database,
            "--share",
            "--node",
            name,
            "--lease",
            str(lease_s or self._lease_s),
        )
        manager = self.each.setdefault(name, ManagerProcess(self._place / name, self._network, *share))
        with SEEKING:
            manager.start()
        wait_for(lambda: name in living(manager), manager)
        return manager

    def kill(self, name: str) -> None:
        """No farewell."""
        with SEEKING:
            self.each[name].kill()

    def end(self) -> None:
        """End those that run, all at a time: each alone would first hand its numbers over."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda manager: manager.__exit__(None, None, None), self.each.values()))


def answer(manager: ManagerProcess, path: str) -> Any:
    """The JSON of an answer; None where there is none now."""
    try:
        got = manager.call("GET", path)
    except requests.ConnectionError:
        find_again(manager)
        return None
    return got.json() if got.status_code == 200 else None


def find_again(manager: ManagerProcess) -> None:
    """Where it began anew. Any thread."""
    with SEEKING:
        manager.find_again()


def verdict(database: str) -> str:
    """What `chatbot-erp verify` says of the log."""
    line = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--database", database]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def living(manager: ManagerProcess) -> dict[str, int]:
    """How many numbers each node has that lives."""
    return {node["name"]: node["instances"] for node in answer(manager, "/nodes") or [] if node["alive"]}


def wait_for(condition: Callable[[], bool], *managers: ManagerProcess) -> None:
    """Where it takes too long, the error shows the ends of these managers' logs."""
    wait_until(condition, PATIENCE_S, describe=lambda: "\n".join(map(tail, managers)))


def tail(manager: ManagerProcess) -> str:
    """The end of its log, and what it says of its numbers."""
    return f"{manager.url} {answer(manager, '/instances')}\n{end_of(manager.log)}"


def all_connected(manager: ManagerProcess, count: int) -> bool:
    """Whether so many numbers are, wherever they are."""
    views = answer(manager, "/instances") or []
    return len(views) == count and all(view["status"] in OPERATIONAL for view in views)


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
    """Messages both ways, or out only, by one number after the other and all nodes in turn, from `with` to its end.

    `tag` is of this traffic alone, where there is other.
    """

    def __init__(
        self,
        managers: list[ManagerProcess],
        phones: dict[str, Phone],
        customer: Phone,
        *,
        tag: str = "",
        both_ways: bool = True,
    ) -> None:
        self._managers, self._phones, self._customer, self._tag = managers, phones, customer, tag
        self._ending = Event()
        self._threads = [Thread(target=each) for each in (self._send, self._write)[: 1 + both_ways]]
        self.sent: list[str] = []
        self.unknown: list[str] = []
        self.written: list[str] = []

    def _send(self) -> None:
        """Each message until it is told what became of it."""
        for number, name in enumerate(itertools.cycle(self._phones)):
            text = f"para-{self._tag}{number}"
            for attempt in itertools.count(number):
                manager = self._managers[attempt % len(self._managers)]
                try:
                    got = manager.send(name, self._customer.number, text, headers={"Idempotency-Key": text})
                    if got.status_code == 200:
                        self.sent.append(text)
                        break
                    if got.json()["type"] == "/problems/outcome-unknown":
                        self.unknown.append(text)
                        break
                    if got.status_code == 502:
                        break  # certainly not sent, and the same key is answered the same
                except requests.ConnectionError:
                    find_again(manager)
                time.sleep(0.1)
                assert attempt < number + 1200, "nobody says what became of it"
            if self._ending.wait(0.05):
                return

    def _write(self) -> None:
        for number, phone in enumerate(itertools.cycle(self._phones.values())):
            text = f"de {self._tag}{number}"
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
        heard = Counter(text for text in told(receiver) if text.startswith(f"de {self._tag}"))
        assert heard == Counter(self.written), f"received wrongly: {_differences(heard, Counter(self.written))}"
        texts = [message.text for message in self._customer.inbox()]
        came = Counter(text for text in texts if text.startswith(f"para-{self._tag}"))
        known = Counter(self.sent) + Counter(each for each in self.unknown if each in came)
        assert came == known, f"sent wrongly: {_differences(came, known)}"


def _differences(found: Counter[str], wanted: Counter[str]) -> dict[str, list[str]]:
    return {"too many": sorted((found - wanted).elements()), "too few": sorted((wanted - found).elements())}
