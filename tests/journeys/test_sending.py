"""What callers send, in all its kinds, as the phone that gets it reads it, and as webhooks tell it."""

import base64
import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from chatbot_erp.sandbox.client import Network, Phone
from samples import mp4, opus, picture
from sending_world import Json, NewPhone, World, got, sending_world

IMAGE, STICKER = picture("JPEG", 640, 480), picture("WEBP", 512, 512, frames=2)
FILES: list[tuple[str, bytes, Json, Json]] = [
    ("image", IMAGE, {"text": "Veja"}, {"mimetype": "image/jpeg", "width": 640, "height": 480}),
    ("image", picture("PNG", 32, 16), {}, {"mimetype": "image/png", "width": 32, "height": 16}),
    ("video", mp4(), {"text": "Veja"}, {"mimetype": "video/mp4", "seconds": 3, "width": 320, "height": 240}),
    ("video", mp4(), {"animation": True}, {"mimetype": "video/mp4", "animated": True}),
    ("audio", b"ID3" + bytes(500), {"seconds": 9}, {"mimetype": "audio/mpeg", "seconds": 9}),
    ("voice", opus(4), {}, {"mimetype": "audio/ogg; codecs=opus", "seconds": 4}),
    ("document", b"%PDF-1.7", {"text": "Veja", "fileName": "nota fiscal.pdf"}, {"mimetype": "application/pdf"}),
    ("sticker", STICKER, {}, {"mimetype": "image/webp", "width": 512, "animated": True}),
]
"""Type, file, fields of the body, and what the phone reads of the file."""

OTHERS: list[tuple[Json, Json]] = [
    ({"type": "text", "text": "Olá 👩‍👩‍👧 \u202eשלום"}, {}),
    (
        {"type": "location", "latitude": -23.5, "longitude": -46.5, "name": "Loja", "address": "Rua 1"},
        {"location": {"latitude": -23.5, "longitude": -46.5, "name": "Loja", "address": "Rua 1"}},
    ),
    ({"type": "poll", "text": "Quando?", "options": ["já", "depois"], "selectable": 0}, {}),
]
"""Body, and what the phone reads beside the text."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, network: Network, make_httpserver: HTTPServer) -> Iterator[World]:
    with sending_world(tmp_path_factory.mktemp("sending") / "data", network, "551190000002", make_httpserver) as world:
        yield world


@pytest.fixture
def customer(new_phone: NewPhone) -> Phone:
    return new_phone("Maria")


@pytest.mark.parametrize(("kind", "file", "fields", "read"), FILES)
def test_a_file_of_any_type_is_sent_acknowledged_and_can_be_opened(
    world: World, customer: Phone, kind: str, file: bytes, fields: Json, read: Json
) -> None:
    message_id = world.send(customer.number, type=kind, data=base64.b64encode(file).decode(), **fields)
    assert world.told("message.ack", message_id, ack="delivered")["whatsapp"]["jid"]
    message = got(customer, message_id)
    media = message.content.media
    assert media is not None
    assert (message.kind, message.text) == (kind, fields.get("text", ""))
    assert {name: getattr(media, name) for name in read} == read
    assert media.name == fields.get("fileName", "")
    assert bool(media.thumbnail) == (kind == "image")
    assert customer.open(message) == file
    sent = world.told("message.sent", message_id)["message"]
    assert (sent["type"], sent["text"]) == (kind, fields.get("text", ""))
    assert (sent["size"], sent["sha256"]) == (len(file), hashlib.sha256(file).hexdigest())
    assert world.outbox() == []


@pytest.mark.parametrize(("body", "read"), OTHERS)
def test_what_has_no_file_is_sent_and_acknowledged(world: World, customer: Phone, body: Json, read: Json) -> None:
    message_id = world.send(customer.number, **body)
    world.told("message.ack", message_id, ack="read")
    content = got(customer, message_id).content
    assert (content.kind, content.text) == (body["type"], body.get("text", ""))
    for part, fields in read.items():
        assert {name: getattr(getattr(content, part), name) for name in fields} == fields
    if content.poll is not None:
        assert (list(content.poll.options), content.poll.selectable) == (body["options"], body["selectable"])
    sent = world.told("message.sent", message_id)["message"]
    assert sent == {"text": "", **body}


def test_contacts_are_sent_as_cards_that_phones_take_in(world: World, customer: Phone) -> None:
    card = "BEGIN:VCARD\nVERSION:3.0\nFN:Rui\nEND:VCARD"
    one = world.send(customer.number, type="contact", contacts=[{"name": "Ana; Lda", "numbers": ["+55 11 99999-0001"]}])
    two = world.send(
        customer.number,
        type="contact",
        contacts=[{"name": "Rui", "vcard": card}, {"name": "Ana", "numbers": ["5511999990001"]}],
    )
    world.told("message.ack", two, ack="delivered")
    (ana,) = got(customer, one).content.contacts
    assert (ana.name, ana.vcard.splitlines()[3]) == ("Ana; Lda", "FN:Ana\\; Lda")
    assert "TEL;type=CELL;type=VOICE;waid=5511999990001:+5511999990001" in ana.vcard
    assert [each.name for each in got(customer, two).content.contacts] == ["Rui", "Ana"]
    assert got(customer, two).content.contacts[0].vcard == card


def test_the_votes_in_a_poll_that_was_sent_are_told_in_words(world: World, customer: Phone) -> None:
    poll = world.send(customer.number, type="poll", text="Quando?", options=["já", "depois", "nunca"])
    vote = customer.vote(customer.receive(kind="poll"), "depois")
    told = world.told("message.received", vote)["message"]
    assert (told["type"], told["chosen"], told["message"]["messageId"]) == ("poll_vote", ["depois"], poll)


REPLIES: list[Json] = [
    {"type": "text", "text": "Sim"},
    {"type": "image", "data": base64.b64encode(IMAGE).decode(), "text": "Sim"},
    {"type": "document", "data": "JVBERg==", "text": "Sim"},
    {"type": "voice", "data": base64.b64encode(opus(1)).decode()},
    {"type": "location", "latitude": 1, "longitude": 2, "text": "Sim"},
    {"type": "contact", "contacts": [{"name": "Ana", "numbers": ["5511999990001"]}]},
    {"type": "poll", "text": "Sim", "options": ["a", "b"]},
]


@pytest.mark.parametrize("body", REPLIES, ids=lambda body: str(body["type"]))
def test_any_type_can_answer_mention_be_forwarded_and_disappear(world: World, customer: Phone, body: Json) -> None:
    question = customer.send(world.shop.number, "Tem pizza?")
    world.told("message.received", question)
    said = {
        "quoted": {"messageId": question},
        "mentions": [customer.number],
        "forwarded": True,
        "disappearsAfter": 86400,
    }
    message_id = world.send(customer.number, **body, **said)
    world.told("message.ack", message_id, ack="delivered")
    content = got(customer, message_id).content
    assert content.kind == body["type"]
    assert content.quote is not None
    assert (content.quote.id, content.quote.text) == (question, "Tem pizza?")
    assert content.quote.sender == f"{customer.lid}@lid"
    assert content.mentions == (customer.jid,)
    assert (content.forwarded, content.expires_s) == (1, 86400)
    told = world.told("message.sent", message_id)["message"]
    assert (told["quoted"]["text"], told["mentions"]) == ("Tem pizza?", [customer.jid])


def test_a_reply_is_a_text_that_names_what_it_answers(world: World, customer: Phone) -> None:
    question = customer.send(world.shop.number, "Tem pizza?")
    world.told("message.received", question)
    reply = world.send(customer.number, type="reply", text="Tem", quoted={"messageId": question})
    assert world.told("message.sent", reply)["message"]["type"] == "text"
    content = customer.receive(text="Tem").content
    assert content.quote is not None
    assert (content.kind, content.quote.id, content.quote.text) == ("text", question, "Tem pizza?")
    assert world.refused({"to": customer.number, "type": "reply", "text": "Tem"}) == (422, "invalid-request")


@pytest.mark.parametrize(("kind", "file"), [("image", IMAGE), ("video", mp4()), ("voice", opus(1))])
def test_what_shows_once_says_so(world: World, customer: Phone, kind: str, file: bytes) -> None:
    message_id = world.send(customer.number, type=kind, data=base64.b64encode(file).decode(), viewOnce=True)
    world.told("message.ack", message_id, ack="delivered")
    message = got(customer, message_id)
    assert (message.kind, message.content.view_once) == (kind, True)
    assert customer.open(message) == file


def test_messages_can_be_reacted_to_changed_and_taken_back_by_their_id_alone(world: World, customer: Phone) -> None:
    theirs = customer.send(world.shop.number, "Obrigada")
    world.told("message.received", theirs)
    reaction = world.send(customer.number, type="reaction", text="❤️", message={"messageId": theirs})
    ours = world.send(customer.number, type="text", text="Quero dois")
    for text in ("👍", ""):
        last = world.send("", type="reaction", text=text, message={"messageId": ours})
    edit = world.send("", type="edit", text="Quero três", message={"messageId": ours})
    revoke = world.send("", type="revoke", message={"messageId": ours})
    for message_id in (reaction, last, edit, revoke):
        world.told("message.ack", message_id, ack="delivered")
    said = [got(customer, message_id).content for message_id in (reaction, last, edit, revoke)]
    assert [(each.kind, each.text, each.target) for each in said] == [
        ("reaction", "❤️", theirs),
        ("reaction", "", ours),
        ("edit", "Quero três", ours),
        ("revoke", "", ours),
    ]
    told = world.told("message.sent", edit)["message"]
    assert (told["type"], told["text"], told["message"]["messageId"]) == ("edit", "Quero três", ours)


def test_in_a_group_everybody_gets_it_and_what_it_answers_names_its_writer(world: World, new_phone: NewPhone) -> None:
    maria, joana = new_phone("Maria"), new_phone("Joana")
    founded = {"subject": "Pedidos", "participants": [maria.number, joana.number]}
    group = world.manager.call("POST", "/instances/empresa_x/groups", json=founded).json()["jid"]
    asked = maria.send(group, "Tem pizza?")
    world.told("message.received", asked)
    answer = world.send(group, type="text", text="Tem", quoted={"messageId": asked})
    reaction = world.send("", type="reaction", text="🍕", message={"messageId": asked})
    image = world.send(group, type="image", data=base64.b64encode(IMAGE).decode(), text="esta")
    for phone in (maria, joana):
        assert phone.receive(text="esta").group == group
        quote = got(phone, answer).content.quote
        assert quote is not None
        assert (quote.id, quote.sender) == (asked, f"{maria.lid}@lid")
        assert got(phone, reaction).content.target == asked
        assert phone.open(got(phone, image)) == IMAGE
    assert world.refused({"to": maria.number, "type": "reaction", "text": "x", "message": {"messageId": asked}}) == (
        422,
        "bad-content",
    )


BAD: list[tuple[Json, tuple[int, str]]] = [
    ({"type": "voice", "data": base64.b64encode(mp4()).decode()}, (422, "bad-media")),
    ({"type": "sticker", "data": base64.b64encode(IMAGE).decode()}, (422, "bad-media")),
    ({"type": "image", "data": "JVBERg=="}, (422, "bad-media")),
    ({"type": "video", "data": "JVBERg=="}, (422, "bad-media")),
    ({"type": "document", "data": ""}, (422, "bad-media")),
    ({"type": "document", "data": "no base64!"}, (422, "bad-media")),
    ({"type": "document"}, (422, "bad-content")),
    ({"type": "text", "text": "x", "data": "JVBERg=="}, (422, "bad-content")),
    ({"type": "text", "text": " "}, (422, "bad-message")),
    ({"type": "text", "text": "x", "quoted": {"messageId": "3EB0NOBODY"}}, (404, "message-not-found")),
    ({"type": "poll", "text": "?", "options": ["a", "a"]}, (422, "bad-content")),
    ({"type": "contact", "contacts": []}, (422, "bad-content")),
    ({"type": "contact", "contacts": [{"name": "Ana", "numbers": ["12"]}]}, (422, "bad-number")),
    ({"type": "location", "latitude": 91, "longitude": 0}, (422, "invalid-request")),
    ({"type": "smoke"}, (422, "invalid-request")),
]


@pytest.mark.parametrize(("body", "expected"), BAD, ids=lambda each: str(each)[:60])
def test_what_cannot_be_sent_is_refused_and_nothing_happens(
    world: World, customer: Phone, body: Json, expected: tuple[int, str]
) -> None:
    assert world.refused({"to": customer.number, **body}) == expected
    assert customer.inbox() == []
    assert world.outbox() == []


def test_only_own_texts_can_be_changed(world: World, customer: Phone) -> None:
    theirs = customer.send(world.shop.number, "Obrigada")
    world.told("message.received", theirs)
    place = world.send(customer.number, type="location", latitude=1, longitude=2)
    for body in ({"type": "edit", "text": "x"}, {"type": "revoke"}):
        assert world.refused({**body, "message": {"messageId": theirs}}) == (422, "bad-content")
    assert world.refused({"type": "edit", "text": "x", "message": {"messageId": place}}) == (422, "bad-content")


def test_a_number_that_is_not_on_whatsapp_is_a_clear_problem(world: World) -> None:
    answer = world.post({"to": "5511999999999", "type": "image", "data": base64.b64encode(IMAGE).decode()})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-on-whatsapp")
    assert answer.json()["errors"][0]["field"] == "to"
    assert world.outbox() == []


TEXTS = st.lists(st.text(min_size=1, max_size=60).filter(str.strip), min_size=2, max_size=6, unique=True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS)
def test_any_words_come_through_unchanged_wherever_they_stand(world: World, customer: Phone, texts: list[str]) -> None:
    poll = world.send(customer.number, type="poll", text=texts[0], options=texts)
    document = world.send(customer.number, type="document", data="JVBERg==", text=texts[0], fileName=texts[1])
    card = world.send(customer.number, type="contact", contacts=[{"name": texts[0], "numbers": ["5511999990001"]}])
    world.told("message.ack", card, ack="delivered")
    asked = got(customer, poll).content.poll
    assert asked is not None
    assert (asked.question, list(asked.options)) == (texts[0], texts)
    media = got(customer, document).content.media
    assert media is not None
    assert (got(customer, document).text, media.name) == (texts[0], texts[1])
    assert got(customer, card).content.contacts[0].name == texts[0]
    told = world.told("message.sent", poll)["message"]
    assert (told["text"], told["options"]) == (texts[0], texts)


def test_typing_comes_before_a_voice_message_as_recording(world: World, customer: Phone) -> None:
    world.manager.call("PATCH", "/instances/empresa_x", json={"pacing": {"typing": 0.3}})
    answer = world.upload({"to": customer.number, "type": "voice"}, opus(4))
    world.manager.call("PATCH", "/instances/empresa_x", json={"pacing": None})
    assert answer.status_code == 200, answer.text
    customer.wait_sign(world.shop.number, "recording")
