"""What is composed reads, on the other side, as what was meant."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chatbot_erp.actors.host_preload  # noqa: F401  (neonize's protobufs without its shared library)
from chatbot_erp.actors import contents as c
from chatbot_erp.actors.wa_client import Uploaded
from chatbot_erp.actors.wa_compose import compose
from chatbot_erp.actors.wa_content import content_of
from chatbot_erp.actors.wa_kinds import View

CHAT, WRITER, ME = "111@lid", "222@lid", "333@lid"
GROUP = "12345-678@g.us"
FILE = Uploaded(
    url="https://mmg.whatsapp.net/v/1",
    direct_path="/v/1",
    key=b"k" * 32,
    sha256=b"s" * 32,
    encrypted_sha256=b"e" * 32,
    size=7,
    thumbnail=b"jpeg",
)
SAID: dict[str, Any] = {
    "quoting": c.Quote(message_id="3EB0", chat=CHAT, sender=WRITER, text="Oi"),
    "mentions": (WRITER,),
    "forwarded": True,
    "disappears_after": 86_400,
}
MEDIA: dict[str, Any] = {"size": FILE.size, "sha256": FILE.sha256.hex()}
CONTENTS: list[c.Sendable] = [
    c.Text(text="Olá"),
    c.Image(text="Veja", mime_type="image/png", width=3, height=4, **MEDIA),
    c.Image(view_once=True, mime_type="image/png", **MEDIA),
    c.Video(text="Veja", mime_type="video/mp4", seconds=3, animation=True, **MEDIA),
    c.Video(mime_type="video/mp4", note=True, **MEDIA),
    c.Audio(mime_type="audio/mpeg", seconds=3, **MEDIA),
    c.Voice(mime_type="audio/ogg; codecs=opus", seconds=3, view_once=True, **MEDIA),
    c.Document(text="Veja", mime_type="application/pdf", file_name="nota.pdf", pages=2, **MEDIA),
    c.Sticker(mime_type="image/webp", width=512, height=512, animated=True, **MEDIA),
    c.Location(latitude=-23.5, longitude=-46.5, name="Loja", address="Rua 1", text="aqui"),
    c.Poll(text="Quando?", options=("já", "depois"), selectable=0),
    c.Poll(text="Quando?", options=("já", "depois"), selectable=1),
]


def read(content: c.Sendable, chat: str = CHAT) -> c.Content | None:
    """The content as its receiver reads it."""
    message = compose(content, chat, FILE, at_ms=1_700_000_000_000, secret=b"x" * 32)
    return content_of(type(message).FromString(message.SerializeToString()), View(chat=chat, sender=ME))


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
def test_every_content_is_read_as_it_was_meant(content: c.Sendable) -> None:
    assert read(content) == content


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
def test_every_content_carries_what_any_message_can(content: c.Sendable) -> None:
    whole = msgspec.structs.replace(content, **SAID)
    assert read(whole) == whole


@given(st.text(min_size=1))
def test_a_text_is_unchanged_by_its_context(text: str) -> None:
    assert read(c.Text(text=text)) == c.Text(text=text)
    assert read(c.Text(text=text, forwarded=True)) == c.Text(text=text, forwarded=True)


def test_a_plain_text_is_the_plainest_message() -> None:
    assert [field.name for field, _ in compose(c.Text(text="Olá"), CHAT).ListFields()] == ["conversation"]


@pytest.mark.parametrize(
    "kind", ["image", "video", "audio", "voice", "document", "sticker", "location", "poll", "text"]
)
def test_what_is_quoted_is_shown_as_what_it_is(kind: str) -> None:
    text = "" if kind in ("audio", "voice", "sticker") else "Oi"
    quote = c.Quote(message_id="3EB0", chat=CHAT, sender=WRITER, kind=kind, text=text)
    assert read(c.Text(text="Sim", quoting=quote)) == c.Text(text="Sim", quoting=quote)


def test_an_answer_in_private_names_the_group() -> None:
    quote = c.Quote(message_id="3EB0", chat=GROUP, sender=WRITER, text="Oi")
    answer = read(c.Text(text="Sim", quoting=quote))
    assert isinstance(answer, c.Text)
    assert answer.quoting == quote


def test_a_poll_keeps_its_secret_where_the_library_looks_for_it() -> None:
    for expiry in (0, 86_400):
        poll = c.Poll(text="?", options=("a", "b"), disappears_after=expiry)
        assert compose(poll, CHAT, secret=b"x" * 32).messageContextInfo.messageSecret == b"x" * 32


@pytest.mark.parametrize(
    ("chat", "own", "participant"), [(CHAT, False, ""), (CHAT, True, ""), (GROUP, False, WRITER), (GROUP, True, "")]
)
def test_a_reaction_names_its_message_as_whatsapp_wants_it(chat: str, own: bool, participant: str) -> None:
    message = c.Reference(message_id="3EB0", chat=chat, sender=WRITER, is_own=own)
    key = compose(c.Reaction(text="👍", message=message), chat, at_ms=1).reactionMessage.key
    assert (key.ID, key.remoteJID, key.fromMe, key.participant) == ("3EB0", chat, own, participant)


def test_edits_and_revocations_are_of_ones_own_message() -> None:
    message = c.Reference(message_id="3EB0", chat=CHAT, sender=ME, is_own=True)
    edit = compose(c.Edit(text="três", message=message), CHAT, at_ms=5).editedMessage.message.protocolMessage
    assert (edit.type, edit.key.ID, edit.key.fromMe, edit.editedMessage.conversation) == (14, "3EB0", True, "três")
    assert edit.timestampMS == 5
    revoke = compose(c.Revoke(message=message), CHAT).protocolMessage
    assert (revoke.type, revoke.key.ID, revoke.key.fromMe) == (0, "3EB0", True)


def test_a_card_is_made_of_a_name_and_numbers_and_cannot_be_broken_out_of() -> None:
    card = c.Card(name="Ana, a; b\nEND:VCARD", numbers=("5511999990001",))
    contact = read(c.Contact(contacts=(card,)))
    assert isinstance(contact, c.Contact)
    assert (contact.contacts[0].name, contact.contacts[0].numbers) == (card.name, card.numbers)
    assert contact.contacts[0].vcard.splitlines() == [
        "BEGIN:VCARD",
        "VERSION:3.0",
        "N:;Ana\\, a\\; b\\nEND:VCARD;;;",
        "FN:Ana\\, a\\; b\\nEND:VCARD",
        "TEL;type=CELL;type=VOICE;waid=5511999990001:+5511999990001",
        "END:VCARD",
    ]


def test_several_cards_are_one_message() -> None:
    cards = tuple(c.Card(name=name, vcard="BEGIN:VCARD\nEND:VCARD") for name in ("Ana", "Rui"))
    assert read(c.Contact(contacts=cards)) == c.Contact(contacts=cards)


def test_a_message_with_a_file_needs_the_file() -> None:
    with pytest.raises(ValueError, match="needs the file"):
        compose(c.Image(), CHAT)
