"""How a delivery is signed and when it is tried again, without clock, network, randomness or log.

The order of an instance is kept by never looking past the oldest event that waits: the head. So the head is the
circuit breaker as well, and there is no other one: while it fails nothing else is posted (open), each of its retries
is the one probe (half-open), and its success lets the rest follow at once (closed). Ten thousand waiting events cost
a dead receiver no more than one. Where the order is per chat each chat has a head, and a few failures in a row of
whatever chats open the breaker for all of them.
"""

import base64
import binascii
import hmac
import secrets
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from itertools import accumulate
from typing import Literal, assert_never

import msgspec

GAPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from one retry to the next. From 5 minutes on it is the schedule of Standard Webhooks.

That schedule goes from 5 seconds straight to 5 minutes, which a receiver that is merely redeployed would pay for with
five minutes of silence on every number. The gaps before it find a receiver that comes back after N seconds within
about N more, for seven posts that a dead one does not notice.
"""

OFFSETS_S = tuple(accumulate(GAPS_S))
"""When retries are due, in seconds since the first attempt: the last is at 75 h 39 min."""

JITTER = 0.2
"""A retry comes up to a fifth of its gap later, so that the instances of one receiver do not return in step."""

SHORTEST_RETRY_S = 1.0
LONGEST_RETRY_S = 86_400.0
PROBE_AFTER_S = 60.0
"""A new event is a reason to try a failing head again before its time, but not sooner than this after the last try.

Without it a receiver that was down for three hours would hear nothing for up to five more, whatever came in.
"""

DISABLE_AFTER_S = 5 * 86_400.0
"""Of nothing but failures. What happens meanwhile waits, so nobody is harmed by the manager's giving up."""

NOT_THE_EVENTS_FAULT = frozenset({401, 403, 404, 405, 407, 408, 409, 425, 429})
"""4xx that speak of the address, the credentials or the moment: another event would fare no better."""

SECRET_AT_LEAST = 6
"""A shorter value of a header is no secret, and is found by chance in many answers."""

HIDDEN = "[…]"
SECRET_PREFIX = "whsec_"
USER_AGENT = f"chatbot-erp/{version('chatbot-erp')}"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver answered. `text` is the first KiB of it, `address` the `ip:port` that was dialled."""

    status: int
    retry_after: str | None
    text: str
    address: str
    duration_ms: int


class NoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """There was no answer in time, or the receiver could not or must not be reached. `error` is a class of failure."""

    error: str
    detail: str
    address: str
    duration_ms: int


Outcome = Answer | NoAnswer


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver has it."""

    http_status: int


class RetryAt(msgspec.Struct, frozen=True, kw_only=True):
    """It failed and is tried again; `asked` where the receiver itself named the time."""

    due: datetime
    error: str
    asked: bool


class Abandon(msgspec.Struct, frozen=True, kw_only=True):
    """It failed for as long as allowed: the next event's turn."""

    error: str


class Disable(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver is gone (410), or has been failing for days: nothing is posted until somebody wants it."""

    reason: Literal["gone", "failing"]
    error: str


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long an event is tried, and how long one that the receiver rejects may hold up those behind it."""

    retry_for_s: float
    reject_after_s: float


Step = Delivered | RetryAt | Abandon | Disable


def next_step(
    outcome: Outcome,
    *,
    first_attempt_at: datetime,
    failing_since: datetime,
    now: datetime,
    draw: float,
    patience: Patience,
) -> Step:
    """What follows from an attempt that has just ended.

    `first_attempt_at` is this event's, `failing_since` when the receiver began to do nothing but fail; neither lies
    before the last change of its settings. `draw` is a random number in [0, 1). The last retry is at the moment at
    which patience ends.
    """
    limit_s = patience.retry_for_s
    match outcome:
        case Answer(status=status) if 200 <= status < 300:
            return Delivered(http_status=status)
        case Answer(status=410):
            return Disable(reason="gone", error="http_410")
        case Answer(status=status, retry_after=text):
            error, wanted = f"http_{status}", wait_wanted(text, now)
            if 400 <= status < 500 and status not in NOT_THE_EVENTS_FAULT:
                limit_s = min(limit_s, patience.reject_after_s)
        case NoAnswer(error=error):
            wanted = None
        case _:
            assert_never(outcome)
    if (now - failing_since).total_seconds() >= DISABLE_AFTER_S:
        return Disable(reason="failing", error=error)
    end = first_attempt_at + timedelta(seconds=limit_s)
    if now >= end:
        return Abandon(error=error)
    elapsed_s = (now - min(first_attempt_at, failing_since)).total_seconds()
    delay = wanted if wanted is not None else delay_s(elapsed_s, draw)
    return RetryAt(due=min(now + timedelta(seconds=delay), end), error=error, asked=wanted is not None)


def delay_s(elapsed_s: float, draw: float) -> float:
    """Seconds to the next retry, `elapsed_s` after the first attempt.

    It depends on the time alone, not on a count, so that attempts out of turn (a new event, a restart of the manager)
    do not use the schedule up.
    """
    elapsed_s = max(0.0, elapsed_s)  # the clock may have been set back since
    place = bisect_right(OFFSETS_S, elapsed_s)
    gap = OFFSETS_S[place] - elapsed_s if place < len(OFFSETS_S) else LONGEST_RETRY_S
    return max(SHORTEST_RETRY_S, gap) * (1 + JITTER * draw)


def wait_wanted(retry_after: str | None, now: datetime) -> float | None:
    """Seconds to wait according to a Retry-After header, within a second and a day; None where it says nothing."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])  # enough digits to be over the cap, whatever follows
    else:
        try:
            until = parsedate_to_datetime(text)
            seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S)


def headers(
    content: bytes,
    *,
    event_id: str,
    at: datetime,
    keys: Sequence[bytes],
    instance: str,
    name: str,
    own: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers of an attempt at the moment `at`, signed with each of `keys` (the new one first, then the old).

    `own` are those that the receiver's owner wants to see.
    """
    moment = str(int(at.timestamp()))
    signed = f"{event_id}.{moment}.".encode() + content
    signatures = (base64.b64encode(signature(key, signed)).decode() for key in keys)
    return {
        **(own or {}),
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        "X-Instance-Id": instance,
        "X-Instance-Name": name,
    }


def signature(key: bytes, signed: bytes) -> bytes:
    """HMAC-SHA256. `hmac.digest` would give the interpreter lock away for it."""
    return hmac.new(key, signed, "sha256").digest()


def without_own(outcome: Outcome, own: Mapping[str, str]) -> Outcome:
    """The outcome without the values of the owner's headers: some receivers answer with what they were sent."""
    if not isinstance(outcome, Answer) or not own or not outcome.text:
        return outcome
    text = outcome.text
    values = {part for value in own.values() for part in (value, *value.split())}
    forms = {form for value in values for form in (value, msgspec.json.encode(value).decode()[1:-1])}
    # The longest first: what is left of it without a shorter one inside would be found no more.
    for form in sorted(forms, key=len, reverse=True):
        if len(form) < SECRET_AT_LEAST:
            continue
        text = text.replace(form, HIDDEN)
        # What is kept of an answer may end in the middle of it.
        for length in range(min(len(form) - 1, len(text)), SECRET_AT_LEAST - 1, -1):
            text = text.removesuffix(form[:length])
    return outcome if text == outcome.text else msgspec.structs.replace(outcome, text=text)


def new_secret() -> str:
    """A secret that nobody has had before."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signing_key(secret: str) -> bytes:
    """The key in a secret `whsec_…`. Raises `ValueError`, without the secret in it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("A webhook secret is whsec_ and the base64 of 24 to 64 bytes.")
    return key
