"""Reading: a few connections that cannot write, lent to whichever thread asks. The writer never waits for them."""

import queue
import sqlite3
import threading
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.database import corrupt, is_corruption, open_readable, unavailable
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import StoreClosed
from chatbot_erp.eventstore.records import LARGEST_POSITION, Recorded, StreamHead
from chatbot_erp.eventstore.sealing import Sealer
from chatbot_erp.eventstore.sql import asking

T = TypeVar("T")

STRETCH = 20_000
"""Positions in one query of which most may be of others: no long read keeps the write-ahead file growing."""


class Readers:
    """A pool. Any thread may call; every method may raise StoreClosed, StoreUnavailable, LogCorrupt, LogTooNew."""

    def __init__(self, path: Path, count: int) -> None:
        self._free: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._open = count
        for _ in range(count):
            self._free.put(open_readable(path))

    def run(self, question: Callable[[Ask], T]) -> T:
        """The answer to `question`, asked on a connection that nobody else uses meanwhile."""
        connection = self._free.get()
        if connection is None:
            self._free.put(None)
            raise StoreClosed
        try:
            return question(asking(connection))
        except sqlite3.Error as ex:
            if is_corruption(ex):
                raise corrupt(ex) from ex
            raise unavailable(ex) from ex
        finally:
            self._free.put(connection)

    def close(self) -> None:
        """Wait for running reads, then refuse all others. Idempotent."""
        with self._lock:
            for _ in range(self._open):
                connection = self._free.get()
                assert connection is not None, "None comes only after the last connection"
                connection.close()
            self._open = 0
            self._free.put(None)


def recorded(row: tuple[Any, ...], sealer: Sealer) -> Recorded:
    """A row of the log, opened and decoded. Raises LogTooNew, LogCorrupt, StoreUnavailable (the keys)."""
    position, stream, version, sequence, event_id, name, schema, recorded_at, data, chain_hash = row
    event, shown, erased = sealer.open(stream, event_id, name, schema, data)
    return Recorded(
        position=position,
        stream=stream,
        version=version,
        id=event_id,
        type=name,
        event=event,
        recorded_at=datetime.fromisoformat(recorded_at),
        hash=chain_hash.hex(),
        sequence=sequence,
        data=msgspec.Raw(shown),
        erased=erased,
    )


def read(
    ask: Ask,
    sealer: Sealer,
    after: int,
    until: int | None,
    limit: int,
    stream: str | None,
    types: Collection[str],
) -> list[Recorded]:
    """Events by position, the conditions joined by AND; no types is all types."""
    bounds = {"after": after, "until": LARGEST_POSITION if until is None else until, "limit": limit}
    if stream is not None:
        rows = ask("read_stream", {**bounds, "stream": stream, "types": _listed(types)})
    elif types:
        found = [position for name in set(types) for (position,) in ask("positions_of_type", {**bounds, "type": name})]
        positions = msgspec.json.encode(sorted(found)[:limit]).decode()
        rows = ask("read_positions", (positions,))
    else:
        rows = ask("read_log", bounds)
    return [recorded(row, sealer) for row in rows.fetchall()]


def read_on(
    ask: Ask, sealer: Sealer, after: int, limit: int, stream: str | None, types: Collection[str]
) -> tuple[list[Recorded], int]:
    """As `read`, and the position up to which that is all that matches."""
    end = head(ask)  # before the reading: nothing that matches stands between what is found and there
    found = read(ask, sealer, after, None, limit, stream, types)
    reached = found[-1].position if found else after
    return found, reached if len(found) == limit else max(reached, end)


def read_named(
    ask: Ask,
    sealer: Sealer,
    names: Collection[str],
    former: Collection[str],
    besides: Collection[str],
    after: int,
    limit: int,
    types: Collection[str],
) -> tuple[list[Recorded], int]:
    """As `read_on`, of these instances only; of what is of others nothing is opened. It goes up to `STRETCH` positions."""
    until = max(after, min(head(ask), after + STRETCH))
    lists = {
        "names": _encoded(names),
        "former": _encoded(former),
        "besides": _encoded(besides),
        "types": _listed(types),
    }
    rows = ask("read_named", {"after": after, "until": until, "limit": limit, **lists})
    found = [recorded(row, sealer) for row in rows.fetchall()]
    return found, found[-1].position if len(found) == limit else until


def read_latest(
    ask: Ask, sealer: Sealer, stream: str, after: int, until: int, limit: int, types: Collection[str]
) -> list[Recorded]:
    """The last events of a stream between two positions, by position; no types is all types."""
    bounds = {"after": after, "until": until, "limit": limit}
    rows = ask("read_latest", {**bounds, "stream": stream, "types": _listed(types)})
    return [recorded(row, sealer) for row in rows.fetchall()]


def last_until(ask: Ask, stream: str, at: datetime) -> int:
    """The position of the last event of a stream that was recorded no later than `at`; 0 where there is none."""
    found = ask("last_until", {"stream": stream, "at": moment(at)}).fetchone()
    return int(found[0]) if found else 0


def read_sealed(
    ask: Ask, sealer: Sealer, subjects: Collection[str], after: int, until: int, limit: int
) -> list[Recorded]:
    """Events between two positions that are sealed for one of the subjects. It looks at every one between them."""
    bounds = {"after": after, "until": until, "limit": limit, "subjects": _encoded(subjects)}
    return [recorded(row, sealer) for row in ask("read_sealed", bounds).fetchall()]


def version(ask: Ask, stream: str) -> int:
    """How many events a stream has."""
    found = ask("version", (stream,)).fetchone()
    return int(found[0]) if found else 0


def about(ask: Ask, sealer: Sealer, stream: str, message: str, types: Collection[str], limit: int) -> list[Recorded]:
    """The first events of a stream, by position, that speak of the message or command with this id."""
    if not is_unicode(message) or "\0" in message:
        return []
    values = {"stream": stream, "message": message, "types": _listed(types), "limit": limit}
    return [recorded(row, sealer) for row in ask("read_message", values).fetchall()]


def is_unicode(text: str) -> bool:
    """Whether a database can take it: half a character is nobody's id."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _listed(types: Collection[str]) -> str | None:
    return _encoded(types) if types else None


def _encoded(values: Collection[str]) -> str:
    return msgspec.json.encode(list(values)).decode()


def head(ask: Ask) -> int:
    """The last position, 0 in an empty log."""
    found = ask("head").fetchone()
    return int(found[0]) if found else 0


def open_streams(ask: Ask) -> list[StreamHead]:
    """Streams with a snapshot or with deliveries that wait."""
    return [
        StreamHead(stream=stream, version=version, snapshot=snapshot, pending=pending)
        for stream, version, snapshot, pending in ask("open_streams")
    ]


def open_stream(ask: Ask, stream: str) -> StreamHead | None:
    """One of those."""
    for name, version, snapshot, pending in ask("open_stream", (stream,)):
        if snapshot or pending:
            return StreamHead(stream=name, version=version, snapshot=snapshot, pending=pending)
    return None


def streams_named(ask: Ask, name: str) -> list[str]:
    """Every stream that was ever created under `name`, newest first."""
    return [stream for (stream,) in ask("streams_named", (name,))]
