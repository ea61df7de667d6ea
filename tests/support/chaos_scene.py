"""Where the chaos plays: the numbers, and who can do something to them. `Trouble` is one thing that can be done."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chaos_line import Doom, Line
from chatbot_erp.sandbox.client import Network
from fault_matrix import holders
from manager_process import OPERATIONAL, ManagerProcess
from receiver import Delivery, Receiver

FAILURES = (500, 503, 429, 302, 404)
DAWDLE_S = 0.5
PATIENCE_S = 400.0
"""More than the longest wait that the supervisor plans: nobody is to be called lost who only takes his time."""

DEAF_PATIENCE_S = 150.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong: at least once in a run, and then `weight` times in each round."""

    name: str
    strike: Callable[["Scene"], None]
    weight: int = 1
    is_wide: bool = False
    """It breaks the connections of all numbers, also of one that is to be noticed as deaf."""


@dataclass(frozen=True, slots=True)
class Deaf:
    """A number whose connection stands and says nothing, until the log has one of these causes."""

    line: Line
    causes: frozenset[str]
    after: int
    until: float


class Moods:
    """How the receiver answers: as it should, unless it is told otherwise."""

    def __init__(self) -> None:
        self.refusing = threading.Event()
        self.dawdling = threading.Event()
        self.gone: str | None = None
        """The path that answers 410."""
        self._refused: set[str] = set()

    def answer(self, delivery: Delivery) -> int:
        """Those refused are refused once each: the retries of one that always fails would be minutes apart."""
        if self.dawdling.is_set():
            time.sleep(DAWDLE_S)
        if delivery.path == self.gone:
            return 410
        if self.refusing.is_set() and delivery.id not in self._refused:
            self._refused.add(delivery.id)
            return FAILURES[len(self._refused) % len(FAILURES)]
        return 200


class Scene:
    """Everything that trouble needs. One thread plays it; `up` and `lines` are read by those that make traffic."""

    def __init__(self, seed: int, manager: ManagerProcess, network: Network, receiver: Receiver) -> None:
        self.manager = manager
        self.network = network
        self.receiver = receiver
        self.moods = Moods()
        receiver.answer = self.moods.answer
        self.random = random.Random(seed)
        self.lines: list[Line] = []
        self.customers = [network.phone(f"552199{seed % 1000:03}{number:04}") for number in range(4)]
        self.up = threading.Event()
        self.up.set()
        self.struck: list[tuple[float, str]] = []
        """When, in seconds since the epoch, what fell on whom."""
        self.silenced: Line | None = None
        self.replaced: Line | None = None
        self.gone: Line | None = None
        self.deaf: Deaf | None = None
        self.hung: list[int] = []
        """Processes that were stopped: somebody is to end them."""

    def note(self, what: str) -> None:
        self.struck.append((time.time(), what))

    def pick(self) -> Line:
        """A number that has not got enough trouble already."""
        taken = (self.silenced, self.replaced, self.gone, self.deaf and self.deaf.line)
        line = self.random.choice([line for line in self.lines if line.doom is None and line not in taken])
        self.note(line.name)
        return line

    def pick_connected(self) -> Line:
        """One that is, as far as anybody knows."""
        while (line := self.pick()) and self.manager.view(line.name)["status"] not in OPERATIONAL:
            time.sleep(0.05)
        return line

    def doom(self, line: Line, doom: Doom) -> None:
        """From now on nothing cures it."""
        line.doomed_after = self.end_of_log(line)
        line.doom, line.doomed_at = doom, time.time()

    def stop_host(self, pid: int) -> list[Line]:
        """Stop a socket process, and so whom it carries is known: nobody comes or goes any more."""
        os.kill(pid, signal.SIGSTOP)
        return [line for line in self.lines if pid in holders(self.manager, line.id)]

    def signal_host(self, number: signal.Signals, pid: int | None = None) -> None:
        """To a socket process, and so to all whom it carries; unless one of them is to be noticed as deaf."""
        pids = [pid] if pid is not None else self.manager.host_pids()
        if not pids:
            return
        pid = self.random.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            carried = self.stop_host(pid)
            if self.deaf is not None and self.deaf.line in carried:
                os.kill(pid, signal.SIGCONT)
                return
            self.note_killed(carried, number.name)
            if number is signal.SIGSTOP:
                self.hung.append(pid)
            else:
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)

    def note_killed(self, lines: list[Line], how: str) -> None:
        killed = time.time()
        for line in lines:
            line.killed.append(killed)
        self.note(f"{how} to {[line.name for line in lines]}")

    @contextlib.contextmanager
    def manager_away(self) -> Iterator[None]:
        """Nobody is to call it meanwhile; it is started again in the end."""
        self.up.clear()
        yield
        self.manager.start(timeout_s=PATIENCE_S)
        self.up.set()

    def fall_deaf(self, line: Line, *causes: str) -> None:
        self.deaf = Deaf(line, frozenset(causes), self.end_of_log(line), time.monotonic() + DEAF_PATIENCE_S)

    def look_at_the_deaf(self) -> None:
        """Its silence ends when it is noticed, and that must not take for ever."""
        if self.deaf is None:
            return
        line, noticed = (
            self.deaf.line,
            {event["data"].get("reason") for event in self.log_of(self.deaf.line, self.deaf.after)},
        )
        if found := self.deaf.causes & noticed:
            line.phone.heal()
            self.note(f"{line.name} was noticed: {found}")
            self.deaf = None
        else:
            assert time.monotonic() < self.deaf.until, f"{line.name} is not {self.deaf.causes}, but {noticed}"

    def ask_back(self) -> None:
        """A person restarts the number that was replaced, and enables the webhook that was gone."""
        if self.replaced is not None:
            self.insist(f"/instances/{self.replaced.name}/restart")
            self.replaced = None
        if self.gone is not None:
            webhook = f"/instances/{self.gone.name}/webhook"
            if self.manager.call("GET", webhook).json().get("disabled") is not None:
                self.moods.gone = None
                self.insist(f"{webhook}/enable")
                self.gone = None

    def insist(self, path: str) -> None:
        """Ask for it again as long as the answer is that it cannot be had just now, as where an actor has just failed."""
        deadline = time.monotonic() + PATIENCE_S
        while (answer := self.manager.call("POST", path)).status_code == 503:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)
        assert answer.status_code < 300, answer.text

    def end_of_log(self, line: Line) -> int:
        return max((event["position"] for event in self.log_of(line)), default=0)

    def log_of(self, line: Line, after: int = 0) -> list[Any]:
        """By id: also of an instance that is gone."""
        found: list[Any] = []
        while True:
            params: dict[str, str | int] = {"instance": line.id, "after": after, "limit": 500}
            page = self.manager.call("GET", "/events", params=params).json()
            if not page["events"]:
                return found
            found += page["events"]
            after = page["next"]
