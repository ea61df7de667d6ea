"""Attempts to deliver: the retry state of a delivery and the log of its attempts.

The functions that write run inside the writer's transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.records import Attempt, Recorded, RecordedAttempt
from chatbot_erp.eventstore.sealing import Sealer

OUTAGE_GAP = timedelta(hours=36)
"""Longer than any wait between two attempts: with so much time between them, two failures are two outages."""


def seal(
    sealer: Sealer, stream: str, endpoint: str, sequence: int, attempt: Attempt, about: Recorded | None
) -> tuple[Attempt, str]:
    """The attempt without what the receiver answered, and that, sealed for whom the event is about.

    Of an event about nobody the answer stays where it is; of somebody who was erased meanwhile it is dropped.
    """
    wanted = sealer.wanted(about.event, moment(about.recorded_at)[:10]) if about and attempt.answer else None
    if wanted is None:
        # PostgreSQL takes no NUL.
        return msgspec.structs.replace(attempt, answer=attempt.answer.replace("\0", "\N{REPLACEMENT CHARACTER}")), ""
    sealed = sealer.enclose(attempt.answer, _binding(stream, endpoint, sequence), wanted)
    return msgspec.structs.replace(attempt, answer=""), sealed


def record(
    ask: Ask,
    stream: str,
    endpoint: str,
    sequence: int,
    attempt: Attempt,
    sealed: str,
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
        "sealed": sealed,
    }
    ask("count_attempt", row)
    ask("insert_attempt", row)
    ask("begin_outage" if attempt.error else "end_outage", row)


def record_successes(ask: Ask, stream: str, endpoint: str, successes: Sequence[tuple[int, Attempt, str]]) -> None:
    """As `record` for each of these, in three statements."""
    counted: list[Any] = []
    inserted: list[Any] = []
    for sequence, attempt, sealed in successes:
        at = moment(attempt.at)
        counted += (at, stream, endpoint, sequence)
        inserted += (
            stream, endpoint, sequence, at,
            attempt.duration_ms, attempt.http_status, attempt.address, attempt.answer, sealed,
        )  # fmt: skip
    ask.rows("count_successes", counted)
    ask.rows("insert_successes", inserted)
    ask("end_outage", {"stream": stream, "endpoint": endpoint})


def release(ask: Ask, stream: str, endpoint: str, sequence: int | None) -> None:
    """What waits for its time, all of it or this one, has to wait no longer."""
    if sequence is None:
        ask("release_deliveries", (stream, endpoint))
    else:
        ask("release_delivery", (stream, endpoint, sequence))


def prune(ask: Ask, before: datetime) -> int:
    """Forget some of the attempts before a moment; how many. 0 says that none is left."""
    return len(ask("prune_attempts", (moment(before),)).fetchall())


def newest(ask: Ask, sealer: Sealer, stream: str, endpoint: str, limit: int) -> list[RecordedAttempt]:
    """The last attempts at an endpoint, newest first; an answer that was erased is empty."""
    return [
        RecordedAttempt(
            sequence=sequence,
            at=datetime.fromisoformat(at),
            duration_ms=duration_ms,
            http_status=http_status,
            error=error,
            address=address,
            answer=sealer.disclose(sealed, _binding(stream, endpoint, sequence)) if sealed else answer,
        )
        for sequence, at, duration_ms, http_status, error, address, answer, sealed in ask(
            "attempts", (stream, endpoint, limit)
        )
    ]


def _binding(stream: str, endpoint: str, sequence: int) -> bytes:
    return f"{stream}\n{endpoint}\n{sequence}\nanswer".encode()
