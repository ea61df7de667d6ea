"""The event store as its users see it: synchronous, callable from any thread but the writer's own.

A future's callbacks run on the writer's thread: they must not block, nor call the store's waiting methods.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from chatbot_erp.eventstore import attempts as attempt_log
from chatbot_erp.eventstore import claims, deliveries, reader
from chatbot_erp.eventstore.chain import is_word
from chatbot_erp.eventstore.checkpoints import Checkpoint, Signer, from_row
from chatbot_erp.eventstore.company import Alone, Company
from chatbot_erp.eventstore.database import (
    FILE,
    corrupt,
    create_private,
    is_corruption,
    migrate,
    open_writable,
    unavailable,
)
from chatbot_erp.eventstore.engine import Ask, Readers, Writer
from chatbot_erp.eventstore.entries import entries
from chatbot_erp.eventstore.errors import NotStorable
from chatbot_erp.eventstore.keys_fit import must_fit
from chatbot_erp.eventstore.promise import Promise
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
    Outstanding,
    Recorded,
    RecordedAttempt,
    Redelivery,
    Running,
    Standing,
    StreamHead,
)
from chatbot_erp.eventstore.sealing import Sealer
from chatbot_erp.eventstore.sql import asking
from chatbot_erp.eventstore.subject_keys import SubjectKeys
from chatbot_erp.eventstore.walk import check_tail
from chatbot_erp.eventstore.work import Append, Bounds, Cadence, Errand
from chatbot_erp.eventstore.writer import Writer as SqliteWriter

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
    "Outstanding",
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
    answer_s: float = 20.0
    """Seconds without an answer after which a database server is taken for frozen."""
    checkpoint_events: int = 10_000
    checkpoint_period: timedelta = timedelta(minutes=5)
    checkpoint_quiet: timedelta = timedelta(minutes=1)
    """A log in which nothing has happened for so long gets a checkpoint of its end."""
    readers: int = 4
    """Reads that run at once; others wait."""


class EventStore:
    """Appends are durable when their future resolves; a process that ends without `close` loses none of those."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        keys: SubjectKeys,
        company: Company | None = None,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self.keys = keys
        """Of those whom the log is about; subjects.py says how somebody is forgotten."""
        self._sealer = Sealer(keys)
        self.company: Company = company or Alone()
        """The nodes that share the log."""

    @classmethod
    def open(cls, directory: Path, settings: Settings | None = None) -> "EventStore":
        """The store in `directory`, made or migrated if need be; one per directory at a time.

        Raises LogTooNew, LogCorrupt (the newest events do not fit together), KeysMissing, KeysOutdated,
        StoreUnavailable.
        """
        wanted = settings or Settings()
        path = directory / FILE
        keys = SubjectKeys.open(directory)

        def connect(patience_ms: int) -> sqlite3.Connection:
            connection = open_writable(path, patience_ms)
            try:
                migrate(connection)
                check_tail(asking(connection))
            except BaseException:
                connection.close()
                raise
            return connection

        with ExitStack() as undo:
            undo.callback(keys.close)
            try:
                create_private(path)
                writer = SqliteWriter(
                    connect,
                    Signer.open(directory),
                    Bounds(wanted.queue, wanted.group, wanted.patience_ms),
                    Cadence(wanted.checkpoint_events, wanted.checkpoint_period, wanted.checkpoint_quiet),
                )
                writer.start()
                undo.callback(writer.close)
                readers = reader.Readers(path, wanted.readers)
                undo.callback(readers.close)
                readers.run(lambda ask: must_fit(ask, keys, directory))
            except (OSError, sqlite3.Error) as ex:
                raise (corrupt(ex) if is_corruption(ex) else unavailable(ex)) from ex
            undo.pop_all()
        return cls(writer, readers, keys)

    def append(
        self, stream: str, expected_version: int, events: Sequence[NewEvent], *, snapshot: bytes
    ) -> Promise[Appended]:
        """Store `events` after version `expected_version` of `stream`, and `snapshot` as its state after them.

        An event whose id is stored already is skipped; where all are, the append is a no-op. The empty snapshot
        closes the stream. The promise is kept after COMMIT, or raises VersionConflict or StoreUnavailable, and then
        nothing was written; it stays open while the disk makes it impossible to say (OutcomeUnknown if the store is
        closed in that time). Raises NotStorable, StoreOverloaded, StoreClosed at once. Waits for the disk where a
        message is about somebody new: his key is stored before (raises StoreUnavailable).
        """
        if not is_word(stream):
            raise NotStorable("A stream's name is visible ASCII, at most 200 characters.")
        append = Append(
            future=Promise(),
            stream=stream,
            expected_version=expected_version,
            entries=entries(self._sealer, stream, events),
            snapshot=snapshot,
        )
        self._writer.submit(append)
        return append.future

    def settled(self) -> Future[None]:
        """Done when nothing is in doubt any more of what was appended before this call: it is in the log, or never will be.

        Resolves to StoreUnavailable where that cannot be said now. Raises StoreOverloaded, StoreClosed at once.
        """
        return self._errand(lambda ask: None)

    def open_streams(self) -> list[StreamHead]:
        """Streams with a snapshot or with deliveries that wait."""
        return self._readers.run(reader.open_streams)

    def open_stream(self, stream: str) -> StreamHead | None:
        """One of those, by its name."""
        return self._readers.run(lambda ask: reader.open_stream(ask, stream))

    def streams_named(self, name: str) -> list[str]:
        """Every stream that was ever created under `name`, newest first."""
        return self._readers.run(lambda ask: reader.streams_named(ask, name))

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
        return self._readers.run(lambda ask: reader.read(ask, self._sealer, after, until, limit, stream, types))

    def read_on(
        self, *, after: int, limit: int, stream: str | None = None, types: Collection[str] = ()
    ) -> tuple[list[Recorded], int]:
        """As `read`, and the position up to which that is all that matches: to go on behind."""
        return self._readers.run(lambda ask: reader.read_on(ask, self._sealer, after, limit, stream, types))

    def read_named(
        self,
        names: Collection[str],
        *,
        former: Collection[str] = (),
        besides: Collection[str] = (),
        after: int,
        limit: int,
        types: Collection[str] = (),
    ) -> tuple[list[Recorded], int]:
        """As `read_on`: what happened to instances that were created under these names, but for the streams `former`.

        Events of the types `besides` are told whosever they are. In a long log nothing may be found up to where it came.
        """
        return self._readers.run(
            lambda ask: reader.read_named(ask, self._sealer, names, former, besides, after, limit, types)
        )

    def read_latest(
        self, stream: str, *, after: int = 0, until: int, limit: int, types: Collection[str] = ()
    ) -> list[Recorded]:
        """The last `limit` events of a stream with `after` < position <= `until`, by position. Raises as `read` does."""
        return self._readers.run(lambda ask: reader.read_latest(ask, self._sealer, stream, after, until, limit, types))

    def last_until(self, stream: str, at: datetime) -> int:
        """The position of the last event of a stream that was recorded no later than `at`; 0 where there is none.

        Events before it may be of a later moment: where the clock went back, positions say what came first.
        """
        return self._readers.run(lambda ask: reader.last_until(ask, stream, at))

    def read_sealed(self, subjects: Collection[str], *, after: int, until: int, limit: int) -> list[Recorded]:
        """Events with `after` < position <= `until` that are sealed for one of the subjects, by position.

        It looks at every event between the two: keep them near each other.
        """
        return self._readers.run(lambda ask: reader.read_sealed(ask, self._sealer, subjects, after, until, limit))

    def version(self, stream: str) -> int:
        """How many events a stream has."""
        return self._readers.run(lambda ask: reader.version(ask, stream))

    @property
    def losses(self) -> int:
        """It grows when an erasure begins and when keys are destroyed: what was read before may hold what is erased now."""
        return self.keys.losses

    def about(self, stream: str, message: str, *, types: Collection[str] = (), limit: int = 10_000) -> list[Recorded]:
        """What happened to a message, named by WhatsApp's id or by its command's: the first `limit` events, by position.

        No `types` is all types. Takes some milliseconds, and a few more for each million events in the log. Raises
        like `read`.
        """
        return self._readers.run(lambda ask: reader.about(ask, self._sealer, stream, message, types, limit))

    def head(self) -> int:
        """The last position, 0 in an empty log."""
        return self._readers.run(reader.head)

    def await_beyond(self, position: int, timeout_s: float) -> bool:
        """Wait until something stands behind `position`; whether it does."""
        return self._writer.await_beyond(position, timeout_s)

    def deliveries(
        self,
        stream: str,
        endpoint: str = MAIN,
        *,
        limit: int,
        free_at: datetime | None = None,
        held: Collection[int] = (),
        told: Collection[tuple[int, int]] = (),
    ) -> list[Delivery]:
        """What waits for an endpoint, in the order of its sequence.

        With `free_at` only events of chats in which nothing that failed is waiting for its time at that moment, and of
        none of the chats `held`. What was `told`, by sequence and round, is left out.
        """
        return self._readers.run(
            lambda ask: deliveries.waiting(ask, self._sealer, stream, endpoint, limit, free_at, held, told)
        )

    def standing(self, stream: str, endpoint: str = MAIN) -> Standing:
        """Where the deliveries to an endpoint stand."""
        return self._readers.run(lambda ask: deliveries.standing(ask, stream, endpoint))

    def still_waiting(self, stream: str, endpoint: str, told: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of `told`, by sequence and round, whose verdict is not in the log."""
        return self._readers.run(lambda ask: deliveries.still_waiting(ask, stream, endpoint, told))

    def next_due(self, stream: str, endpoint: str, *, after: datetime) -> datetime | None:
        """When the next of those is due that failed and are held at the moment `after`."""
        return self._readers.run(lambda ask: deliveries.next_due(ask, stream, endpoint, after))

    def outage(self, stream: str, endpoint: str) -> tuple[datetime, datetime] | None:
        """When an endpoint that does nothing but fail did so first and last."""
        return self._readers.run(lambda ask: deliveries.outage(ask, stream, endpoint))

    def outstanding(self) -> Outstanding:
        """What all endpoints together have still to be told."""
        return self._readers.run(deliveries.outstanding)

    def dead_letters(self, stream: str, endpoint: str = MAIN, *, after: int = 0, limit: int) -> list[DeadLetter]:
        """What was given up and not asked for again, oldest first, behind the position `after`."""
        return self._readers.run(lambda ask: deliveries.dead_letters(ask, stream, endpoint, after, limit))

    def record_attempt(
        self,
        stream: str,
        endpoint: str,
        sequence: int,
        attempt: Attempt,
        due: datetime | None,
        *,
        about: Recorded | None = None,
    ) -> Future[None]:
        """Keep an attempt; the delivery, where it still waits, has one more and is `due` then.

        `about` is the event that was to be delivered: the receiver's answer is sealed for whom that is about.
        """
        kept, sealed = attempt_log.seal(self._sealer, stream, endpoint, sequence, attempt, about)
        return self._errand(lambda ask: attempt_log.record(ask, stream, endpoint, sequence, kept, sealed, due))

    def record_successes(
        self,
        stream: str,
        endpoint: str,
        successes: Sequence[tuple[int, Attempt, Recorded]],
    ) -> Future[None]:
        """Keep attempts that went well, each with the sequence of its delivery and its event, as `record_attempt` does.

        They bring no commit of their own: they are written with whatever is written next.
        """
        sealed = [
            (sequence, *attempt_log.seal(self._sealer, stream, endpoint, sequence, attempt, about))
            for sequence, attempt, about in successes
        ]
        return self._errand(lambda ask: attempt_log.record_successes(ask, stream, endpoint, sealed), in_passing=True)

    def release_deliveries(self, stream: str, endpoint: str, sequence: int | None = None) -> Future[None]:
        """What failed, all of it or the delivery of this number, has to wait for its time no longer."""
        return self._errand(lambda ask: attempt_log.release(ask, stream, endpoint, sequence))

    def attempts(self, stream: str, endpoint: str = MAIN, *, limit: int) -> list[RecordedAttempt]:
        """The last attempts at an endpoint, newest first."""
        return self._readers.run(lambda ask: attempt_log.newest(ask, self._sealer, stream, endpoint, limit))

    def prune_attempts(self, before: datetime) -> Future[int]:
        """Forget up to 1000 attempts from before a moment; resolves to how many. Repeat until it says 0."""
        return self._errand(lambda ask: attempt_log.prune(ask, before))

    def checkpoints(self, *, limit: int) -> list[Checkpoint]:
        """Signed statements about the chain, newest first."""
        return self._readers.run(lambda ask: [from_row(row) for row in ask("checkpoints", (limit,))])

    def claim(self, key: str, fingerprint: str, *, owner: str, now: datetime) -> Claim:
        """Take an idempotency key, durably, or learn what became of it; keys are kept for 48 hours.

        Waits for the disk. Raises StoreUnavailable, StoreOverloaded, StoreClosed.
        """
        return self._errand(lambda ask: claims.claim(ask, key, fingerprint, owner, now)).result()

    def settle(self, key: str, status: int, content_type: str, body: bytes) -> None:
        """Keep the answer to a claimed request, durably. Raises like `claim`."""
        self._errand(lambda ask: claims.settle(ask, key, status, content_type, body)).result()

    def release(self, key: str) -> None:
        """Undo a claim: nothing has happened. Raises like `claim`."""
        self._errand(lambda ask: claims.release(ask, key)).result()

    def healthy(self) -> str | None:
        """None, or the sentence of why writes fail now. Turns to None by itself when they work again."""
        trouble = self._writer.trouble()
        return None if trouble is None else str(trouble)

    def close(self) -> None:
        """Write what is queued, sign the log's end, end the threads. Idempotent."""
        self.company.close()
        self._readers.close()  # first: the last to close tidies the write-ahead file up, and readers cannot
        self._writer.close()
        self.keys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _errand(self, run: Callable[[Ask], T], *, in_passing: bool = False) -> Future[T]:
        errand = Errand(Future(), run, in_passing)
        self._writer.submit(errand)
        return errand.future
