"""The log as it grows, as Server-Sent Events: for a consumer that cannot be called but can call.

Each open answer holds a thread, so there is room for a bounded number, in a lane of their own (serving.py). A consumer
that does not read holds up its own answer only, and is let go after a while; with `Last-Event-ID` it goes on exactly
where it was.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from threading import Lock

import msgspec
import structlog

from chatbot_erp.actors.manager import Manager
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import EVENT_NAMES, ContentExpired, SubjectErased
from chatbot_erp.eventstore.store import EventStore, Recorded
from chatbot_erp.http import payloads, queries
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.history import stream_of
from chatbot_erp.http.problems import TOO_MANY_STREAMS, RequestRefused

STREAMS = 16
STREAMS_OF_ONE = 4
"""How many of them a key for some instances may have: it leaves others room."""

PATH = "/events/stream"
PAGE = 100
HEARTBEAT_S = 15.0
"""Proxies take a connection on which nothing moves for half a minute or so to be dead."""

GLANCE_S = 1.0
"""How soon a stream notices that its consumer has left or may hear no more, or that the manager stops."""

RECONNECT_MS = 2000

FORGETTING = frozenset({EVENT_NAMES[SubjectErased], EVENT_NAMES[ContentExpired]})
"""What is of no instance, and tells whoever has read of any that some of it can be read no more."""

Read = Callable[[int], tuple[list[Recorded], int]]
"""What a consumer is to hear of behind a position, and up to which one that is all."""

log = structlog.get_logger()


class EventStream:
    """`GET /events/stream`: what `GET /events` shows, as it happens."""

    def __init__(
        self, manager: Manager, still_opens: Callable[[Request], bool], *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._manager = manager
        self._still_opens = still_opens
        self._heartbeat_s = heartbeat_s
        self._places = Places()

    def on_get(self, req: Request, resp: Response) -> None:
        wanted, types = queries.one(req, "instance"), queries.types(req)
        stream = stream_of(self._manager, wanted) if wanted else None
        after = beginning(req, self._manager)
        resp.content_type = "text/event-stream"
        # Some proxies collect an answer before they pass it on, unless they are told.
        resp.set_header("X-Accel-Buffering", "no")
        if req.env["REQUEST_METHOD"] == "HEAD":
            return
        gone = req.env.get("waitress.client_disconnected", lambda: False)
        names = req.grant.instances if req.grant is not None else None
        read = reading(self._manager.store, stream, types, names)
        told = tell(self._manager, read, after, self._heartbeat_s, gone, lambda: self._still_opens(req))
        opening = next(told)
        # Last, as nothing may fail between here and the answer that gives the place back.
        self._places.take(req.caller, STREAMS if names is None else STREAMS_OF_ONE)
        resp.stream = Held(chain([opening], told), lambda: self._places.leave(req.caller))


class Places:
    """The places for streams, and whose they are. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: Counter[str] = Counter()

    def take(self, caller: str, most: int) -> None:
        """Raises `RequestRefused` where all are taken, or `most` of them by this caller."""
        with self._lock:
            if self._taken.total() >= STREAMS:
                raise RequestRefused(TOO_MANY_STREAMS, f"{STREAMS} streams are open already.")
            if self._taken[caller] >= most:
                raise RequestRefused(TOO_MANY_STREAMS, f"{most} streams are open already with this key.")
            self._taken[caller] += 1

    def leave(self, caller: str) -> None:
        with self._lock:
            self._taken[caller] -= 1
            self._taken += Counter()  # who has none is not remembered


class Held:
    """An answer that holds one of the places for streams until it is closed."""

    def __init__(self, chunks: Iterator[bytes], leave: Callable[[], None]) -> None:
        self._chunks = chunks
        self._leave: Callable[[], None] | None = leave

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Called by the server when the answer is over, however it ended."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


def beginning(req: Request, manager: Manager) -> int:
    """The position to begin behind: where the consumer was, else what it asks for, else now."""
    last = (req.get_header("Last-Event-ID") or "").strip()
    head = manager.store.head()
    if last:
        after = queries.last_event(last)
    elif queries.one(req, "after") is not None:
        after = queries.after(req)
    else:
        return head
    if after > head:
        # It would be silent until the log has come so far: positions of before a backup was restored, say.
        detail = f"The log ends at {head}, before that position: begin from one that it has."
        if last:
            queries.refuse("Last-Event-ID", detail, "header")
        queries.refuse("after", detail)
    return after


def reading(store: EventStore, stream: str | None, types: Collection[str], names: Collection[str] | None) -> Read:
    """What a consumer hears: all of it, or what happens to one instance; with a key for these names only, what happens to
    those, and when something is forgotten.

    Under each name that is who has it now (while it is free: who had it last) and who gets it later. Who had it before
    may have been another's.
    """
    if names is None or stream is not None:
        return lambda after: store.read_on(after=after, limit=PAGE, stream=stream, types=types)
    former = {each for name in names for each in store.streams_named(name)[1:]}
    return lambda after: store.read_named(
        names, former=former, besides=FORGETTING, after=after, limit=PAGE, types=types
    )


def tell(
    manager: Manager,
    read: Read,
    after: int,
    heartbeat_s: float,
    gone: Callable[[], bool],
    still_opens: Callable[[], bool],
) -> Iterator[bytes]:
    """Chunks of Server-Sent Events, until the consumer has left, may hear no more, or the manager stops.

    Also until the log cannot be read: the consumer comes back, and is told. Raises `StoreError` before the first chunk.
    """
    records, reached = read(after)
    # With a position from the start a consumer whose connection breaks before anything happens misses nothing either.
    yield f"retry: {RECONNECT_MS}\nid: {after}\n\n".encode()
    said_at = asked_at = time.monotonic()
    while not (manager.draining or gone()):
        if time.monotonic() - asked_at >= GLANCE_S:
            if not still_opens():
                return
            asked_at = time.monotonic()
        # One by one: a consumer that does not keep up then has little waiting for it.
        for record in records:
            yield frame(payloads.logged(record))
            said_at = time.monotonic()
        if time.monotonic() - said_at >= heartbeat_s:
            # An id without data is no event, but the consumer will come back with it.
            yield f"id: {reached}\n\n".encode()
            said_at = time.monotonic()
        if not records:
            manager.store.await_beyond(reached, min(GLANCE_S, heartbeat_s))
        try:
            records, reached = read(reached)
        except StoreError as ex:
            if not manager.draining:
                log.warning("a stream ended: its log cannot be read", action="stream_ended", error=type(ex).__name__)
            return


def frame(event: payloads.LoggedEvent) -> bytes:
    """One event. It is no named one: a browser's `onmessage` hears only those without a name, and `type` is in the data.

    JSON as we write it has no line breaks.
    """
    return f"id: {event.position}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"
