"""When this process is to end, and by when which part of it has: one deadline, of which each part gets its share.

Times are seconds after its beginning, or of monotonic time where that is said.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

import structlog

log = structlog.get_logger()

HAND_OVER_S = 10.0
"""By then other nodes have been given what this one has; the rest they get when it has ended. Calls are answered meanwhile."""

REQUESTS_S = 14.0
"""By then requests that run are finished, or are cut off."""

HOSTS_S = 25.0
"""By then socket hosts have ended in order, or have spooled what they have in hand, or are killed."""

ACTORS_S = 27.0
"""By then actors have written what they were told; the rest is for the log."""

END_S = 29.0
"""By then everything is over: service managers are told to wait for 30 s."""

SPOOLING_S = 5.0
"""Of its time, what a host keeps for spooling, in case it does not end in order."""

EXIT_HANGS = 70


class EndCame(Exception):
    """Raised where something is given up because this process is to end."""


class Ending:
    """Set by the first signal. The end begins when this is first asked about it: who is still starting does that first.

    A handler of signals runs in the middle of whatever the main thread does, and waits for no lock that this may hold:
    an `Event` has one while it is waited for, a `SimpleQueue` has none.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun_at: float | None = None
        self._is_set = False
        self._told: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        """Whether this process is to end."""
        return self._is_set

    def set(self) -> None:
        """Have it end. For a handler of signals, too."""
        self._is_set = True
        self._told.put(None)

    def wait(self, timeout: float, /) -> bool:
        """Whether it is to end, as soon as it is, and after this time at the latest. One thread may wait."""
        if not self._is_set:
            with suppress(Empty):
                self._told.get(timeout=timeout)
        return self._is_set

    def until(self, share_s: float) -> float:
        """The moment, of monotonic time, at which so many seconds of the end are over."""
        if self._begun_at is None:
            self._begun_at = self._clock()
        return self._begun_at + share_s

    def left_s(self, share_s: float) -> float:
        """How long it is until then; 0 if it is over."""
        return max(0.0, self.until(share_s) - self._clock())

    def check(self) -> None:
        """Between two steps of a start: raise `EndCame` where this process is to end, and see that it does."""
        if self._is_set:
            self.keep()
            raise EndCame

    def keep(self) -> None:
        """Whatever hangs, a disk for example: end this process in time all the same, which the log survives."""
        Thread(target=self._end, name="ending", daemon=True).start()

    def _end(self) -> None:
        time.sleep(self.left_s(END_S))
        log.critical("the end hangs; this process ends at once", action="end_hangs")
        os._exit(EXIT_HANGS)


def shares(left_s: float) -> tuple[float, float]:
    """For how long a host's end is waited for in the time that is left: in order, and to spool if it has not come so."""
    spooling_s = min(SPOOLING_S, max(0.0, left_s))
    return max(0.0, left_s) - spooling_s, spooling_s
