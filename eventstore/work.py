"""What callers want written: appends, and errands of every other kind."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.events import Event
from chatbot_erp.eventstore.promise import Promise
from chatbot_erp.eventstore.records import Appended, Redelivery


class Entry(msgspec.Struct, gc=False):
    """A new event as its caller's thread prepared it: only its place in the log is missing."""

    id: str
    event: Event
    recorded_at: datetime
    recorded_text: str
    word: tuple[str, int]
    """Stored name and schema version."""
    data: str
    shown: str
    """`data` before it was sealed."""
    known: bytes
    """Its part of the hashed bytes (chain.known_part)."""
    recipients: tuple[str, ...] | None
    """The endpoints that are told; None where the event is not one to tell."""
    chat: int
    redeliveries: tuple[Redelivery, ...]
    round: int
    name: str | None
    """The name of the instance that it creates."""


class Append(msgspec.Struct):
    """A caller's events for one stream; `future` is kept after COMMIT."""

    future: Promise[Appended]
    stream: str
    expected_version: int
    entries: Sequence[Entry]
    snapshot: bytes


class Errand(msgspec.Struct):
    """Anything else that has to be written. `run` may be called again if the transaction was rolled back."""

    future: Future[Any]
    run: Callable[[Ask], Any]
    in_passing: bool = False
    """It brings no commit of its own: it is written with what is submitted next."""


Work = Append | Errand

Outcomes = list[tuple[Work, Any]]
"""Each work with its result, or with the exception that it comes to."""


class Bounds(msgspec.Struct, frozen=True):
    """How much work may wait, how much of it one transaction takes, and how long another program's lock is borne."""

    queue: int
    group: int
    patience_ms: int


class Cadence(msgspec.Struct, frozen=True):
    """A checkpoint is signed with the first commit after either has passed since the last one."""

    events: int
    period: timedelta
    quiet: timedelta
    """One is signed also after so long a silence, where there is none of the log's end yet."""
