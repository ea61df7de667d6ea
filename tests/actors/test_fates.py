"""What became of a message, read off its events."""

from datetime import UTC, datetime

import msgspec
import pytest

from chatbot_erp.actors.fates import Fate, Fates
from chatbot_erp.eventstore.events import (
    EVENT_NAMES,
    Ack,
    Event,
    MessageAccepted,
    MessageAcknowledged,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageSent,
)
from chatbot_erp.eventstore.store import Recorded

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

ACCEPTED = MessageAccepted(command_id="c1", number="551", kind="text", text="Olá")
SENT = MessageSent(command_id="c1", message_id="m1", jid="551@s.whatsapp.net", kind="text", text="Olá", sent_at=NOW)


def ack(ack: Ack) -> MessageAcknowledged:
    return MessageAcknowledged(message_id="m1", jid="551@s.whatsapp.net", participant=None, ack=ack)


def folded(*events: Event) -> Fates:
    fates = Fates()
    for number, event in enumerate(events, 1):
        record = Recorded(
            position=number,
            stream="i",
            version=number,
            id=str(number),
            type=EVENT_NAMES[type(event)],
            event=event,
            recorded_at=NOW,
            hash="",
            sequence=None,
            data=msgspec.Raw(b"{}"),
        )
        fates.take(record)
    return fates


@pytest.mark.parametrize(
    ("events", "fate"),
    [
        ((ACCEPTED,), Fate.ACCEPTED),
        ((ACCEPTED, SENT), Fate.SENT),
        ((ACCEPTED, SENT, ack(Ack.DELIVERED)), Fate.DELIVERED),
        ((ACCEPTED, SENT, ack(Ack.DELIVERED), ack(Ack.READ)), Fate.READ),
        ((ACCEPTED, SENT, ack(Ack.READ), ack(Ack.DELIVERED)), Fate.READ),
        ((ACCEPTED, ack(Ack.DELIVERED), SENT), Fate.DELIVERED),
        ((ACCEPTED, SENT, ack(Ack.ERROR)), Fate.FAILED),
        ((ACCEPTED, MessageFailed(command_id="c1", reason="refused", detail="479")), Fate.FAILED),
        ((ACCEPTED, MessageOutcomeUnknown(command_id="c1", reason="host_died")), Fate.UNKNOWN),
        ((ACCEPTED, MessageOutcomeUnknown(command_id="c1", reason="host_died"), SENT), Fate.SENT),
    ],
)
def test_the_last_word_counts_unless_it_came_late(events: tuple[Event, ...], fate: Fate) -> None:
    (message,) = folded(*events).all()
    assert message.fate is fate


def test_a_message_is_found_by_either_of_its_ids() -> None:
    fates = folded(ACCEPTED, SENT)
    assert fates.find("m1") == fates.find("c1") is not None
    assert fates.find("m2") is None
