"""Attempts to deliver: the retry state of a delivery and the log of its attempts.

The functions that write run inside the writer's transaction.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.records import Attempt, RecordedAttempt
from chatbot_erp.eventstore.sql import QUERIES, Rows

COUNT_SUCCESSES = Rows("count_successes")
INSERT_SUCCESSES = Rows("insert_successes")

OUTAGE_GAP = timedelta(hours=36)
"""Longer than any wait between two attempts: with so much time between them, two failures are two outages."""


def record(
    connection: sqlite3.Connection,
    stream: str,
    endpoint: str,
    sequence: int,
    attempt: Attempt,
    due: datetime | None,
) -> None:
    """Keep the attempt, count it where the delivery still waits, and note how long the endpoint has been failing."""
    row = {
        "stream": stream,
        "endpoint": endpoint,
        "sequence": sequence,
        "at": moment(attempt.at),
        "long_ago": moment(attempt.at - OUTAGE_GAP),
        "due": None if due is None else moment(due),
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "error": attempt.error,
        "address": attempt.address,
        "answer": attempt.answer,
    }
    connection.execute(QUERIES["count_attempt"], row)
    connection.execute(QUERIES["insert_attempt"], row)
    connection.execute(QUERIES["begin_outage" if attempt.error else "end_outage"], row)


def record_successes(
    connection: sqlite3.Connection, stream: str, endpoint: str, successes: Sequence[tuple[int, Attempt]]
) -> None:
    """As `record` for each of these, in three statements."""
    counted: list[Any] = []
    inserted: list[Any] = []
    for sequence, attempt in successes:
        at = moment(attempt.at)
        counted += (at, stream, endpoint, sequence)
        inserted += (
            stream, endpoint, sequence, at, attempt.duration_ms, attempt.http_status, attempt.address, attempt.answer
        )  # fmt: skip
    COUNT_SUCCESSES.execute(connection, counted)
    INSERT_SUCCESSES.execute(connection, inserted)
    connection.execute(QUERIES["end_outage"], {"stream": stream, "endpoint": endpoint})


def release(connection: sqlite3.Connection, stream: str, endpoint: str) -> None:
    """Nothing that waits for its time has to wait any longer."""
    connection.execute(QUERIES["release_deliveries"], (stream, endpoint))


def prune(connection: sqlite3.Connection, before: datetime) -> int:
    """Forget some of the attempts before a moment; how many. 0 says that none is left."""
    return connection.execute(QUERIES["prune_attempts"], (moment(before),)).rowcount


def newest(connection: sqlite3.Connection, stream: str, endpoint: str, limit: int) -> list[RecordedAttempt]:
    """The last attempts at an endpoint, newest first."""
    return [
        RecordedAttempt(
            sequence=sequence,
            at=datetime.fromisoformat(at),
            duration_ms=duration_ms,
            http_status=http_status,
            error=error,
            address=address,
            answer=answer,
        )
        for sequence, at, duration_ms, http_status, error, address, answer in connection.execute(
            QUERIES["attempts"], (stream, endpoint, limit)
        )
    ]
