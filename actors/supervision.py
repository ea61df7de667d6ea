"""What is done about the loss of a socket: one table that the supervisor, the docs and the tests read.

Only what a restart can cure is restarted. Delays are seconds of monotonic time.
"""

from enum import Enum

import msgspec

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0
HEALTHY_AFTER_S = 600.0
LIBRARY_DEADLINE_S = 20.0
INTENSITY = (5, 300.0)
"""More restarts than this many in this many seconds put an instance into quarantine: one probe per `LONGEST_DELAY_S`."""


class Remedy(Enum):
    """What helps against a cause."""

    RESTART_NOW = "restart now"
    RESTART_WITH_BACKOFF = "restart with full-jitter backoff, 1 s to 300 s"
    AWAIT_LIBRARY = "the library reconnects by itself; restart if it has not within 20 s"
    AWAIT_TIME = "restart at the time WhatsApp named"
    AWAIT_PERSON = "a person must act (a new code, a restart on request)"
    NONE = "no restart can cure it: INVALID"
    REMOVE = "the session is gone: the instance is removed"


REMEDIES: dict[str, Remedy] = {
    "dropped": Remedy.AWAIT_LIBRARY,
    "refused": Remedy.RESTART_WITH_BACKOFF,
    "unavailable": Remedy.RESTART_WITH_BACKOFF,
    "socket_failed": Remedy.RESTART_WITH_BACKOFF,
    "host_died": Remedy.RESTART_NOW,
    "host_hung": Remedy.RESTART_NOW,
    "host_recycled": Remedy.RESTART_NOW,
    "zombie": Remedy.RESTART_NOW,
    "deaf": Remedy.RESTART_NOW,
    "temporarily_banned": Remedy.AWAIT_TIME,
    "qr_expired": Remedy.AWAIT_PERSON,
    "pairing_failed": Remedy.AWAIT_PERSON,
    "stream_replaced": Remedy.NONE,
    "locked": Remedy.NONE,
    "banned": Remedy.NONE,
    "client_outdated": Remedy.NONE,
    "unusable_session": Remedy.NONE,
    "logged_out": Remedy.REMOVE,
}
"""Cause of a loss → what helps. A cause that is not listed is treated as `socket_failed`."""

INCURABLE = frozenset(cause for cause, remedy in REMEDIES.items() if remedy is Remedy.NONE)

SESSION_DESTROYED = frozenset({"locked", "banned", "unusable_session"})
"""Causes after which the library has deleted the device link: only a new pairing helps."""


class Healing(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor remembers of one instance's losses."""

    failures: int = 0
    restarts: tuple[float, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Restart after `delay_s` seconds, or not at all (None)."""

    delay_s: float | None
    healing: Healing


def plan(cause: str, healing: Healing, *, now: float, draw: float, wait_s: float | None = None) -> Plan:
    """Decide about one loss.

    `now` is monotonic time, `draw` a random number in [0, 1) for the jitter, `wait_s` the time WhatsApp asked to wait
    (only with `AWAIT_TIME`).
    """
    count, period = INTENSITY
    recent = tuple(at for at in healing.restarts if now - at < period)
    failures = healing.failures
    if healing.restarts and now - healing.restarts[-1] > HEALTHY_AFTER_S:
        failures = 0
    remedy = REMEDIES.get(cause, Remedy.RESTART_WITH_BACKOFF)
    quarantined = len(recent) >= count
    match remedy:
        case Remedy.AWAIT_PERSON | Remedy.NONE | Remedy.REMOVE:
            return Plan(delay_s=None, healing=healing)
        case _ if quarantined:
            delay = LONGEST_DELAY_S
        case Remedy.RESTART_NOW:
            delay = 0.0 if failures == 0 else backoff(failures - 1, draw)
        case Remedy.RESTART_WITH_BACKOFF:
            delay = backoff(failures, draw)
        case Remedy.AWAIT_LIBRARY:
            delay = LIBRARY_DEADLINE_S
        case Remedy.AWAIT_TIME:
            delay = wait_s if wait_s is not None else LONGEST_DELAY_S
    return Plan(delay_s=delay, healing=Healing(failures=failures + 1, restarts=(*recent, now + delay)))


def backoff(failures: int, draw: float) -> float:
    """Full jitter: anything from nothing to a ceiling that doubles with each failure."""
    return draw * min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures, 16))
