"""The event store as its users see it: synchronous, callable from any thread but the writer's own.

A future's callbacks run on the writer's thread: they must not block, nor call the store's waiting methods.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from chatbot_erp.eventstore import attempts as attempt_log
from chatbot_erp.eventstore import claims, deliveries, reader
from chatbot_erp.eventstore.chain import is_word, known_part, moment
from chatbot_erp.eventstore.checkpoints import Checkpoint, Signer, from_row
from chatbot_erp.eventstore.database import (
    FILE,
    corrupt,
    create_private,
    is_corruption,
    migrate,
    open_writable,
    unavailable,
)
from chatbot_erp.eventstore.deliveries import chat_of
from chatbot_erp.eventstore.errors import NotStorable
from chatbot_erp.eventstore.events import DELIVERED, InstanceCreated
from chatbot_erp.eventstore.records import (
    MAIN,
    Answered,
    Appended,
    Attempt,
    Claim,
    Claimed,
    DeadLetter,
    Delivery,
    Mismatched,
    NewEvent,
    Recorded,
    RecordedAttempt,
    Redelivery,
    Running,
    Standing,
    StreamHead,
)
from chatbot_erp.eventstore.sealing import Sealer
from chatbot_erp.eventstore.sql import QUERIES
from chatbot_erp.eventstore.subject_keys import Lock, SubjectKeys
from chatbot_erp.eventstore.transaction import Append, Bounds, Cadence, Entry, Errand
from chatbot_erp.eventstore.verify import check_tail
from chatbot_erp.eventstore.writer import Writer

__all__ = [
    "Answered",
    "Appended",
    "Attempt",
    "Checkpoint",
    "Claim",
    "Claimed",
    "DeadLetter",
    "Delivery",
    "EventStore",
    "Mismatched",
    "NewEvent",
    "Recorded",
    "RecordedAttempt",
    "Redelivery",
    "Running",
    "Settings",
    "Standing",
    "StreamHead",
]

T = TypeVar("T")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The store's knobs; the defaults are meant to stay."""

    queue: int = 10_000
    """Writes that may wait; one more is refused."""
    group: int = 512
    """Writes that share a commit at most."""
    patience_ms: int = 5_000
    """How long a lock of another program is waited for before writes are refused."""
    checkpoint_events: int = 10_000
    checkpoint_period: timedelta = timedelta(minutes=5)
    readers: int = 4
    """Reads that run at once; others wait."""


class EventStore:
    """Appends are durable when their future resolves; a process that ends without `close` loses none of those."""

    def __init__(self, writer: Writer, readers: reader.Readers, keys: SubjectKeys) -> None:
        self._writer = writer
        self._readers = readers
        self._keys = keys
        self._sealer = Sealer(keys)

    @classmethod
    def open(cls, directory: Path, settings: Settings | None = None) -> "EventStore":
        """The store in `directory`, made or migrated if need be; one per directory at a time.

        Raises LogTooNew, LogCorrupt (the newest events do not fit together), StoreUnavailable.
        """
        wanted = settings or Settings()
        path = directory / FILE

        def connect(patience_ms: int) -> sqlite3.Connection:
            connection = open_writable(path, patience_ms)
            try:
                migrate(connection)
                check_tail(connection)
            except BaseException:
                connection.close()
                raise
            return connection

        keys = SubjectKeys.open(directory)
        try:
            create_private(path)
            writer = Writer(
                connect,
                Signer.open(directory),
                Bounds(wanted.queue, wanted.group, wanted.patience_ms),
                Cadence(wanted.checkpoint_events, wanted.checkpoint_period),
            )
            writer.start()
            try:
                readers = reader.Readers(path, wanted.readers)
            except BaseException:
                writer.close()
                raise
        except (OSError, sqlite3.Error) as ex:
            keys.close()
            raise (corrupt(ex) if is_corruption(ex) else unavailable(ex)) from ex
        except BaseException:
            keys.close()
            raise
        return cls(writer, readers, keys)

    def append(
        self, stream: str, expected_version: int, events: Sequence[NewEvent], *, snapshot: bytes
    ) -> Future[Appended]:
        """Store `events` after version `expected_version` of `stream`, and `snapshot` as its state after them.

        An event whose id is stored already is skipped; where all are, the append is a no-op. The empty snapshot
        closes the stream. The future resolves after COMMIT, or raises VersionConflict or StoreUnavailable, and then
        nothing was written; it stays open while the disk makes it impossible to say (OutcomeUnknown if the store is
        closed in that time). Raises NotStorable, StoreOverloaded, StoreClosed at once. Waits for the disk where a
        message is about somebody new: his key is stored before (raises StoreUnavailable).
        """
        if not is_word(stream):
            raise NotStorable("A stream's name is visible ASCII, at most 200 characters.")
        append = Append(
            future=Future(),
            stream=stream,
            expected_version=expected_version,
            entries=self._entries(stream, events),
            snapshot=snapshot,
        )
        self._writer.submit(append)
        return append.future

    def open_streams(self) -> list[StreamHead]:
        """Streams with a snapshot or with deliveries that wait."""
        return self._readers.run(reader.open_streams)

    def streams_named(self, name: str) -> list[str]:
        """Every stream that was ever created under `name`, newest first."""
        return self._readers.run(lambda connection: reader.streams_named(connection, name))

    def read(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        stream: str | None = None,
        types: Collection[str] = (),
        until: int | None = None,
    ) -> list[Recorded]:
        """Events with `after` < position <= `until`, by position; no `types` is all types.

        Raises LogTooNew and LogCorrupt for an event that cannot be decoded.
        """
        return self._readers.run(
            lambda connection: reader.read(connection, self._sealer, after, until, limit, stream, types)
        )

    def about(self, stream: str, message: str, *, types: Collection[str] = (), limit: int = 10_000) -> list[Recorded]:
        """What happened to a message, named by WhatsApp's id or by its command's: the first `limit` events, by position.

        No `types` is all types. Takes some milliseconds, and a few more for each million events in the log. Raises
        like `read`.
        """
        return self._readers.run(
            lambda connection: reader.about(connection, self._sealer, stream, message, types, limit)
        )

    def head(self) -> int:
        """The last position, 0 in an empty log."""
        return self._readers.run(reader.head)

    def await_beyond(self, position: int, timeout_s: float) -> bool:
        """Wait until something stands behind `position`; whether it does."""
        return self._writer.await_beyond(position, timeout_s)

    def deliveries(
        self, stream: str, endpoint: str = MAIN, *, limit: int, free_at: datetime | None = None
    ) -> list[Delivery]:
        """What waits for an endpoint, in the order of its sequence.

        With `free_at` only events of chats in which nothing that failed is waiting for its time at that moment.
        """
        return self._readers.run(
            lambda connection: deliveries.waiting(connection, self._sealer, stream, endpoint, limit, free_at)
        )

    def standing(self, stream: str, endpoint: str = MAIN) -> Standing:
        """Where the deliveries to an endpoint stand."""
        return self._readers.run(lambda connection: deliveries.standing(connection, stream, endpoint))

    def dead_letters(self, stream: str, endpoint: str = MAIN, *, after: int = 0, limit: int) -> list[DeadLetter]:
        """What was given up and not asked for again, oldest first, behind the position `after`."""
        return self._readers.run(lambda connection: deliveries.dead_letters(connection, stream, endpoint, after, limit))

    def record_attempt(
        self, stream: str, endpoint: str, sequence: int, attempt: Attempt, due: datetime | None
    ) -> Future[None]:
        """Keep an attempt; the delivery, where it still waits, has one more and is `due` then."""
        return self._errand(lambda connection: attempt_log.record(connection, stream, endpoint, sequence, attempt, due))

    def release_deliveries(self, stream: str, endpoint: str) -> Future[None]:
        """Nothing that failed has to wait for its time any more."""
        return self._errand(lambda connection: attempt_log.release(connection, stream, endpoint))

    def attempts(self, stream: str, endpoint: str = MAIN, *, limit: int) -> list[RecordedAttempt]:
        """The last attempts at an endpoint, newest first."""
        return self._readers.run(lambda connection: attempt_log.newest(connection, stream, endpoint, limit))

    def prune_attempts(self, before: datetime) -> Future[int]:
        """Forget up to 1000 attempts from before a moment; resolves to how many. Repeat until it says 0."""
        return self._errand(lambda connection: attempt_log.prune(connection, before))

    def checkpoints(self, *, limit: int) -> list[Checkpoint]:
        """Signed statements about the chain, newest first."""
        return self._readers.run(
            lambda connection: [from_row(row) for row in connection.execute(QUERIES["checkpoints"], (limit,))]
        )

    def claim(self, key: str, fingerprint: str, *, owner: str, now: datetime) -> Claim:
        """Take an idempotency key, durably, or learn what became of it; keys are kept for 48 hours.

        Waits for the disk. Raises StoreUnavailable, StoreOverloaded, StoreClosed.
        """
        return self._errand(lambda connection: claims.claim(connection, key, fingerprint, owner, now)).result()

    def settle(self, key: str, status: int, content_type: str, body: bytes) -> None:
        """Keep the answer to a claimed request, durably. Raises like `claim`."""
        self._errand(lambda connection: claims.settle(connection, key, status, content_type, body)).result()

    def release(self, key: str) -> None:
        """Undo a claim: nothing has happened. Raises like `claim`."""
        self._errand(lambda connection: claims.release(connection, key)).result()

    def healthy(self) -> str | None:
        """None, or the sentence of why writes fail now. Turns to None by itself when they work again."""
        trouble = self._writer.trouble()
        return None if trouble is None else str(trouble)

    def close(self) -> None:
        """Write what is queued, sign the log's end, end the threads. Idempotent."""
        self._readers.close()  # first: the last to close tidies the write-ahead file up, and readers cannot
        self._writer.close()
        self._keys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _entries(self, stream: str, events: Sequence[NewEvent]) -> list[Entry]:
        """All that can be done before the writer's turn. Raises NotStorable, StoreUnavailable."""
        moments = [moment(new.recorded_at) for new in events]
        wanted = [self._sealer.wanted(new.event, at[:10]) for new, at in zip(events, moments, strict=True)]
        found = iter(self._sealer.locks([each for each in wanted if each is not None]))
        return [
            _entry(self._sealer, stream, new, at, None if each is None else next(found))
            for new, at, each in zip(events, moments, wanted, strict=True)
        ]

    def _errand(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        errand = Errand(Future(), run)
        self._writer.submit(errand)
        return errand.future


def _entry(sealer: Sealer, stream: str, new: NewEvent, recorded_text: str, lock: Lock | None) -> Entry:
    if not is_word(new.id):
        raise NotStorable("An event's id is visible ASCII, at most 200 characters.")
    event = new.event
    kind = type(event)
    name, schema, data, shown = sealer.seal(stream, new.id, event, recorded_text[:10], lock)
    return Entry(
        new.id,
        event,
        datetime.fromisoformat(recorded_text),
        recorded_text,
        (name, schema),
        data,
        shown,
        known_part(stream, new.id, name, schema, recorded_text, data),
        new.recipients if kind in DELIVERED else None,
        chat_of(stream, event) if kind in DELIVERED else 0,
        new.redeliveries,
        event.name if isinstance(event, InstanceCreated) else None,
    )
