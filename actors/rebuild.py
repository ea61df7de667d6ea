"""An instance as the log has it: from its snapshot where there is one, else by folding its stream."""

import heapq
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Protocol

import msgspec

from chatbot_erp.actors.errors import HistoryTooLong
from chatbot_erp.actors.fates import Fates
from chatbot_erp.actors.state import State, decode_state, evolve
from chatbot_erp.eventstore.events import EVENT_NAMES, InstanceDegraded, InstanceRecovered
from chatbot_erp.eventstore.store import EventStore, Recorded, StreamHead
from chatbot_erp.eventstore.walk import Progress

PAGE = 1000
LAST_OF_MESSAGES = 2000
"""How many events about messages a look back folds."""
LONGEST_LOOK_BACK = 50_000
"""How many events a look back folds in all, which is a second or two of CPU."""

WEIGHED = frozenset({EVENT_NAMES[InstanceDegraded], EVENT_NAMES[InstanceRecovered]})
ABOUT_MESSAGES = frozenset(name for name in EVENT_NAMES.values() if name.startswith("message."))
OF_A_LIFE = frozenset(name for name in EVENT_NAMES.values() if name.startswith(("instance.", "endpoint."))) - WEIGHED


class Log(Protocol):
    """What reads events: the store of a running manager, or a log that is only looked at."""

    def head(self) -> int: ...

    def read(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        stream: str | None = None,
        types: Collection[str] = (),
        until: int | None = None,
    ) -> list[Recorded]: ...

    def last_until(self, stream: str, at: datetime) -> int: ...


def rebuild(store: EventStore, head: StreamHead) -> State:
    """The state at `head`. A snapshot is only a cache: one that cannot be read is folded anew."""
    if head.snapshot:
        try:
            state: State = decode_state(head.snapshot)
            return state
        except msgspec.MsgspecError:
            pass
    return fold(store, head.stream)


class Past:
    """An instance and its messages as they were after `position`; `state` is None before its first event."""

    def __init__(self) -> None:
        self.state: State = None
        self.fates = Fates()
        self.position = 0

    def take(self, record: Recorded) -> None:
        """Fold the next event of the stream."""
        self.state = evolve(self.state, record.event, record.recorded_at)
        self.fates.take(record)
        self.position = record.position


def past(
    log: Log,
    stream: str,
    *,
    until: int | None = None,
    at: datetime | None = None,
    progress: Progress = lambda done, total: None,
) -> Past:
    """How it was after the events up to position `until`, or after the last one that was recorded no later than `at`.

    What stands before that one belongs to it, also where a clock that went back since calls it later.
    """
    then = Past()
    if at is not None:
        until = log.last_until(stream, at)
    end = log.head() if until is None else until
    for record in stream_events(log, stream, until=until):
        then.take(record)
        if record.version % PAGE == 0:
            progress(record.position, end)
    return then


def look_back(
    store: EventStore,
    stream: str,
    *,
    until: int | None = None,
    at: datetime | None = None,
    limit: int = LONGEST_LOOK_BACK,
) -> Past:
    """As `past`, at a cost that traffic does not raise: with the last messages only, and without what was `pending`.

    Raises `HistoryTooLong` above `limit` events.
    """
    end = store.head() if until is None else until
    if at is not None:
        end = min(end, store.last_until(stream, at))
    # They alternate, and are as many as messages: whatever the status is due to, it is due to one of the last two.
    weighed = store.read_latest(stream, until=end, limit=2, types=WEIGHED)
    messages = store.read_latest(stream, until=end, limit=LAST_OF_MESSAGES, types=ABOUT_MESSAGES)
    life = stream_events(store, stream, until=end, types=OF_A_LIFE)
    then = Past()
    for count, record in enumerate(heapq.merge(life, weighed, messages, key=lambda record: record.position)):
        if count == limit:
            raise HistoryTooLong(f"Until then the instance has changed more than {limit:,} times.")
        then.take(record)
    return then


def fold(log: Log, stream: str) -> State:
    """The state now."""
    state: State = None
    for record in stream_events(log, stream):
        state = evolve(state, record.event, record.recorded_at)
    return state


def stream_events(
    log: Log, stream: str, *, until: int | None = None, types: Collection[str] = ()
) -> Iterator[Recorded]:
    """The events of a stream in order, of these types or of all, read page by page."""
    after = 0
    while records := log.read(after=after, limit=PAGE, stream=stream, until=until, types=types):
        yield from records
        after = records[-1].position
