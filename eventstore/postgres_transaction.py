"""The statements of one group commit in PostgreSQL, from what was staged."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.events import Event
from chatbot_erp.eventstore.postgres import Connection, asking, at_once, columns
from chatbot_erp.eventstore.records import Appended
from chatbot_erp.eventstore.staging import LogEnd, Staging
from chatbot_erp.eventstore.work import Outcomes

LONGEST_ID = 500
"""Of a message that can be looked up."""

Asked = tuple[str, Sequence[Any]]
"""A statement by its name, with its parameters."""


def write(connection: Connection, staged: Staging, checkpoint: tuple[Any, ...] | None, *others: Asked) -> None:
    """Send what is staged, a checkpoint, and what else is to be asked, to the server.

    Raises psycopg.Error, in a pipeline perhaps later.
    """
    streams = [value for stream, state in staged.snapshots.items() for value in (stream, *staged.heads[stream], state)]
    tables = {
        "insert_events": staged.events,
        "insert_streams": streams,
        "insert_deliveries": staged.deliveries,
        "insert_names": staged.names,
        "insert_vocabulary": [value for word in staged.words for value in word],
    }
    asked: dict[str, Sequence[Any]] = {name: columns(name, flat) for name, flat in tables.items() if flat}
    if closed := [stream for stream, state in staged.snapshots.items() if not state]:
        asked["free_names"] = (closed,)
    if checkpoint is not None:
        asked["insert_checkpoint"] = checkpoint
    if staged.events or checkpoint is not None:
        end = staged.end
        asked["move_head"] = end.position, end.hash, _text(end.recorded_at), end.checkpoint, _text(end.checkpoint_at)
    at_once(connection, asked | dict(others))
    ask = asking(connection)
    _each(ask, "bury", staged.buried)
    ask.rows("settle_deliveries", staged.settled)
    _each(ask, "redeliver", staged.redelivered)
    _each(ask, "exhume", staged.redelivered)
    for query in ("end_deliveries", "end_dead_letters", "end_outage"):
        _each(ask, query, staged.ended)


def log_end(row: tuple[int, bytes, str | None, int, str | None]) -> LogEnd:
    """The head row."""
    position, chain_hash, recorded_at, checkpoint, checkpoint_at = row
    return LogEnd(position, chain_hash, _moment(recorded_at), checkpoint, _moment(checkpoint_at))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def known(ask: Ask, ids: list[str]) -> list[str]:
    """Which of these event ids are in the log already."""
    return [event_id for (event_id,) in ask("known_ids", (ids,))]


def messages(outcomes: Outcomes) -> list[Any]:
    """Which messages new events speak of: the id of each, or of its command, and the position."""
    found: list[Any] = []
    for _, outcome in outcomes:
        if isinstance(outcome, Appended):
            for record in outcome.records:
                if record.type.startswith("message."):
                    for message in filter(can_be_looked_up, _spoken_of(record.event)):
                        found += (message, record.position)
    return found


def _spoken_of(event: Event) -> set[str]:
    """The ids under which a message's event is looked up."""
    return {getattr(event, "message_id", None) or "", getattr(event, "command_id", None) or ""}


def can_be_looked_up(message: str) -> bool:
    """Whether an index takes the id of a message. Senders choose it: any other is left out."""
    return 0 < len(message) <= LONGEST_ID and "\0" not in message


def _each(ask: Ask, query: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        ask(query, row)
