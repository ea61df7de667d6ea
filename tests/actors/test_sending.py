"""A draft is made whole from the log, or refused with a reason."""

from datetime import UTC, datetime

import msgspec
import pytest

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.errors import BadContent, BadMessage, BadNumber, MessageNotFound, Refused
from chatbot_erp.actors.sending import LONGEST_TEXT, Draft, complete
from chatbot_erp.actors.state import Account
from chatbot_erp.eventstore.events import MessageReceived, MessageSent

ME, MARIA, GROUP = "777777@lid", "111111@lid", "12345-67890@g.us"
ACCOUNT = Account(jid="559199999999@s.whatsapp.net", lid=ME, push_name="Empresa X")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def received(
    message_id: str, *, chat: str = MARIA, participant: str | None = None, kind: str = "text"
) -> MessageReceived:
    return MessageReceived(
        message_id=message_id,
        jid=chat,
        jid_alt=None,
        participant=participant,
        push_name="Maria",
        kind=kind,
        text="Tem pizza?",
        sent_at=NOW,
        raw=msgspec.Raw(b"{}"),
    )


def sent(message_id: str, kind: str = "text") -> MessageSent:
    return MessageSent(command_id="c", message_id=message_id, jid=MARIA, kind=kind, text="Tem", sent_at=NOW)


LOG: dict[str, MessageReceived | MessageSent] = {
    "theirs": received("theirs"),
    "image": received("image", kind="image"),
    "in-group": received("in-group", chat=GROUP, participant=MARIA),
    "ours": sent("ours"),
    "our-poll": sent("our-poll", "poll"),
    "erased": msgspec.structs.replace(received("erased"), jid="", text=""),
}


def named(message_id: str, **more: object) -> c.Reference:
    return msgspec.structs.replace(c.Reference(message_id=message_id, chat="", sender=""), **more)


def whole(content: c.Sendable, to: str = "5511999990001") -> Draft:
    return complete(Draft(to=to, content=content), lambda message_id: LOG.get(message_id), ACCOUNT)


def quoting(message_id: str, **more: object) -> c.Quote:
    quote = msgspec.structs.replace(c.Quote(message_id=message_id, chat="", sender=""), **more)
    answer = whole(c.Text(text="Sim", quoting=quote)).content
    assert isinstance(answer, c.Text)
    assert answer.quoting is not None
    return answer.quoting


def test_of_what_is_quoted_the_id_is_enough() -> None:
    theirs = c.Quote(message_id="theirs", chat=MARIA, sender=MARIA, text="Tem pizza?")
    assert quoting("theirs") == theirs
    assert quoting("image") == msgspec.structs.replace(theirs, message_id="image", kind="image")
    assert quoting("in-group") == msgspec.structs.replace(theirs, message_id="in-group", chat=GROUP)
    assert quoting("ours") == c.Quote(message_id="ours", chat=MARIA, sender=ME, is_own=True, text="Tem")


def test_what_the_caller_says_of_a_message_goes_before_the_log() -> None:
    assert quoting("theirs", text="outra").text == "outra"
    old = quoting("old", chat="5511999990001", sender="+55 11 99999-0001", text="velha")
    jid = "5511999990001@s.whatsapp.net"
    assert old == c.Quote(message_id="old", chat=jid, sender=jid, text="velha")
    assert quoting("old", chat=MARIA).sender == MARIA
    assert quoting("old", chat=GROUP, is_own=True).sender == ME
    assert quoting("old", chat=jid, is_own=True).sender == ACCOUNT.jid


@pytest.mark.parametrize(("message_id", "chat"), [("old", ""), ("old", GROUP), ("erased", "")])
def test_a_message_that_nobody_knows_is_refused(message_id: str, chat: str) -> None:
    with pytest.raises(MessageNotFound):
        quoting(message_id, chat=chat)


def test_what_is_about_a_message_goes_where_that_stands() -> None:
    reaction = whole(c.Reaction(text="👍", message=named("in-group")), to="")
    assert reaction.to == GROUP
    assert reaction.content == c.Reaction(
        text="👍", message=c.Reference(message_id="in-group", chat=GROUP, sender=MARIA)
    )
    assert whole(c.Reaction(text="", message=named("theirs")), to="5511999990001").to == "5511999990001"
    own = c.Reference(message_id="ours", chat=MARIA, sender=ME, is_own=True)
    assert whole(c.Edit(text="x", message=named("ours")), to="") == Draft(
        to=MARIA, content=c.Edit(text="x", message=own)
    )
    assert whole(c.Revoke(message=named("our-poll")), to="").to == MARIA
    assert whole(c.Revoke(message=named("old", chat=MARIA)), to="").to == MARIA


@pytest.mark.parametrize("to", ["5511999990001", "99999-99999@g.us"])
def test_what_is_about_a_message_of_a_group_goes_nowhere_else(to: str) -> None:
    with pytest.raises(BadContent, match="another chat"):
        whole(c.Reaction(text="👍", message=named("in-group")), to=to)


@pytest.mark.parametrize(
    "content",
    [
        c.Edit(text="x", message=named("theirs")),
        c.Revoke(message=named("theirs")),
        c.Edit(text="x", message=named("our-poll")),
    ],
)
def test_only_own_messages_are_changed_and_of_them_only_texts(content: c.Sendable) -> None:
    with pytest.raises(BadContent):
        whole(content, to="")


def test_numbers_are_written_as_whatsapp_has_them() -> None:
    text = whole(c.Text(text="@5511999990001", mentions=("+55 11 99999-0001", MARIA))).content
    assert isinstance(text, c.Text)
    assert text.mentions == ("5511999990001@s.whatsapp.net", MARIA)
    contact = whole(c.Contact(contacts=(c.Card(name="Ana", numbers=("+55 11 99999-0001",)),))).content
    assert isinstance(contact, c.Contact)
    assert contact.contacts[0].numbers == ("5511999990001",)


CARD = c.Card(name="Ana", numbers=("5511999990001",))
BAD: list[tuple[c.Sendable, type[Refused]]] = [
    (c.Text(text=" "), BadMessage),
    (c.Text(text="x" * (LONGEST_TEXT + 1)), BadMessage),
    (c.Text(text="\ud800"), BadContent),
    (c.Image(text="x" * (LONGEST_TEXT + 1)), BadMessage),
    (c.Image(text="\ud800"), BadContent),
    (c.Text(text="x", mentions=(GROUP,)), BadNumber),
    (c.Text(text="x", mentions=("5511999990001",) * 1025), BadContent),
    (c.Location(latitude=float("nan"), longitude=0), BadContent),
    (c.Location(latitude=0, longitude=181), BadContent),
    (c.Contact(contacts=()), BadContent),
    (c.Contact(contacts=(CARD,) * 101), BadContent),
    (c.Contact(contacts=(c.Card(name=" ", numbers=CARD.numbers),)), BadContent),
    (c.Contact(contacts=(c.Card(name="Ana"),)), BadContent),
    (c.Contact(contacts=(c.Card(name="Ana", vcard="Ana"),)), BadContent),
    (c.Contact(contacts=(c.Card(name="Ana", numbers=("12",)),)), BadNumber),
    (c.Poll(text="", options=("a", "b")), BadContent),
    (c.Poll(text="?", options=("a",)), BadContent),
    (c.Poll(text="?", options=("a", "a")), BadContent),
    (c.Poll(text="?", options=("a", " ")), BadContent),
    (c.Poll(text="?", options=tuple("abcdefghijklm")), BadContent),
    (c.Poll(text="?", options=("a", "b"), selectable=3), BadContent),
    (c.Reaction(text="x" * 33, message=named("theirs")), BadContent),
    (c.Edit(text="", message=named("ours")), BadMessage),
    (c.Document(file_name="x" * 256), BadContent),
    (c.Image(file_name="x" * 256), BadContent),
    (c.Audio(mime_type="x" * 256), BadContent),
    (c.Location(latitude=0, longitude=0, name="x" * 256), BadContent),
    (c.Location(latitude=0, longitude=0, address="x" * 1025), BadContent),
    (c.Poll(text="?", options=("a", "b" * 101)), BadContent),
    (c.Contact(contacts=(c.Card(name="Ana", vcard="BEGIN:VCARD" + "x" * 65_536),)), BadContent),
    (c.Contact(contacts=(c.Card(name="Ana", numbers=CARD.numbers * 101),)), BadContent),
    (c.Text(text="x", quoting=c.Quote(message_id="theirs", chat="", sender="", text="x" * 65_537)), BadContent),
]


@pytest.mark.parametrize(("content", "error"), BAD, ids=lambda each: str(each)[:50].encode(errors="replace").decode())
def test_what_phones_cannot_show_is_refused(content: c.Sendable, error: type[Refused]) -> None:
    with pytest.raises(error):
        whole(content)


@pytest.mark.parametrize("text", ["a\0b", "\u202eolá", "👩‍👩‍👧\U0010ffff", "x" * LONGEST_TEXT])
def test_any_other_text_is_taken_unchanged(text: str) -> None:
    assert whole(c.Text(text=text)).content.text == text
