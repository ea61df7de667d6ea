"""New events as they go into the log, but for their place in it: encoded, sealed, ready to be hashed."""

from collections.abc import Sequence
from datetime import datetime

from chatbot_erp.eventstore.chain import is_word, known_part, moment
from chatbot_erp.eventstore.deliveries import chat_of
from chatbot_erp.eventstore.errors import NotStorable
from chatbot_erp.eventstore.events import DELIVERED, InstanceCreated
from chatbot_erp.eventstore.records import NewEvent
from chatbot_erp.eventstore.sealing import Sealer
from chatbot_erp.eventstore.subject_keys import Lock
from chatbot_erp.eventstore.work import Entry


def entries(sealer: Sealer, stream: str, events: Sequence[NewEvent]) -> list[Entry]:
    """All that can be done before the writer's turn. Raises NotStorable, StoreUnavailable (keys of somebody new)."""
    moments = [moment(new.recorded_at) for new in events]
    wanted = [sealer.wanted(new.event, at[:10]) for new, at in zip(events, moments, strict=True)]
    found = iter(sealer.locks([each for each in wanted if each is not None]))
    return [
        _entry(sealer, stream, new, at, None if each is None else next(found))
        for new, at, each in zip(events, moments, wanted, strict=True)
    ]


def _entry(sealer: Sealer, stream: str, new: NewEvent, recorded_text: str, lock: Lock | None) -> Entry:
    if not is_word(new.id):
        raise NotStorable("An event's id is visible ASCII, at most 200 characters.")
    event = new.event
    kind = type(event)
    name, schema, data, shown = sealer.seal(stream, new.id, event, recorded_text[:10], lock)
    return Entry(
        new.id,
        event,
        datetime.fromisoformat(recorded_text),
        recorded_text,
        (name, schema),
        data,
        shown,
        known_part(stream, new.id, name, schema, recorded_text, data),
        new.recipients if kind in DELIVERED else None,
        chat_of(stream, event) if kind in DELIVERED else 0,
        new.redeliveries,
        new.round,
        event.name if isinstance(event, InstanceCreated) else None,
    )
