"""What is done about the loss of a socket: one table that the supervisor, the docs and the tests read.

Only what a restart can cure is restarted. Delays are seconds of monotonic time.
"""

from enum import Enum
from typing import assert_never

import msgspec

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0
HEALTHY_AFTER_S = 600.0
LIBRARY_DEADLINE_S = 20.0
LIBRARY_SPREAD_S = 10.0
"""The deadline of each number is up to this much later, or all numbers of a lost line would be restarted at once."""

HASTE_S = 5.0
"""When one number gets through again, all that wait for the same network try within this time."""

INTENSITY = (5, 300.0)
"""More restarts than this many in this many seconds put an instance into quarantine: one probe per `LONGEST_DELAY_S`,
until it has been healthy for `HEALTHY_AFTER_S` or somebody asks for a restart.

Only those count that speak against the instance itself: an outage of a minute must not cost it five more.
"""


class Remedy(Enum):
    """What helps against a cause."""

    RESTART_NOW = "restart now"
    RESTART_WITH_BACKOFF = "restart with full-jitter backoff, 1 s to 300 s"
    AWAIT_LIBRARY = "the library reconnects by itself: `refused` if it cannot for 4 s; restart if no login is answered in 20 to 30 s"
    AWAIT_TIME = (
        "restart at the time WhatsApp named; where it names none, or bans again, after 5 minutes, doubling to 21 h"
    )
    AWAIT_PERSON = "a person must act (a new code, a restart on request)"
    NONE = "no restart can cure it: INVALID"
    REMOVE = "the session is gone: the instance is removed"


REMEDIES: dict[str, Remedy] = {
    "dropped": Remedy.AWAIT_LIBRARY,
    "refused": Remedy.RESTART_WITH_BACKOFF,
    "unavailable": Remedy.RESTART_WITH_BACKOFF,
    "flapping": Remedy.RESTART_WITH_BACKOFF,
    "socket_failed": Remedy.RESTART_WITH_BACKOFF,
    "host_died": Remedy.RESTART_NOW,
    "host_hung": Remedy.RESTART_NOW,
    "host_recycled": Remedy.RESTART_NOW,
    "actor_failed": Remedy.RESTART_NOW,
    "actor_stuck": Remedy.RESTART_NOW,
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

TIMED = frozenset(cause for cause, remedy in REMEDIES.items() if remedy is Remedy.AWAIT_TIME)
"""Causes after which WhatsApp wants to see no attempt until the time it named."""

DEMANDED = frozenset({"requested", "manager_started"})
"""Causes of a restart that is meant for whatever the instance has; all others answer a loss, and may be outdated."""

SESSION_DESTROYED = frozenset({"locked", "banned", "unusable_session"})
"""Causes after which the library has deleted the device link: only a new pairing helps."""

NETWORK = frozenset({"dropped", "refused", "unavailable"})
"""Causes that many numbers have in common, and that end for all of them together. Their backoff is limit enough."""

TRIED_AT_START = frozenset({"client_outdated"})
"""Incurable for this program, but perhaps not for the newer one that was started in its place."""


class Healing(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor remembers of one instance's losses. Times are monotonic."""

    failures: int = 0
    bans: int = 0
    """Of the failures, those that were bans for a time."""
    quarantined: bool = False
    restarts: tuple[float, ...] = ()
    """Those that count towards `INTENSITY`."""
    healthy_since: float | None = None
    expired_codes: int = 0
    """Pairing attempts that nobody took up, one after another."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Restart after `delay_s` seconds, or not at all (None)."""

    delay_s: float | None
    healing: Healing


def plan(
    cause: str, healing: Healing, *, now: float, draw: float, wait_s: float | None = None, qr_attempts: int = 1
) -> Plan:
    """Decide about one loss.

    `draw` is a random number in [0, 1) for the jitter, `wait_s` the time WhatsApp asked to wait (only with
    `AWAIT_TIME`), `qr_attempts` how many pairing attempts are made before a person must ask for more (0: no end).
    """
    count, period = INTENSITY
    former = remembered(healing, now)
    recent = tuple(at for at in former.restarts if now - at < period)
    lost = msgspec.structs.replace(former, restarts=recent, healthy_since=None)
    failures, bans, quarantined = former.failures, former.bans, former.quarantined
    match REMEDIES.get(cause, Remedy.RESTART_WITH_BACKOFF):
        case Remedy.AWAIT_PERSON if cause == "qr_expired":
            return renew(lost, qr_attempts)
        case Remedy.AWAIT_PERSON | Remedy.NONE | Remedy.REMOVE:
            return Plan(delay_s=None, healing=lost)
        case Remedy.AWAIT_TIME:
            delay, bans = ban(wait_s, bans), bans + 1
        case _ if (quarantined or len(recent) >= count) and cause not in NETWORK:
            delay, quarantined = LONGEST_DELAY_S, True
        case Remedy.RESTART_NOW:
            delay = 0.0 if failures == 0 else backoff(failures - 1, draw)
        case Remedy.RESTART_WITH_BACKOFF:
            delay = backoff(failures, draw)
        case Remedy.AWAIT_LIBRARY:
            delay = LIBRARY_DEADLINE_S + draw * LIBRARY_SPREAD_S
        case other:
            assert_never(other)
    restarts = recent if cause in NETWORK else (*recent, now + delay)
    after = msgspec.structs.replace(lost, failures=failures + 1, bans=bans, quarantined=quarantined, restarts=restarts)
    return Plan(delay_s=delay, healing=after)


def renew(healing: Healing, attempts: int) -> Plan:
    """A new code at once, as long as there are attempts left. It says nothing about the health of a connection."""
    expired = healing.expired_codes + 1
    after = msgspec.structs.replace(healing, expired_codes=expired)
    return Plan(delay_s=None if 0 < attempts <= expired else 0.0, healing=after)


def recovered(healing: Healing, *, now: float) -> Healing:
    """The instance is connected (again); what was long ago before that is forgiven."""
    return msgspec.structs.replace(remembered(healing, now), healthy_since=now, expired_codes=0)


def remembered(healing: Healing, now: float) -> Healing:
    """What still counts at this moment: nothing, if it was healthy for long enough before."""
    if healing.healthy_since is not None and now - healing.healthy_since >= HEALTHY_AFTER_S:
        return Healing(healthy_since=healing.healthy_since)
    return healing


def ban(wait_s: float | None, former: int) -> float:
    """How long to wait after a ban for a time, the `former` ones having been waited out in vain.

    The first time WhatsApp is taken at its word. Where it gives none, or has not meant it, the wait is at least five
    minutes, and doubles: an attempt is what it wants to see least.
    """
    if wait_s is not None and former == 0:
        return wait_s
    return max(wait_s or 0.0, LONGEST_DELAY_S * 2.0 ** min(former, 8))


def backoff(failures: int, draw: float) -> float:
    """Full jitter: anything from nothing to a ceiling that doubles with each failure."""
    return draw * min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures, 16))
