"""Replaces socket hosts that have grown too large, one number after another, so that each is away for a moment only.

The library leaks a little with each connection it opens (neonize 0.5.2: about 2.5 descriptors and 0.4 MB), and only a
new process gets that back. Owned by the supervisor and used in its thread only.
"""

import time
from collections.abc import Callable

import structlog

from chatbot_erp.actors.hosts import SocketHosts

log = structlog.get_logger()

MOVE_PATIENCE_S = 30.0
"""A number that has not left by then does not hold up the next; its turn comes again."""

PAUSE_S = 60.0
"""From one recycled host to the next: a limit set too low must not keep all numbers moving."""


class Recycler:
    """`move(instance)` has an instance make a new socket; it finds its place in another host.

    The next one moves when the last is connected again: where no login succeeds, those that are connected stay so. Only
    one of which `comes_back` says that nothing but a person, or a long time, brings it back is not waited for.
    """

    def __init__(
        self,
        hosts: SocketHosts,
        move: Callable[[str], None],
        *,
        most_bytes: int,
        most_descriptors: int,
        comes_back: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts
        self._move = move
        self._most_bytes = most_bytes
        self._most_descriptors = most_descriptors
        self._comes_back = comes_back
        self._clock = clock
        self._host: str | None = None
        self._moving: str | None = None
        self._tried: set[str] = set()
        self._moved_at = 0.0
        self._next_at = 0.0

    def look(self) -> None:
        """Begin with a host that has grown too large, or go on where a number does not come back."""
        now = self._clock()
        if self._host is None and now >= self._next_at:
            self._begin()
        elif self._host is not None and now - self._moved_at > MOVE_PATIENCE_S:
            left = self._hosts.carried_by(self._host)
            if not left or self._moving in left or not self._comes_back(self._moving or ""):
                self._go_on()

    def healthy(self, instance: str) -> None:
        """This instance is connected: if it is the one that moved, the next one's turn has come."""
        if instance == self._moving:
            self._go_on()

    def _begin(self) -> None:
        for host in self._hosts.shared():
            vitals = host.vitals
            if vitals is None:
                continue
            if vitals.rss_bytes > self._most_bytes or vitals.descriptors > self._most_descriptors:
                log.warning(
                    "a socket host is replaced",
                    action="host_recycled",
                    host=host.name,
                    rss_bytes=vitals.rss_bytes,
                    descriptors=vitals.descriptors,
                )
                self._host = host.name
                self._hosts.retire(host.name)
                self._go_on()
                return

    def _go_on(self) -> None:
        assert self._host is not None
        left = self._hosts.carried_by(self._host)
        self._moved_at = self._clock()
        if not left:
            self._host = self._moving = None
            self._tried.clear()
            self._next_at = self._moved_at + PAUSE_S
            return
        if self._tried.issuperset(left):
            self._tried.clear()
        self._moving = next(instance for instance in left if instance not in self._tried)
        self._tried.add(self._moving)
        self._move(self._moving)
