"""A vote says in words what was chosen, where the poll is known."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from chatbot_erp.actors.frames import SocketReceived
from chatbot_erp.actors.hearsay import in_words
from chatbot_erp.eventstore.events import MessageSent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def poll(*options: str, kind: str = "poll") -> MessageSent:
    content = msgspec.Raw(json.dumps({"options": options}).encode())
    return MessageSent(
        command_id="c", message_id="P", jid="7@lid", kind=kind, text="When?", sent_at=NOW, content=content
    )


def vote(*options: str, **more: Any) -> SocketReceived:
    sums = [hashlib.sha256(option.encode()).hexdigest() for option in options]
    content = {"message": {"messageId": "P", "chat": "7@lid", "sender": "1@lid"}, "options": sums} | more
    return SocketReceived(
        message_id="V",
        jid="7@lid",
        jid_alt=None,
        participant=None,
        push_name="",
        kind="poll_vote",
        text="",
        sent_at=NOW,
        raw="{}",
        content=json.dumps(content),
    )


def test_what_was_chosen_is_said_in_the_words_of_the_poll() -> None:
    said = json.loads(in_words(vote("Já", "depois"), {"P": poll("depois", "Já", "nunca")}.get).content)
    assert said["chosen"] == ["Já", "depois"]


def test_an_option_that_the_poll_does_not_have_stays_a_checksum() -> None:
    said = json.loads(in_words(vote("Já", "?"), {"P": poll("Já")}.get).content)
    assert said["chosen"] == ["Já"]
    assert len(said["options"]) == 2


@pytest.mark.parametrize("found", [None, poll("Já", kind="text")])
def test_a_vote_whose_poll_nobody_knows_is_left_as_it_is(found: MessageSent | None) -> None:
    assert in_words(vote("Já"), lambda _: found) == vote("Já")


def test_a_vote_that_was_taken_back_or_cannot_be_read_needs_no_poll() -> None:
    def nobody(_: str) -> None:
        raise AssertionError("Nobody is to be asked.")

    for empty in (vote(), vote(sealed=True)):
        assert in_words(empty, nobody) == empty
