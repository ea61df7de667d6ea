"""Keeps the unlocked maps of goneonize from being read and written at once.

neonize's Go part finds its clients in plain Go maps. Starting or stopping a client writes them, every other call reads
them, and Go ends the whole process when the two meet. So a change excludes look-ups, and changes exclude each other.

A look-up is the first thing a call does, but the call may go on for a minute (a send waits for WhatsApp's answer).
A change would wait as long if it waited for the call; it waits only while the call is young. After `LOOK_UP_S` a
thread that got a processor at all has long passed the few instructions up to the map, and what the call does
afterwards no longer touches it.

A start writes the maps within milliseconds, before it dials; when its dial is over it reads them once more. A dial may
hang for a minute. So a start excludes the others while it dials, but no longer than `WRITE_S`: that one read meets a
write of some nanoseconds hardly ever, while a neighbour that cannot be stopped has the whole process ended, each time.
For the same reason those that return at once go before those that dial.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_UP_S = 1.0
WRITE_S = 2.0


class MapGuard:
    """A lock with many readers and one writer, in which old readers no longer count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, write_s: float = WRITE_S) -> None:
        self._clock = clock
        self._write_s = write_s
        self._turn = threading.Condition()
        self._calls: dict[object, float] = {}
        self._changing = False
        self._short_ones_waiting = 0

    @contextmanager
    def look_up(self) -> Iterator[None]:
        """Around every call that reads the maps."""
        call = object()
        with self._turn:
            self._turn.wait_for(lambda: not self._changing)
            self._calls[call] = self._clock()
        try:
            yield
        finally:
            with self._turn:
                del self._calls[call]
                self._turn.notify_all()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Around a call that writes the maps and returns at once."""
        with self._turn:
            self._short_ones_waiting += 1
            self._turn.wait_for(lambda: not self._changing)
            self._short_ones_waiting -= 1
            self._begin()
        try:
            yield
        finally:
            self._end()

    def begin_long_change(self, settled: threading.Event) -> None:
        """Let a change begin that goes on after this call, and exclude others until `settled`, or for `WRITE_S`."""
        with self._turn:
            self._turn.wait_for(lambda: not self._changing and not self._short_ones_waiting)
            self._begin()
        threading.Thread(target=self._attend, args=(settled,), name="map-guard", daemon=True).start()

    def _attend(self, settled: threading.Event) -> None:
        settled.wait(self._write_s)
        self._end()

    def _begin(self) -> None:
        self._changing = True
        while (age := self._age_of_youngest()) < LOOK_UP_S:
            self._turn.wait(LOOK_UP_S - age)

    def _end(self) -> None:
        with self._turn:
            self._changing = False
            self._turn.notify_all()

    def _age_of_youngest(self) -> float:
        return self._clock() - max(self._calls.values(), default=float("-inf"))
