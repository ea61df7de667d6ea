"""The statements of one group commit in PostgreSQL, from what was staged."""

from datetime import datetime
from typing import Any

from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.events import Event
from chatbot_erp.eventstore.records import Appended
from chatbot_erp.eventstore.staging import LogEnd, Staging
from chatbot_erp.eventstore.work import Outcomes

LONGEST_ID = 500
"""Of a message that can be looked up."""


def write(ask: Ask, staged: Staging, checkpoint: tuple[Any, ...] | None) -> None:
    """Send what is staged, and a checkpoint, to the server. Raises psycopg.Error, in a pipeline perhaps later."""
    streams = [value for stream, state in staged.snapshots.items() for value in (stream, *staged.heads[stream], state)]
    words = [value for word in staged.words for value in word]
    ask.rows("insert_events", staged.events)
    ask.rows("insert_streams", streams)
    ask.rows("insert_deliveries", staged.deliveries)
    _each(ask, "bury", staged.buried)
    ask.rows("settle_deliveries", staged.settled)
    _each(ask, "redeliver", staged.redelivered)
    _each(ask, "exhume", staged.redelivered)
    for query in ("end_deliveries", "end_dead_letters", "end_outage"):
        _each(ask, query, staged.ended)
    ask.rows("insert_names", staged.names)
    if closed := [stream for stream, state in staged.snapshots.items() if not state]:
        ask("free_names", (closed,))
    ask.rows("insert_vocabulary", words)
    if checkpoint is not None:
        ask("insert_checkpoint", checkpoint)
    if staged.events or checkpoint is not None:
        end = staged.end
        ask("move_head", (end.position, end.hash, _text(end.recorded_at), end.checkpoint, _text(end.checkpoint_at)))


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
