"""An instance as the log has it: from its snapshot where there is one, else by folding its stream."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

import msgspec

from chatbot_erp.actors.fates import Fates
from chatbot_erp.actors.state import State, decode_state, evolve
from chatbot_erp.eventstore.store import EventStore, Recorded, StreamHead

PAGE = 1000


class Log(Protocol):
    """What reads events: the store of a running manager, or a log that is only looked at."""

    def read(
        self, *, after: int = 0, limit: int = 100, stream: str | None = None, until: int | None = None
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


def past(log: Log, stream: str, *, until: int | None = None, at: datetime | None = None) -> Past:
    """How it was after the events up to position `until`, or after the last one that was recorded no later than `at`.

    What stands before that one belongs to it, also where a clock that went back since calls it later.
    """
    then = Past()
    if at is not None:
        until = log.last_until(stream, at)
    for record in stream_events(log, stream, until=until):
        then.take(record)
    return then


def fold(log: Log, stream: str) -> State:
    """The state now."""
    state: State = None
    for record in stream_events(log, stream):
        state = evolve(state, record.event, record.recorded_at)
    return state


def stream_events(log: Log, stream: str, *, until: int | None = None) -> Iterator[Recorded]:
    """All events of a stream in order, read page by page."""
    after = 0
    while records := log.read(after=after, limit=PAGE, stream=stream, until=until):
        yield from records
        after = records[-1].position
