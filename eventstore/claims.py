"""Idempotency keys: who does what a caller asked for, and what the answer was.

All functions run inside the writer's transaction.
"""

import sqlite3
from datetime import datetime, timedelta

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.records import Answered, Claim, Claimed, Mismatched, Running
from chatbot_erp.eventstore.sql import QUERIES

KEPT = timedelta(hours=48)
"""A key is kept for at least this long after it was claimed, and hardly longer."""


def claim(connection: sqlite3.Connection, key: str, fingerprint: str, owner: str, now: datetime) -> Claim:
    """Take `key`, or say what became of it."""
    connection.execute(QUERIES["prune_claims"], (moment(now - KEPT),))
    found = connection.execute(QUERIES["claim"], (key,)).fetchone()
    if found is None:
        connection.execute(QUERIES["insert_claim"], (key, fingerprint, owner, moment(now)))
        return Claimed()
    earlier, holder, status, content_type, body = found
    if earlier != fingerprint:
        return Mismatched()
    return Running(holder) if status is None else Answered(status, content_type, body)


def settle(connection: sqlite3.Connection, key: str, status: int, content_type: str, body: bytes) -> None:
    """Keep the answer for whoever asks again."""
    connection.execute(QUERIES["settle_claim"], (status, content_type, body, key))


def release(connection: sqlite3.Connection, key: str) -> None:
    """Forget the claim."""
    connection.execute(QUERIES["forget_claim"], (key,))
