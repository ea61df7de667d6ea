"""What the house counts, and its pulse; written by actors, read by any thread."""

import time
from collections import Counter
from threading import Lock

from chatbot_erp.actors.frames import Alive

EVENTS = "events"
"""What the actors wrote into the log, by type."""

FATES = "fates"
"""How far messages have come, by fate."""


DISREGARDED = "disregarded"
"""What was said of a message by somebody who has no say in it, by kind."""


class Tallies:
    """Counters since the start. A key is a name and what it is counted by, such as ("restarts", "host_died")."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, name: str, by: str = "") -> None:
        with self._lock:
            self._counts[name, by] += 1

    def read(self) -> dict[tuple[str, str], int]:
        with self._lock:
            return dict(self._counts)


class Pulse:
    """When the supervisor last looked around, and what socket hosts had said of themselves by then."""

    def __init__(self) -> None:
        self._beaten_at = time.monotonic()
        self.hosts: tuple[Alive, ...] = ()

    def beat(self, hosts: tuple[Alive, ...] = ()) -> None:
        self._beaten_at = time.monotonic()
        self.hosts = hosts

    def age_s(self) -> float:
        return time.monotonic() - self._beaten_at
