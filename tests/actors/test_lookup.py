"""A message is found by its id, however far back, and the first of that id; and so is its story."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from chatbot_erp.actors import lookup
from chatbot_erp.actors.fates import Fate
from chatbot_erp.actors.lookup import find_message, find_received, find_story
from chatbot_erp.eventstore.events import (
    Ack,
    Event,
    MessageAccepted,
    MessageAcknowledged,
    MessageReceived,
    MessageSent,
)
from chatbot_erp.eventstore.sql import MIGRATIONS
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
    store.append(stream, after, new, snapshot=b"x").result(60)


def test_the_oldest_message_of_a_long_log_is_found(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        append(store, "i", 0, received("first", "a"))
        append(store, "i", 1, *(received(f"m{n}") for n in range(3000)))
        found = find_received(store, "i", "first")
        assert found is not None
        assert found.text == "a"
        assert find_received(store, "i", "m5") is not None
        assert find_received(store, "i", "nobody") is None
        assert find_received(store, "j", "first") is None


def test_whoever_uses_an_id_again_does_not_take_it_and_what_was_sent_is_not_received(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        sent = MessageSent(command_id="c", message_id="S", jid="7@lid", kind="text", text="", sent_at=NOW)
        append(store, "i", 0, received("A", "first"), received("A", "again"), sent, received("S", "not ours"))
        found = find_received(store, "i", "A")
        assert found is not None
        assert found.text == "first"
        assert isinstance(find_message(store, "i", "S"), MessageSent)
        assert find_received(store, "i", "S") is None


@pytest.mark.parametrize("message_id", ["", "\0", "'; DROP TABLE events", "\ud800"])
def test_odd_ids_are_nobodys(tmp_path: Path, message_id: str) -> None:
    with EventStore.open(tmp_path) as store:
        append(store, "i", 0, received("A"))
        assert lookup.find_received(store, "i", message_id) is None


def test_a_story_is_whole_by_either_id_however_far_apart_its_events_stand(tmp_path: Path) -> None:
    accepted = MessageAccepted(command_id="c", number="5511", kind="text", text="Olá")
    sent = MessageSent(command_id="c", message_id="S", jid="7@lid", kind="text", text="Olá", sent_at=NOW)
    read = MessageAcknowledged(message_id="S", jid="7@lid", participant=None, ack=Ack.READ)
    with EventStore.open(tmp_path) as store:
        append(store, "i", 0, accepted, received("before"))
        append(store, "i", 2, sent, *(received(f"m{n}") for n in range(3000)))
        append(store, "i", 3003, read)
        for name in ("c", "S"):
            story = find_story(store, "i", name)
            assert story is not None
            assert [step.fate for step in story.steps] == [Fate.ACCEPTED, Fate.SENT, Fate.READ]
            assert (story.message.fate, story.message.command_id, story.message.message_id) == (Fate.READ, "c", "S")
        assert find_story(store, "i", "nobody") is None
        assert find_story(store, "j", "S") is None


def test_a_log_from_before_the_index_is_indexed_when_it_is_opened(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        append(store, "i", 0, received("first"), *(received(f"m{n}") for n in range(2500)))
    with closing(sqlite3.connect(tmp_path / "events.db")) as old:
        (script,) = (script for script in MIGRATIONS if "CREATE TABLE message_positions" in script)
        old.executescript(f"DROP TABLE message_positions; {script}")
    with EventStore.open(tmp_path) as store:
        assert find_received(store, "i", "first") is not None
        assert find_received(store, "i", "m2499") is not None
