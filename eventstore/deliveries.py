"""What endpoints have still to be told, and what was given up: read by any thread, on a reader's connection."""

from collections.abc import Collection
from datetime import datetime
from hashlib import sha256

import msgspec

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.events import Event, StatusEvent
from chatbot_erp.eventstore.reader import recorded
from chatbot_erp.eventstore.records import DeadLetter, Delivery, Outstanding, Standing
from chatbot_erp.eventstore.sealing import Sealer


def chat_of(stream: str, event: Event) -> int:
    """A number that is the same for all events of one chat; 0 where there is none.

    A digest, so that no address of a person stands beside the log.
    """
    jid = getattr(event, "jid", None)
    if jid is None or isinstance(event, StatusEvent):
        return 0
    return int.from_bytes(sha256(f"{stream}\n{jid}".encode(errors="surrogatepass")).digest()[:8]) >> 1


def waiting(
    ask: Ask,
    sealer: Sealer,
    stream: str,
    endpoint: str,
    limit: int,
    free_at: datetime | None,
    held: Collection[int],
    told: Collection[tuple[int, int]],
) -> list[Delivery]:
    """What waits, in the order of its sequence; with `free_at` only of chats in which nothing is held at that moment, and of
    none that is `held`.

    What was `told`, by sequence and round, is left out.
    """
    query = "deliveries" if free_at is None else "deliveries_of_free_chats"
    now = None if free_at is None else moment(free_at)
    values = {
        "stream": stream,
        "endpoint": endpoint,
        "limit": limit,
        "now": now,
        "held": listed(held),
        "told": listed(told),
    }
    return [
        Delivery(
            sequence=row[3],
            chat=chat,
            round=turn,
            attempts=attempts,
            due=parsed(due),
            first_attempt_at=parsed(first_attempt_at),
            record=recorded(tuple(row), sealer),
        )
        for attempts, due, first_attempt_at, chat, turn, *row in ask(query, values).fetchall()
    ]


def still_waiting(ask: Ask, stream: str, endpoint: str, told: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of `told`, by sequence and round, whose verdict is not in the log."""
    found = ask("still_waiting", {"stream": stream, "endpoint": endpoint, "told": listed(told)})
    return {(sequence, turn) for sequence, turn in found} & set(told)


def standing(ask: Ask, stream: str, endpoint: str) -> Standing:
    """Where the deliveries to an endpoint stand."""
    row = ask("standing", {"stream": stream, "endpoint": endpoint}).fetchone()
    count, oldest, due, dead, since, sequence = row
    return Standing(
        waiting=count,
        oldest=oldest,
        due=parsed(due),
        dead=dead,
        failing_since=parsed(since),
        sequence=sequence,
    )


def next_due(ask: Ask, stream: str, endpoint: str, after: datetime) -> datetime | None:
    """When the next of those is due that failed and are held at the moment `after`."""
    return parsed(ask("next_due", (stream, endpoint, moment(after))).fetchone()[0])


def outage(ask: Ask, stream: str, endpoint: str) -> tuple[datetime, datetime] | None:
    """When an endpoint that does nothing but fail did so first and last."""
    row = ask("outage", (stream, endpoint)).fetchone()
    return (datetime.fromisoformat(row[0]), datetime.fromisoformat(row[1])) if row else None


def outstanding(ask: Ask) -> Outstanding:
    """What all endpoints together have still to be told."""
    waiting, oldest, dead = ask("backlog").fetchone()
    return Outstanding(waiting=waiting, oldest=parsed(oldest), dead=dead)


def dead_letters(ask: Ask, stream: str, endpoint: str, after: int, limit: int) -> list[DeadLetter]:
    """What was given up, oldest first, behind the position `after`."""
    return [
        DeadLetter(
            sequence=sequence,
            position=position,
            chat=chat,
            at=datetime.fromisoformat(at),
            attempts=attempts,
            error=error,
            id=event_id,
            type=kind,
        )
        for sequence, position, chat, at, attempts, error, event_id, kind in ask(
            "dead_letters", (stream, endpoint, after, limit)
        )
    ]


def listed(values: Collection[object]) -> str:
    return msgspec.json.encode(list(values)).decode()


def parsed(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
