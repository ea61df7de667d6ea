"""One group commit in SQLite: what many callers want written, as one transaction.

`Ledger` is what the writer knows of the log's end, so that a place and a hash cost no query. A `Transaction` works on
top of it and changes it only after COMMIT; when anything fails, both are thrown away and the ledger is read again.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from chatbot_erp.eventstore.checkpoints import Signer
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.records import Appended
from chatbot_erp.eventstore.sql import QUERIES, Rows
from chatbot_erp.eventstore.staging import NOWHERE, Head, LogEnd, Staging
from chatbot_erp.eventstore.work import Append, Cadence

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


class Ledger:
    """The log's end, in memory. Only the writer's thread touches it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        last = connection.execute(QUERIES["checkpoints"], (1,)).fetchone()
        checkpoint = (last[0], datetime.fromisoformat(last[2])) if last else (0, None)
        self.end = LogEnd()
        if head := connection.execute(QUERIES["head"]).fetchone():
            self.end = LogEnd(head[0], head[1], datetime.fromisoformat(head[2]), *checkpoint)
        self.heads: dict[str, Head] = {}
        self.vocabulary = {(name, schema) for name, schema in connection.execute(QUERIES["vocabulary"])}

    @property
    def position(self) -> int:
        return self.end.position


def known(connection: sqlite3.Connection, ids: list[str]) -> list[str]:
    """Which of these events are in the log already. Raises sqlite3.Error."""
    return [event_id for (event_id,) in KNOWN_IDS.execute(connection, ids)]


class Transaction:
    """Everything of one group. Call `stage` and what writes between BEGIN and COMMIT, then `keep`."""

    def __init__(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        self._connection = connection
        self._ledger = ledger
        # It knows the connection and not this: the two would hold each other, and all that was staged, until some garbage
        # collection. Those are rare, and hundreds of commits stayed in memory so.
        self._staging = Staging(ledger.end, ledger.vocabulary, partial(known, connection))

    def stage(self, appends: Sequence[Append], *, look: bool) -> list[Appended | StoreError]:
        """As `Staging.stage`. Raises sqlite3.Error."""
        heads = self._ledger.heads
        missing = list({append.stream for append in appends} - heads.keys())
        heads.update(dict.fromkeys(missing, NOWHERE))
        for stream, version, sequence in HEADS.execute(self._connection, missing):
            heads[stream] = Head(version, sequence)
        return self._staging.stage(appends, heads, look=look)

    def write_surroundings(self, signer: Signer, cadence: Cadence) -> None:
        """Send everything staged but the events to SQLite: projections, a checkpoint. Raises sqlite3.Error."""
        connection, staged = self._connection, self._staging
        streams = [
            value
            for stream, snapshot in staged.snapshots.items()
            for value in (stream, *staged.heads[stream], snapshot)
        ]
        INSERT_STREAMS.execute(connection, streams)
        INSERT_DELIVERIES.execute(connection, staged.deliveries)
        self._for_each("bury", staged.buried)
        SETTLE_DELIVERIES.execute(connection, staged.settled)
        for query in ("redeliver", "exhume"):
            self._for_each(query, staged.redelivered)
        for query in ("end_deliveries", "end_dead_letters", "end_outage"):
            self._for_each(query, staged.ended)
        INSERT_NAMES.execute(connection, staged.names)
        INSERT_VOCABULARY.execute(connection, [value for word in staged.words for value in word])
        self._sign(staged.checkpoint(signer, cadence))

    def _for_each(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:  # a statement without any gives the interpreter lock away too
            self._connection.executemany(QUERIES[query], rows)

    def write_events(self) -> None:
        """Send the events to SQLite. Raises sqlite3.Error."""
        INSERT_EVENTS.execute(self._connection, self._staging.events)
        indexed, full = (position // BLOCK * BLOCK for position in (self._ledger.position, self._staging.position))
        if indexed < full:
            self._connection.execute(QUERIES["index_streams"], (indexed, full))
            self._connection.execute(QUERIES["index_messages"], (indexed, full))

    def sign(self, signer: Signer) -> None:
        """Add a checkpoint of the log's end, unless there is one. Raises sqlite3.Error."""
        self._sign(self._staging.checkpoint(signer))

    def _sign(self, row: tuple[Any, ...] | None) -> None:
        if row is not None:
            self._connection.execute(QUERIES["insert_checkpoint"], row)

    @property
    def end(self) -> tuple[int, bytes]:
        """Position and hash of the log's end, once this is committed."""
        return self._staging.position, self._staging.hash

    def keep(self) -> None:
        """It is committed: from now on the ledger stands here."""
        ledger, staged = self._ledger, self._staging
        ledger.end = staged.end
        ledger.heads.update(staged.heads)
        ledger.vocabulary |= staged.words
