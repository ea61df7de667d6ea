"""What the callers of one commit wait for: futures whose waiting threads are woken a few at a time.

Hundreds of threads that are woken at once all queue for the interpreter lock, and cost each other more than their work
does. Here each that was woken wakes the next as soon as it runs, in the order in which their futures were resolved.
"""

import threading
from collections import deque
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 4
"""Threads that are woken and do not run yet."""


class _Place:
    """Where one thread waits."""

    __slots__ = ("is_called", "is_left", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.turn.acquire()
        self.is_called = False
        self.is_left = False


class Crowd:
    """Everybody who waits for the same writer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: deque[_Place] = deque()
        self._waking = 0

    def wait(self, future: Future[T], timeout_s: float) -> None:
        """Until `future` is done, or so many seconds are over; -1 is for ever."""
        place = _Place()
        try:
            future.add_done_callback(lambda _: self._call(place))
            place.turn.acquire(timeout=timeout_s)
        finally:
            with self._lock:
                place.is_left = True
                if place.is_called:
                    self._call_next()

    def _call(self, place: _Place) -> None:
        with self._lock:
            self._ready.append(place)
            if self._waking < AT_ONCE:
                self._waking += 1
                self._call_next()

    def _call_next(self) -> None:
        """Has the lock."""
        while self._ready:
            place = self._ready.popleft()
            if not place.is_left:
                place.is_called = True
                place.turn.release()
                return
        self._waking -= 1


class Promise(Future[T]):
    """A future for which one waits in a crowd. Only `result` does: whoever waits otherwise is woken at once."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__()
        self._crowd = crowd

    def result(self, timeout: float | None = None) -> T:
        if not self.done():
            self._crowd.wait(self, -1 if timeout is None else max(timeout, 0))
        return super().result(0)
