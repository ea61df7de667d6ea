"""Every fault that can be played on a running manager, as data: journeys play it, the bench times it, docs/faults.md
lists it.

`strike` does it to a connected number. Afterwards the log has an event with `cause`; then the number is CONNECTED again
by itself (`ends` is ""), or it stays as `ends` says and nothing was restarted.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Phone
from chatbot_erp.sandbox.faults import Drop, LoginFailure, Refuse, Replaced, Silence, StreamError
from manager_process import ManagerProcess

PATIENCE_S = 80.0
SLOW_S = 20.0


@dataclass(frozen=True, slots=True)
class Number:
    """A connected number of a manager that gives each a process of its own."""

    manager: ManagerProcess
    name: str
    id: str
    phone: Phone

    @property
    def host(self) -> int:
        """The process that has its session open."""
        (pid,) = holders(self.manager, self.id)
        return pid

    def log_in_to(self, failure: LoginFailure) -> None:
        """Have it log in anew, and be answered so."""
        self.phone.fault(failure)
        self.phone.fault(Drop())


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the matrix."""

    name: str
    cause: str
    strike: Callable[[Number], None]
    ends: str = ""
    noticed_within_s: float = 2.0

    @property
    def is_slow(self) -> bool:
        """Whether it takes most of a minute to notice."""
        return self.noticed_within_s > SLOW_S


@dataclass(frozen=True, slots=True)
class Course:
    """How it went: seconds from the blow to the event that tells of it, and to the connection that followed."""

    detect_s: float
    heal_s: float | None
    restarts: int


IN_FILES = ("--sessions", "files")
"""Of a manager whose numbers must be found by the process that has their session open, also where its log is not a file."""


def holders(manager: ManagerProcess, instance: str) -> list[int]:
    """The socket processes that have this session open now."""
    found = []
    for pid in manager.host_pids():
        try:
            names = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        if any(Path(name).name.startswith(f"{instance}.db") for name in names):
            found.append(pid)
    return found


def killed(number: Number, by: signal.Signals) -> None:
    os.kill(number.host, by)


def spoiled(number: Number) -> None:
    """Its session file is damaged, and its process ends."""
    host = number.host
    os.kill(host, signal.SIGSTOP)
    session = number.manager.data_dir / "sessions" / f"{number.id}.db"
    session.write_bytes(b"This is no database. " * 400)
    for suffix in ("-wal", "-shm"):
        Path(f"{session}{suffix}").unlink(missing_ok=True)
    os.kill(host, signal.SIGKILL)


def refused(number: Number) -> None:
    number.phone.fault(Refuse(times=1))
    number.phone.fault(Drop())


def unanswered(number: Number) -> None:
    """Its process ends, and the login of the next one is never answered."""
    number.phone.fault(Silence())
    killed(number, signal.SIGKILL)


def kept_out(number: Number, *, reset: bool) -> None:
    """Its process ends, and the first attempts of the next one get no further than the proxy."""
    number.manager.network.fault(Refuse(times=2, reset=reset))
    killed(number, signal.SIGKILL)


FAULTS = (
    Fault("the connection is reset (RST)", "dropped", lambda number: number.phone.fault(Drop())),
    Fault("the server ends the stream (503)", "dropped", lambda number: number.phone.fault(StreamError(code=503))),
    Fault("reset, and nobody gets in at first", "dropped", refused),
    Fault("login answered 503", "dropped", lambda number: number.log_in_to(LoginFailure(reason=503, times=1))),
    Fault(
        "process killed, and the line answers 503 at first",
        "unavailable",
        lambda number: kept_out(number, reset=False),
    ),
    Fault("process killed, and the line is cut at first", "refused", lambda number: kept_out(number, reset=True)),
    Fault(
        "login answered with an unknown code",
        "socket_failed",
        lambda number: number.log_in_to(LoginFailure(reason=499, times=1)),
    ),
    Fault(
        "logged out by an unknown complaint, the connection stays",
        "zombie",
        lambda number: number.phone.fault(StreamError(code=500, hang_up=False)),
    ),
    Fault(
        "login answered 402 (banned for 3 s)",
        "temporarily_banned",
        lambda number: number.log_in_to(LoginFailure(reason=402, expire_s=3, times=1)),
    ),
    Fault("socket process killed (SIGKILL)", "host_died", lambda number: killed(number, signal.SIGKILL)),
    Fault("socket process aborts (SIGABRT)", "host_died", lambda number: killed(number, signal.SIGABRT)),
    Fault(
        "socket process hangs (SIGSTOP)",
        "host_hung",
        lambda number: killed(number, signal.SIGSTOP),
        noticed_within_s=15.0,
    ),
    Fault(
        "the connection stands and nothing comes back",
        "deaf",
        lambda number: number.phone.fault(Silence()),
        noticed_within_s=60.0,
    ),
    Fault("the login is never answered", "socket_failed", unanswered, noticed_within_s=60.0),
    Fault(
        "another client takes the session over",
        "stream_replaced",
        lambda number: number.phone.fault(Replaced()),
        ends="INVALID",
    ),
    Fault("login answered 403", "locked", lambda number: number.log_in_to(LoginFailure(reason=403)), ends="INVALID"),
    Fault("login answered 406", "banned", lambda number: number.log_in_to(LoginFailure(reason=406)), ends="INVALID"),
    Fault(
        "login answered 405",
        "client_outdated",
        lambda number: number.log_in_to(LoginFailure(reason=405)),
        ends="INVALID",
    ),
    Fault(
        "login answered 402 (banned for an hour)",
        "temporarily_banned",
        lambda number: number.log_in_to(LoginFailure(reason=402, expire_s=3600)),
        ends="DISCONNECTED",
    ),
    Fault("session file damaged", "unusable_session", spoiled, ends="INVALID", noticed_within_s=5.0),
    Fault("logged out on the phone", "logged_out", lambda number: number.phone.unlink(), ends="removed"),
    Fault(
        "login answered 401", "logged_out", lambda number: number.log_in_to(LoginFailure(reason=401)), ends="removed"
    ),
)


def play(number: Number, fault: Fault) -> Course:
    """Strike, and wait until it is over."""
    struck_at = time.time()
    before = position(number)
    fault.strike(number)
    return follow(number, fault, struck_at, before)


def position(number: Number) -> int:
    """Where the log of this number ends."""
    return max((event["position"] for event in number.manager.events(number.name)), default=0)


def follow(number: Number, fault: Fault, struck_at: float, before: int) -> Course:
    """Wait until the blow has been dealt with; `before` is where the log ended when it fell."""
    lost = await_event(number, before, lambda event: event["data"].get("reason") == fault.cause)
    heal_s = None
    if not fault.ends:
        # What lasts would come over the next connection as well.
        number.phone.heal()
        back = await_connected(number, lost["position"])
        heal_s = moment(back) - moment(lost)
    restarts = [event for event in all_events(number, before) if is_restart(event)]
    return Course(detect_s=moment(lost) - struck_at, heal_s=heal_s, restarts=len(restarts))


def is_restart(event: Any) -> bool:
    return bool(event["type"] == "instance.restarted")


def all_events(number: Number, after: int = 0) -> list[Any]:
    """The stream behind a position, by id: also of an instance that is gone."""
    found: list[Any] = []
    while True:
        params: dict[str, str | int] = {"instance": number.id, "after": after, "limit": 500}
        page = number.manager.call("GET", "/events", params=params).json()
        if not page["events"]:
            return found
        found += page["events"]
        after = page["next"]


def await_event(number: Number, after: int, wanted: Callable[[Any], bool]) -> Any:
    """The first event after this position that is wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for event in all_events(number, after):
            if wanted(event):
                return event
        time.sleep(0.02)
    raise TimeoutError(f"{number.name}: {[(e['type'], e['data'].get('reason')) for e in all_events(number)][-12:]}")


def await_connected(number: Number, after: int) -> Any:
    """The first time after this position that it was connected (again)."""
    return await_event(number, after, lambda event: event["type"] == "instance.connected")


def moment(event: Any) -> float:
    return datetime.fromisoformat(event["recordedAt"]).timestamp()
