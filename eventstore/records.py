"""What goes into the event store and what comes out of it. Every moment is an aware datetime in UTC."""

from datetime import datetime

import msgspec

from chatbot_erp.eventstore.events import Event

MAIN = "main"
"""The endpoint that every instance has."""

LARGEST_POSITION = 2**63 - 1
"""That a store can ask for."""

ERASED = "erased"
"""The error of a delivery that is not made because its content was erased. It is no dead letter: there is nothing to tell."""


class Redelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event that an endpoint is to be told again."""

    endpoint: str
    sequence: int
    position: int
    chat: int


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fact that is to be stored. `id` is a UUID as text: the same id is never stored twice."""

    id: str
    event: Event
    recorded_at: datetime
    recipients: tuple[str, ...] = (MAIN,)
    """The endpoints that are told, if it is an event to be told at all."""
    redeliveries: tuple[Redelivery, ...] = ()
    """What is to be told again from this event on."""
    round: int = 0
    """Which telling of its event a verdict is on: the position of what asked for it, 0 the first time."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fact as it stands in the log."""

    position: int
    """Place in the whole log, from 1, without gaps."""
    stream: str
    version: int
    """Place in its stream, from 1, without gaps."""
    id: str
    type: str
    event: Event
    recorded_at: datetime
    hash: str
    """Hex of the chain's SHA-256 up to and including this event (see chain.py)."""
    sequence: int | None
    """Delivery number in its stream, from 1, without gaps; None where no webhook is told."""
    data: msgspec.Raw
    """The JSON object, opened where it was sealed."""
    erased: bool = False
    """Whether its personal fields are empty because the keys to them were destroyed."""


class Appended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The outcome of an append: what was really new, and the stream's version afterwards."""

    records: tuple[Recorded, ...]
    version: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that an endpoint has not been told yet. `due` is None until an attempt has failed."""

    sequence: int
    chat: int
    """The same for events of one chat, 0 for those of none."""
    round: int
    """The position of the event that asked for it again; 0 the first time."""
    attempts: int
    due: datetime | None
    first_attempt_at: datetime | None
    record: Recorded


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the deliveries to an endpoint stand."""

    waiting: int
    oldest: int | None
    """The smallest sequence that waits."""
    due: datetime | None
    """When the next of those that failed is due."""
    dead: int
    failing_since: datetime | None
    """When it began to do nothing but fail."""
    sequence: int
    """The last one of the stream."""


class Outstanding(msgspec.Struct, frozen=True, kw_only=True):
    """What all endpoints together have still to be told."""

    waiting: int
    oldest: datetime | None
    """When the oldest of it happened."""
    dead: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was given up."""

    sequence: int
    position: int
    chat: int
    at: datetime
    attempts: int
    error: str
    id: str
    type: str


class StreamHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream stands. `snapshot` is what its last append said; `pending` counts deliveries not settled."""

    stream: str
    version: int
    snapshot: bytes
    pending: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One try to deliver an event to a webhook."""

    at: datetime
    duration_ms: int
    http_status: int | None
    error: str
    """Class of the failure; empty when it went well."""
    address: str
    """The address really dialled, `ip:port`; empty when there was none."""
    answer: str
    """The first KiB of the receiver's answer."""


class RecordedAttempt(Attempt, frozen=True, kw_only=True):
    """An attempt as it was kept, with the sequence number of its delivery."""

    sequence: int


class Claimed(msgspec.Struct, frozen=True):
    """The idempotency key was free and is now the caller's: do the work, then `settle` or `release`."""


class Running(msgspec.Struct, frozen=True):
    """The same request was begun by `owner` and has no answer yet."""

    owner: str


class Answered(msgspec.Struct, frozen=True):
    """The same request was answered already, with exactly this."""

    status: int
    content_type: str
    body: bytes


class Mismatched(msgspec.Struct, frozen=True):
    """The key was used for a different request."""


Claim = Claimed | Running | Answered | Mismatched
