"""An instance as the log has it: from its snapshot where there is one, else by folding its stream."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from chatbot_erp.actors.state import State, decode_state, evolve
from chatbot_erp.eventstore.store import EventStore, Recorded, StreamHead

PAGE = 1000


def rebuild(store: EventStore, head: StreamHead) -> State:
    """The state at `head`. A snapshot is only a cache: one that cannot be read is folded anew."""
    if head.snapshot:
        try:
            state: State = decode_state(head.snapshot)
            return state
        except msgspec.MsgspecError:
            pass
    return fold(store, head.stream)


def fold(store: EventStore, stream: str, *, until: int | None = None, at: datetime | None = None) -> State:
    """The state after the events up to position `until`, recorded no later than `at`."""
    state: State = None
    for record in stream_events(store, stream, until=until):
        if at is not None and record.recorded_at > at:
            break
        state = evolve(state, record.event, record.recorded_at)
    return state


def stream_events(store: EventStore, stream: str, *, until: int | None = None) -> Iterator[Recorded]:
    """All events of a stream in order, read page by page."""
    after = 0
    while records := store.read(after=after, limit=PAGE, stream=stream, until=until):
        yield from records
        after = records[-1].position
