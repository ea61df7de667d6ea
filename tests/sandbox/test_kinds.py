"""Messages of every kind: what one side says is what the other reads."""

from __future__ import annotations

from typing import Any

import pytest

from chatbot_erp.sandbox import composing
from chatbot_erp.sandbox.composing import Context
from chatbot_erp.sandbox.contents import Contact, Content, Location, Preview
from chatbot_erp.sandbox.wire import proto

_MARIA = Contact(name="Maria", vcard="BEGIN:VCARD\nVERSION:3.0\nFN:Maria\nEND:VCARD")
_JOAO = Contact(name="João", vcard="BEGIN:VCARD\nVERSION:3.0\nFN:João\nEND:VCARD")


def _answers() -> dict[str, tuple[Any, Content]]:
    """What people answer to buttons and lists."""
    message = proto.Message
    button = message(buttonsResponseMessage={"selectedButtonId": "b1", "selectedDisplayText": "Yes"})
    row = message(listResponseMessage={"title": "Large", "singleSelectReply": {"selectedRowId": "r1"}})
    template = message(templateButtonReplyMessage={"selectedId": "t1", "selectedDisplayText": "Call"})
    flow = message(
        interactiveResponseMessage={
            "body": {"text": "Done"},
            "nativeFlowResponseMessage": {"name": "flow", "paramsJson": "{}", "version": 3},
        }
    )
    return {
        "button": (button, Content(kind="button_reply", text="Yes", choice="b1")),
        "list": (row, Content(kind="list_reply", text="Large", choice="r1")),
        "template": (template, Content(kind="template_reply", text="Call", choice="t1")),
        "flow": (flow, Content(kind="interactive_reply", text="Done", choice="flow")),
    }


SAID: dict[str, tuple[Any, Content]] = {
    "plain text": (composing.text("olá"), Content(kind="text", text="olá")),
    "mention": (
        composing.text("hey @123", Context(mentions=["123@lid"])),
        Content(kind="text", text="hey @123", mentions=("123@lid",)),
    ),
    "forwarded": (
        composing.text("news", Context(forwarded=5)),
        Content(kind="text", text="news", forwarded=5),
    ),
    "disappearing": (
        composing.text("poof", Context(expires_s=86_400)),
        Content(kind="text", text="poof", expires_s=86_400),
    ),
    "link": (
        composing.text("see https://a.example", preview=Preview(url="https://a.example", title="A", description="B")),
        Content(
            kind="text",
            text="see https://a.example",
            preview=Preview(url="https://a.example", title="A", description="B"),
        ),
    ),
    "location": (
        composing.location(-1.45, -48.5, "Ver-o-Peso", "Belém"),
        Content(
            kind="location",
            location=Location(latitude=-1.45, longitude=-48.5, name="Ver-o-Peso", address="Belém"),
        ),
    ),
    "live location": (
        composing.live_location(-1.5, -48.25, "on my way"),
        Content(kind="live_location", text="on my way", location=Location(latitude=-1.5, longitude=-48.25)),
    ),
    "contact": (composing.contacts([_MARIA]), Content(kind="contact", text="Maria", contacts=(_MARIA,))),
    "contacts": (
        composing.contacts([_MARIA, _JOAO]),
        Content(kind="contacts", text="2 contacts", contacts=(_MARIA, _JOAO)),
    ),
    "wrapped": (
        composing.wrapped("ephemeralMessage", composing.wrapped("viewOnceMessage", composing.text("in here"))),
        Content(kind="text", text="in here", view_once=True),
    ),
    "unknown": (proto.Message(eventMessage={"name": "Party"}), Content(kind="eventMessage")),
    **_answers(),
}


@pytest.mark.parametrize("name", SAID)
def test_a_companion_reads_what_a_phone_says(shop: Any, maria: Any, name: str) -> None:
    message, content = SAID[name]
    assert shop.content(maria.send_message(shop.phone.number, message))[1] == content


@pytest.mark.parametrize("name", SAID)
def test_a_phone_reads_what_a_companion_says(shop: Any, maria: Any, name: str) -> None:
    message, content = SAID[name]
    sent = shop.send_raw(maria, message)
    got = maria.receive(kind=content.kind)
    assert (got.id, got.content, got.text) == (sent, content, content.text)


def test_an_answer_quotes_what_it_answers(shop: Any, maria: Any) -> None:
    asked = shop.send(maria, "coffee?")
    question = maria.receive(text="coffee?")
    answer = maria.send(shop.phone.number, "yes", context=Context(quote=question))
    quote = shop.content(answer)[1].quote
    assert (quote.id, quote.sender, quote.kind, quote.text) == (asked, f"{shop.phone.lid}@lid", "text", "coffee?")

    shop.ask("reply", to=answer, text="milk?")
    quote = maria.receive(text="milk?").content.quote
    assert (quote.id, quote.sender, quote.text) == (answer, maria.jid, "yes")


def test_reactions_go_both_ways_and_can_be_taken_back(shop: Any, maria: Any) -> None:
    sent = shop.send(maria, "good news")
    event, reaction = shop.content(maria.react(shop.phone.number, sent, "🎉"))
    assert (reaction, event["edit"]) == (Content(kind="reaction", text="🎉", target=sent), "")
    _, reaction = shop.content(maria.react(shop.phone.number, sent, ""))
    assert reaction == Content(kind="reaction", target=sent)

    got = maria.send(shop.phone.number, "thanks")
    shop.ask("react", to=f"{maria.lid}@lid", sender=f"{maria.lid}@lid", id=got, emoji="🙏")
    assert maria.receive(kind="reaction").content == Content(kind="reaction", text="🙏", target=got)


def test_messages_are_edited_and_deleted_on_both_sides(shop: Any, maria: Any) -> None:
    sent = maria.send(shop.phone.number, "tpyo")
    event, edit = shop.content(maria.edit(shop.phone.number, sent, "typo"))
    assert (edit, event["edit"]) == (Content(kind="edit", text="typo", target=sent), "1")
    event, revoked = shop.content(maria.revoke(shop.phone.number, sent))
    assert (revoked, event["edit"]) == (Content(kind="revoke", target=sent), "7")

    sent = shop.send(maria, "wrogn")
    shop.ask("edit", to=f"{maria.lid}@lid", id=sent, text="wrong")
    assert maria.receive(kind="edit").content == Content(kind="edit", text="wrong", target=sent)
    shop.ask("revoke", to=f"{maria.lid}@lid", sender=f"{shop.phone.lid}@lid", id=sent)
    assert maria.receive(kind="revoke").content == Content(kind="revoke", target=sent)


@pytest.mark.parametrize("selectable", [0, 1])
def test_a_phone_votes_in_a_companions_poll(shop: Any, maria: Any, selectable: int) -> None:
    asked = shop.ask("poll", to=maria.jid, question="Which?", options=["red", "green", "blue"], selectable=selectable)
    poll = maria.receive(kind="poll")
    assert (poll.id, poll.content.poll.question, poll.content.poll.options) == (
        asked,
        "Which?",
        ("red", "green", "blue"),
    )
    assert poll.content.poll.selectable == selectable
    for choice in ["green"], ["red", "blue"], []:
        event, vote = shop.content(maria.vote(poll, *choice))
        assert (vote.kind, vote.target) == ("vote", asked)
        assert sorted(shop.ask("votes", id=event["id"], options=["red", "green", "blue"])) == sorted(choice)


def test_a_companion_votes_in_a_phones_poll(shop: Any, maria: Any) -> None:
    asked = maria.send_poll(shop.phone.number, "When?", ["now", "later"], selectable=1)
    event, content = shop.content(asked)
    assert (content.kind, content.poll.question, content.poll.selectable) == ("poll", "When?", 1)
    shop.ask("vote", id=event["id"], options=["later"])
    vote = maria.receive(kind="vote")
    assert (vote.content.target, vote.content.votes) == (asked, ("later",))


def test_the_protocols_own_affairs_are_no_messages(shop: Any, maria: Any) -> None:
    message = proto.Message()
    message.protocolMessage.type = proto.Message.ProtocolMessage.Type.EPHEMERAL_SETTING
    message.protocolMessage.ephemeralExpiration = 86_400
    shop.send_raw(maria, message)
    shop.send(maria, "after")
    maria.receive(text="after")
    assert [each.text for each in maria.inbox()] == ["after"]
