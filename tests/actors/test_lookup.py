"""A message is found by its id, however far back, and the newest of that id."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from chatbot_erp.actors import lookup
from chatbot_erp.actors.lookup import FIRST_STEP, find_message, find_received
from chatbot_erp.eventstore.events import Event, MessageReceived, MessageSent
from chatbot_erp.eventstore.store import EventStore, NewEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def received(message_id: str, text: str = "") -> MessageReceived:
    return MessageReceived(
        message_id=message_id,
        jid="7@lid",
        jid_alt=None,
        participant=None,
        push_name="",
        kind="text",
        text=text,
        sent_at=NOW,
        raw=msgspec.Raw(b"{}"),
    )


def append(store: EventStore, stream: str, after: int, *events: Event) -> None:
    new = [NewEvent(id=f"{stream}-{after}-{n}", event=event, recorded_at=NOW) for n, event in enumerate(events)]
    store.append(stream, after, new, snapshot=b"x").result(10)


def test_the_oldest_message_of_a_long_log_is_found(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        append(store, "i", 0, received("first", "a"))
        append(store, "i", 1, *(received(f"m{n}") for n in range(FIRST_STEP * 3)))
        found = find_received(store, "i", "first")
        assert found is not None
        assert found.text == "a"
        assert find_message(store, "i", "first", steps=1) is None
        assert find_received(store, "i", "m5") is not None
        assert find_received(store, "i", "nobody") is None
        assert find_received(store, "j", "first") is None


def test_the_newest_of_an_id_is_found_and_what_was_sent_is_not_received(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        sent = MessageSent(command_id="c", message_id="S", jid="7@lid", kind="text", text="", sent_at=NOW)
        append(store, "i", 0, received("A", "old"), received("A", "new"), sent)
        found = find_received(store, "i", "A")
        assert found is not None
        assert found.text == "new"
        assert isinstance(find_message(store, "i", "S"), MessageSent)
        assert find_received(store, "i", "S") is None


@pytest.mark.parametrize("message_id", ["", "\0", "'; DROP TABLE events", "\ud800"])
def test_odd_ids_are_nobodys(tmp_path: Path, message_id: str) -> None:
    with EventStore.open(tmp_path) as store:
        append(store, "i", 0, received("A"))
        assert lookup.find_received(store, "i", message_id) is None
