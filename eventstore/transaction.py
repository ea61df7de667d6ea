"""One group commit: what many callers want written, as one transaction.

`Ledger` is what the writer knows of the log's end, so that a place and a hash cost no query. A `Transaction` works on
top of it and changes it only after COMMIT; when anything fails, both are thrown away and the ledger is read again.
"""

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from chatbot_erp.eventstore.chain import GENESIS, link
from chatbot_erp.eventstore.checkpoints import Signer
from chatbot_erp.eventstore.errors import StoreError, VersionConflict
from chatbot_erp.eventstore.events import (
    EndpointRemoved,
    EndpointReplayed,
    Event,
    WebhookAbandoned,
    WebhookDelivered,
)
from chatbot_erp.eventstore.records import ERASED, Appended, Recorded, Redelivery
from chatbot_erp.eventstore.sql import QUERIES, Rows

KNOWN_IDS = Rows("known_ids")
HEADS = Rows("heads")
INSERT_EVENTS = Rows("insert_events")
INSERT_STREAMS = Rows("insert_streams")
INSERT_DELIVERIES = Rows("insert_deliveries")
SETTLE_DELIVERIES = Rows("settle_deliveries")
INSERT_NAMES = Rows("insert_names")
INSERT_VOCABULARY = Rows("insert_vocabulary")


BLOCK = 1024
"""Events after which their streams and messages are indexed. It is part of the schema (01_log.sql, queries.sql)."""


class Entry(msgspec.Struct):
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
    """A caller's events for one stream; `future` is resolved after COMMIT."""

    future: Future[Appended]
    stream: str
    expected_version: int
    entries: Sequence[Entry]
    snapshot: bytes


class Errand(msgspec.Struct):
    """Anything else that has to be written. `run` may be called again if the transaction was rolled back."""

    future: Future[Any]
    run: Callable[[sqlite3.Connection], Any]


Work = Append | Errand


Outcomes = list[tuple[Work, Any]]
"""Each work with its result, or with the exception that it comes to."""


class Head(NamedTuple):
    """Where a stream stands; both start from 0."""

    version: int
    sequence: int


NOWHERE = Head(0, 0)


class Bounds(msgspec.Struct, frozen=True):
    """How much work may wait, how much of it one transaction takes, and how long another program's lock is borne."""

    queue: int
    group: int
    patience_ms: int


class Cadence(msgspec.Struct, frozen=True):
    """A checkpoint is signed with the first commit after either has passed since the last one."""

    events: int
    period: timedelta


class Ledger:
    """The log's end, in memory. Only the writer's thread touches it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.position: int = 0
        self.hash: bytes = GENESIS
        self.recorded_at: datetime | None = None
        if head := connection.execute(QUERIES["head"]).fetchone():
            self.position, self.hash = head[:2]
            self.recorded_at = datetime.fromisoformat(head[2])
        self.heads: dict[str, Head] = {}
        self.vocabulary = {(name, schema) for name, schema in connection.execute(QUERIES["vocabulary"])}
        last = connection.execute(QUERIES["checkpoints"], (1,)).fetchone()
        self.checkpoint = last[0] if last else 0
        self.checkpoint_at = datetime.fromisoformat(last[2]) if last else None


class Transaction:
    """Everything of one group, staged. Call `stage` and what writes between BEGIN and COMMIT, then `keep`."""

    def __init__(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        self._connection = connection
        self._ledger = ledger
        self.position: int = ledger.position
        self.hash: bytes = ledger.hash
        self._heads: dict[str, Head] = {}
        self._snapshots: dict[str, bytes] = {}
        self._events: list[Any] = []
        self._deliveries: list[Any] = []
        self._settled: list[Any] = []
        self._buried: list[dict[str, Any]] = []
        self._redelivered: list[dict[str, Any]] = []
        self._ended: list[dict[str, Any]] = []
        self._names: list[Any] = []
        self._words: set[tuple[str, int]] = set()
        self._checkpoint: tuple[int, datetime] | None = None
        self._recorded_at = ledger.recorded_at

    def stage(self, appends: Sequence[Append], *, look: bool) -> list[Appended | StoreError]:
        """Give every new event its place. One outcome for each append, in order. Raises sqlite3.Error.

        Whether an event with the right version is in the log already is looked up only on demand: it nearly never is,
        and where it is, `write_events` fails with an error that `is_known_event` knows.
        """
        known: set[str] = set()
        if look:
            self._look_up([entry.id for append in appends for entry in append.entries], known)
        missing = list({append.stream for append in appends} - self._ledger.heads.keys())
        self._ledger.heads.update(dict.fromkeys(missing, NOWHERE))
        for stream, version, sequence in HEADS.execute(self._connection, missing):
            self._ledger.heads[stream] = Head(version, sequence)
        return [self._stage(append, known) for append in appends]

    def _look_up(self, ids: list[str], known: set[str]) -> None:
        known.update(event_id for (event_id,) in KNOWN_IDS.execute(self._connection, ids))

    def _stage(self, append: Append, known: set[str]) -> Appended | StoreError:
        stream = append.stream
        version, sequence = self._heads.get(stream) or self._ledger.heads[stream]
        if version != append.expected_version:
            self._look_up([entry.id for entry in append.entries], known)
        new = [entry for entry in append.entries if entry.id not in known]
        if not new:
            return Appended(records=(), version=version)
        if version != append.expected_version:
            return VersionConflict(stream, append.expected_version, version)
        records = []
        for entry in new:
            if entry.id in known:
                continue  # twice in this very append
            known.add(entry.id)
            version += 1
            number = None
            if entry.recipients is not None:
                number = sequence = sequence + 1
            records.append(self._place(entry, stream, version, number))
            self._project(entry, stream, sequence)
        self._heads[stream] = Head(version, sequence)
        self._snapshots[stream] = append.snapshot
        self._recorded_at = new[-1].recorded_at
        return Appended(records=tuple(records), version=version)

    def _place(self, entry: Entry, stream: str, version: int, sequence: int | None) -> Recorded:
        self.position = position = self.position + 1
        self.hash = digest = link(self.hash, position, version, sequence, entry.known)
        name, schema = entry.word
        self._events += (
            position, stream, version, sequence, entry.id, name, schema, entry.recorded_text, entry.data, digest
        )  # fmt: skip
        for endpoint in entry.recipients or ():
            self._deliveries += (stream, endpoint, sequence, position, entry.chat)
        if entry.name is not None:
            self._names += (entry.name, position, stream)
        if entry.word not in self._ledger.vocabulary:
            self._words.add(entry.word)
        return Recorded(
            position=position,
            stream=stream,
            version=version,
            id=entry.id,
            type=name,
            event=entry.event,
            recorded_at=entry.recorded_at,
            hash=digest.hex(),
            sequence=sequence,
            data=msgspec.Raw(entry.shown),
        )

    def _project(self, entry: Entry, stream: str, sequence: int) -> None:
        """What a just placed event means for deliveries that wait already."""
        match entry.event:
            case WebhookDelivered() | WebhookAbandoned() as verdict:
                if verdict.sequence > sequence:  # a verdict says nothing of the future
                    return
                self._settled += (stream, verdict.endpoint, verdict.sequence, entry.round)
                if isinstance(verdict, WebhookAbandoned) and verdict.error != ERASED:
                    self._buried.append(
                        {
                            "stream": stream,
                            "endpoint": verdict.endpoint,
                            "sequence": verdict.sequence,
                            "round": entry.round,
                            "at": entry.recorded_text,
                            "attempts": verdict.attempts,
                            "error": verdict.error,
                        }
                    )
            case EndpointReplayed():
                self._redelivered += (
                    {"stream": stream, "round": self.position, **msgspec.structs.asdict(each)}
                    for each in entry.redeliveries
                )
            case EndpointRemoved(endpoint=endpoint):
                self._ended.append({"stream": stream, "endpoint": endpoint})
            case _:
                return

    def write_surroundings(self, signer: Signer, cadence: Cadence) -> None:
        """Send everything staged but the events to SQLite: projections, a checkpoint. Raises sqlite3.Error."""
        connection = self._connection
        streams = [v for stream, snapshot in self._snapshots.items() for v in (stream, *self._heads[stream], snapshot)]
        INSERT_STREAMS.execute(connection, streams)
        INSERT_DELIVERIES.execute(connection, self._deliveries)
        connection.executemany(QUERIES["bury"], self._buried)
        SETTLE_DELIVERIES.execute(connection, self._settled)
        connection.executemany(QUERIES["redeliver"], self._redelivered)
        connection.executemany(QUERIES["exhume"], self._redelivered)
        for query in ("end_deliveries", "end_dead_letters", "end_outage"):
            connection.executemany(QUERIES[query], self._ended)
        INSERT_NAMES.execute(connection, self._names)
        INSERT_VOCABULARY.execute(connection, [value for word in self._words for value in word])
        if self._events and self._is_checkpoint_due(cadence):
            self.sign(signer)

    def write_events(self) -> None:
        """Send the events to SQLite. Raises sqlite3.Error."""
        INSERT_EVENTS.execute(self._connection, self._events)
        indexed, full = (position // BLOCK * BLOCK for position in (self._ledger.position, self.position))
        if indexed < full:
            self._connection.execute(QUERIES["index_streams"], (indexed, full))
            self._connection.execute(QUERIES["index_messages"], (indexed, full))

    def _is_checkpoint_due(self, cadence: Cadence) -> bool:
        last, now = self._ledger.checkpoint_at, self._recorded_at
        if last is None or now is None:
            return True
        return self.position - self._ledger.checkpoint >= cadence.events or now - last >= cadence.period

    def sign(self, signer: Signer) -> None:
        """Add a checkpoint of the log's end, unless there is one. Raises sqlite3.Error."""
        if self._recorded_at is None or self.position == self._ledger.checkpoint:
            return
        row = signer.row(self.position, self.hash, self._recorded_at)
        self._connection.execute(QUERIES["insert_checkpoint"], row)
        self._checkpoint = (self.position, self._recorded_at)

    @property
    def end(self) -> tuple[int, bytes]:
        """Position and hash of the log's end, once this is committed."""
        return self.position, self.hash

    def keep(self) -> None:
        """It is committed: from now on the ledger stands here."""
        ledger = self._ledger
        ledger.position, ledger.hash, ledger.recorded_at = self.position, self.hash, self._recorded_at
        ledger.heads.update(self._heads)
        ledger.vocabulary |= self._words
        if self._checkpoint is not None:
            ledger.checkpoint, ledger.checkpoint_at = self._checkpoint
