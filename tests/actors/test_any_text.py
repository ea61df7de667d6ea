"""Whatever somebody writes is kept, told and chained as it is, or refused with a reason."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatbot_erp.actors import frames
from chatbot_erp.actors.commands import Observed
from chatbot_erp.actors.dispatch import text_message
from chatbot_erp.actors.errors import BadMessage
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.webhook_shapes import body
from chatbot_erp.eventstore.errors import NotStorable
from chatbot_erp.eventstore.events import MessageSent
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.verify import verify
from instance_world import connected_state

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_streams = count()

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
"""Also what is no Unicode: halves of characters."""

HARD = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "x\udfffy",
    "\u202eolá\u202c שלום",
    "👩‍👩‍👧\ufeff\U0010ffff",
    '"\\\x1b[31m\u2028',
    "é e\u0301",
)
LONG = ("x" * 65_536, "👋" * 65_536, "\u202e\0" * 32_768)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    with EventStore.open(tmp_path_factory.mktemp("texts")) as store:
        yield store


def is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def with_examples(test: Any) -> Any:
    for text in (*HARD, *LONG):
        test = example(text)(test)
    return test


@with_examples
@settings(deadline=None)
@given(ANYTHING)
def test_what_somebody_wrote_is_stored_and_told_character_by_character(store: EventStore, text: str) -> None:
    seen = frames.SocketReceived(
        message_id="3EB0",
        jid="7@lid",
        jid_alt=None,
        participant=None,
        push_name=text[:100],
        kind="text",
        text=text,
        sent_at=NOW,
        raw=json.dumps({"conversation": text}),
    )
    (event,) = decide(connected_state(), Observed(generation=1, observation=seen, at=NOW))
    stream = f"received-{next(_streams)}"
    new = [NewEvent(id=f"{stream}-1", event=event, recorded_at=NOW)]
    if not is_unicode(text):
        # A socket never says it: wa_message.py has put U+FFFD in its place. Were it said, nothing would be stored.
        with pytest.raises(NotStorable):
            store.append(stream, 0, new, snapshot=b"x")
        return
    store.append(stream, 0, new, snapshot=b"x").result(60)
    (record,) = store.read(stream=stream)
    assert record.event == event
    assert json.loads(bytes(record.data))["text"] == text
    told = json.loads(body(record, "i", "empresa_x"))
    assert (told["message"]["text"], told["message"]["raw"]["conversation"]) == (text, text)
    assert told["whatsapp"]["pushName"] == text[:100]


@with_examples
@settings(deadline=None)
@given(ANYTHING)
def test_what_is_to_be_sent_is_stored_and_told_as_it_is_or_refused_before(store: EventStore, text: str) -> None:
    if not text.strip() or not is_unicode(text):
        with pytest.raises(BadMessage, match=r"empty|surrogate"):
            text_message("551199999999", text, None)
        return
    command = text_message("551199999999", text, None)
    (accepted,) = decide(connected_state(), command)
    sent = MessageSent(
        command_id=command.command_id, message_id="3EB0", jid="7@lid", kind="text", text=text, sent_at=NOW
    )
    stream = f"sent-{next(_streams)}"
    new = [NewEvent(id=f"{stream}-{n}", event=event, recorded_at=NOW) for n, event in enumerate((accepted, sent))]
    store.append(stream, 0, new, snapshot=b"x").result(60)
    records = store.read(stream=stream)
    assert [record.event for record in records] == [accepted, sent]
    assert json.loads(body(records[1], "i", "empresa_x"))["message"] == {"type": "text", "text": text}


def test_one_character_more_than_whatsapp_takes_is_refused() -> None:
    with pytest.raises(BadMessage, match="65537"):
        text_message("551199999999", "x" * 65_537, None)


def test_the_log_of_it_all_is_whole(tmp_path: Path) -> None:
    """Hashes are over bytes, so no text can pass for another or break the chain."""
    with EventStore.open(tmp_path) as store:
        events = [
            MessageSent(command_id="c", message_id="m", jid="7@lid", kind="text", text=text, sent_at=NOW)
            for text in (*HARD, *LONG)
            if is_unicode(text)
        ]
        new = [NewEvent(id=str(n), event=event, recorded_at=NOW) for n, event in enumerate(events)]
        store.append("i", 0, new, snapshot=b"x").result(60)
    report = verify(tmp_path)
    assert (report.problem, report.events) == (None, len(events))
