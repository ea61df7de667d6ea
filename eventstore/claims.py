"""Idempotency keys: who does what a caller asked for, and what the answer was.

All functions run inside the writer's transaction.
"""

from datetime import datetime, timedelta

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.records import Answered, Claim, Claimed, Mismatched, Running

KEPT = timedelta(hours=48)
"""A key is kept for at least this long after it was claimed, and hardly longer."""


def claim(ask: Ask, key: str, fingerprint: str, owner: str, now: datetime) -> Claim:
    """Take `key`, or say what became of it."""
    ask("prune_claims", (moment(now - KEPT),))
    found = ask("claim", (key,)).fetchone()
    if found is None:
        ask("insert_claim", (key, fingerprint, owner, moment(now)))
        return Claimed()
    earlier, holder, status, content_type, body = found
    if earlier != fingerprint:
        return Mismatched()
    return Running(holder) if status is None else Answered(status, content_type, body)


def settle(ask: Ask, key: str, status: int, content_type: str, body: bytes) -> None:
    """Keep the answer for whoever asks again."""
    ask("settle_claim", (status, content_type, body, key))


def release(ask: Ask, key: str) -> None:
    """Forget the claim."""
    ask("forget_claim", (key,))
