"""Attempts to deliver: the retry state of a delivery and the log of its attempts.

The functions that write run inside the writer's transaction.
"""

import sqlite3
from datetime import datetime

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.records import Attempt, RecordedAttempt
from chatbot_erp.eventstore.sql import QUERIES


def record(connection: sqlite3.Connection, stream: str, sequence: int, attempt: Attempt, due: datetime | None) -> None:
    """Keep the attempt, and count it where the delivery still waits."""
    row = {
        "stream": stream,
        "sequence": sequence,
        "at": moment(attempt.at),
        "due": None if due is None else moment(due),
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "error": attempt.error,
        "address": attempt.address,
        "answer": attempt.answer,
    }
    connection.execute(QUERIES["count_attempt"], row)
    connection.execute(QUERIES["insert_attempt"], row)


def prune(connection: sqlite3.Connection, before: datetime) -> int:
    """Forget some of the attempts before a moment; how many. 0 says that none is left."""
    return connection.execute(QUERIES["prune_attempts"], (moment(before),)).rowcount


def newest(connection: sqlite3.Connection, stream: str, limit: int) -> list[RecordedAttempt]:
    """The last attempts of a stream, newest first."""
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
            QUERIES["attempts"], (stream, limit)
        )
    ]
