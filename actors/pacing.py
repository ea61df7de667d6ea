"""How fast an instance may send: a bucket of tokens that fills up irregularly, as nobody writes to the second.

`refilled`, `wait_s` and `spent` are pure; `Pacer` holds the bucket of one instance and is given clock and chance.
"""

from collections.abc import Callable

import msgspec

from chatbot_erp.actors.errors import SendingTooFast

SPREAD = 0.25
"""How far the time to the next token strays to either side of its mean."""

Chance = Callable[[], float]
"""From 0 to 1, each as likely."""


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """`per_minute` messages on the long run (None: as many as come), up to `burst` at once.

    The number is seen typing for `typing_s` seconds before a text, recording before a voice message.
    """

    per_minute: float | None = None
    burst: int = 1
    typing_s: float = 0.0


UNPACED = Pacing()


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """So many messages may go at once; at `next_at` it is one more, up to the burst."""

    tokens: int
    next_at: float


def refilled(bucket: Bucket, mean_s: float, burst: int, now: float, chance: Chance) -> Bucket:
    """The bucket with the tokens that have come until now, one every `mean_s` seconds in the mean."""
    tokens, next_at = bucket.tokens, bucket.next_at
    while tokens < burst and next_at <= now:
        tokens += 1
        next_at += _strayed(mean_s, chance)
    return Bucket(tokens=tokens, next_at=next_at)


def wait_s(bucket: Bucket, now: float) -> float:
    """How long until a message may go; 0: now."""
    return 0.0 if bucket.tokens else max(0.0, bucket.next_at - now)


def spent(bucket: Bucket, mean_s: float, burst: int, now: float, chance: Chance) -> Bucket:
    """The bucket after a message; what was full begins to fill up again now."""
    next_at = now + _strayed(mean_s, chance) if bucket.tokens >= burst else bucket.next_at
    return Bucket(tokens=bucket.tokens - 1, next_at=next_at)


def _strayed(mean_s: float, chance: Chance) -> float:
    return mean_s * (1 + SPREAD * (2 * chance() - 1))


class Pacer:
    """Of one instance, used in its actor's thread. It begins full, and again whenever the pacing is another."""

    def __init__(self, clock: Callable[[], float], chance: Chance) -> None:
        self._clock = clock
        self._chance = chance
        self._pacing = UNPACED
        self._bucket = Bucket(tokens=0, next_at=0.0)

    def check(self, pacing: Pacing) -> None:
        """Raise `SendingTooFast` unless a message may go now."""
        if pacing.per_minute is None:
            return
        now = self._clock()
        if pacing != self._pacing:
            self._pacing, self._bucket = pacing, Bucket(tokens=pacing.burst, next_at=now)
        self._bucket = refilled(self._bucket, 60 / pacing.per_minute, pacing.burst, now, self._chance)
        if (wait := wait_s(self._bucket, now)) > 0:
            raise SendingTooFast(wait)

    def spend(self, pacing: Pacing) -> None:
        """A message goes that `check` has let through."""
        if pacing.per_minute is not None:
            now = self._clock()
            self._bucket = spent(self._bucket, 60 / pacing.per_minute, pacing.burst, now, self._chance)
