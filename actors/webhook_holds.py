"""What failed and waits for its time: the head of the order, or the oldest event of each chat. For one thread."""

import math
import time
from datetime import datetime

import msgspec

BREAKER_AFTER = 5
"""Failures in a row, of whatever chats, after which the receiver is taken to be down."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """An event failed: not again before `until` (monotonic). `asked` where the receiver named the time, or may have."""

    sequence: int
    attempts: int
    first_attempt_at: datetime | None
    until: float
    tried_at: float
    asked: bool

    def left_s(self) -> float:
        """Seconds until it may be tried; not positive where it may be now."""
        return self.until - time.monotonic()


def hold_of(sequence: int, attempts: int, first: datetime | None, left_s: float, *, asked: bool) -> Hold:
    """A hold of `left_s` seconds from now."""
    now = time.monotonic()
    return Hold(
        sequence=sequence, attempts=attempts, first_attempt_at=first, until=now + left_s, tried_at=now, asked=asked
    )


class Holds:
    """By chat; where the order is the instance's, all is one chat, number 0."""

    def __init__(self) -> None:
        self._of: dict[int, Hold] = {}
        self._failures = 0
        self._looked_at = -math.inf
        self.breaker: Hold | None = None
        """Holds all chats."""

    def of(self, chat: int, sequence: int | None = None) -> Hold | None:
        """What is known of the failures of a chat's oldest event in this life, if it is the one with this number."""
        hold = self._of.get(chat)
        return hold if hold is not None and sequence in (None, hold.sequence) else None

    def is_held(self, chat: int) -> bool:
        """Whether the oldest event of this chat waits for its time."""
        hold = self._of.get(chat)
        return hold is not None and hold.left_s() > 0

    def chats(self) -> list[int]:
        """Those whose oldest event waits for its time. Of them `soonest_s` speaks, also when that is over meanwhile."""
        self._looked_at = time.monotonic()
        return [chat for chat, hold in self._of.items() if hold.until > self._looked_at]

    def put(self, chat: int, hold: Hold) -> Hold:
        """What the last life left."""
        self._of[chat] = hold
        return hold

    def stop(self, chat: int, hold: Hold) -> None:
        """Hold everything."""
        self._of[chat] = self.breaker = hold

    def drop(self, chat: int) -> None:
        """The oldest event of this chat waits no longer."""
        self._of.pop(chat, None)

    def fail(self, chat: int, hold: Hold) -> None:
        """An attempt failed."""
        self._of[chat] = hold
        self._failures += 1
        if self._failures >= BREAKER_AFTER:
            self.breaker = hold

    def succeed(self, chat: int) -> None:
        """An event got through, so the receiver is there."""
        self._of.pop(chat, None)
        self._failures = 0
        self.breaker = None

    def expire_oldest(self, tried_before: float) -> Hold | None:
        """Hold a chat no longer, the one that was tried longest ago; what held it, or None where none may be tried yet.

        None whose receiver named the time, none that was tried since, and none at all where the breaker is such.
        """
        if (breaker := self.breaker) is not None:
            if breaker.asked or breaker.tried_at > tried_before:
                return None
            self.breaker = msgspec.structs.replace(breaker, until=-math.inf)
        waiting = [
            (hold.tried_at, chat)
            for chat, hold in self._of.items()
            if hold.left_s() > 0 and not hold.asked and hold.tried_at <= tried_before
        ]
        if not waiting:
            return None
        _, chat = min(waiting)
        hold = self._of[chat]
        self._of[chat] = msgspec.structs.replace(hold, until=-math.inf)
        return hold

    def clear(self) -> None:
        """Nothing is held."""
        self._of.clear()
        self._failures = 0
        self.breaker = None

    def soonest_s(self) -> float | None:
        """Seconds until the first of the held `chats` may be tried again; None where there was none."""
        return min(
            (max(0.0, hold.left_s()) for hold in self._of.values() if hold.until > self._looked_at), default=None
        )

    def is_empty(self) -> bool:
        """Whether nothing that failed in this life, or was met in it, is still to be told."""
        return not self._of
