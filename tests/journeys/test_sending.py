"""What callers send, in all its kinds, as the phone that gets it reads it, and as webhooks tell it."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Response

from chatbot_erp.client.api import Client
from chatbot_erp.sandbox.client import InboxMessage, Network, Phone
from chatbot_erp.sandbox.faults import CutMedia, Drop, RefuseMedia
from manager_process import ManagerProcess
from receiver import Receiver
from samples import mp4, opus, picture

NewPhone = Callable[[str], Phone]
Json = dict[str, Any]

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


@dataclass(frozen=True)
class World:
    """One manager with one number, `empresa_x`, for all of these journeys; each has customers of its own."""

    manager: ManagerProcess
    receiver: Receiver
    shop: Phone
    pages: HTTPServer

    def post(self, body: Json, **settings: Any) -> Any:
        """The answer to a call."""
        return self.manager.call("POST", "/instances/empresa_x/messages", json=body, **settings)

    def send(self, to: str, **body: Any) -> str:
        """The id of a message that WhatsApp has taken."""
        answer = self.post({"to": to, **body})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["messageId"])

    def upload(self, message: Json, file: bytes, name: str = "", **settings: Any) -> Any:
        """The answer to a call with a file, as multipart/form-data."""
        parts = {"message": (None, json.dumps(message), "application/json"), "file": (name or "f", file)}
        return self.manager.call("POST", "/instances/empresa_x/messages", files=parts, **settings)

    def refused(self, body: Json) -> tuple[int, str]:
        """Status and type of a refusal."""
        answer = self.post(body)
        return answer.status_code, answer.json()["type"].rpartition("/")[2]

    def told(self, event: str, message_id: str, *, ack: str | None = None) -> Any:
        """What the webhook was told of a message."""
        (found, *_) = self.receiver.wait_for(
            lambda payload: (
                payload["event"] == event
                and payload["whatsapp"]["messageId"] == message_id
                and ack in (None, payload.get("ack", {}).get("name"))
            )
        )
        return found.payload

    def outbox(self) -> list[Path]:
        """The files that wait to be sent."""
        return list((self.manager.data_dir / "outbox").glob("*"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, network: Network, make_httpserver: HTTPServer) -> Iterator[World]:
    shop = network.phone("551190000002", name="Empresa X")
    directory = tmp_path_factory.mktemp("sending") / "data"
    # What a manager that was killed has left behind.
    (directory / "outbox").mkdir(parents=True)
    (directory / "outbox" / "c0ffee").write_bytes(b"x")
    with Receiver() as receiver, ManagerProcess(directory, network, "--media-max-mib", "65") as manager:
        manager.pair("empresa_x", shop, receiver.url())
        yield World(manager, receiver, shop, make_httpserver)


@pytest.fixture
def customer(new_phone: NewPhone) -> Phone:
    return new_phone("Maria")


def got(phone: Phone, message_id: str) -> InboxMessage:
    """The message as the phone has it, which has it by the time its sender hears of a receipt."""
    return next(each for each in phone.inbox() if each.id == message_id)


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


def test_a_file_comes_as_a_part_of_a_form_or_from_a_url(world: World, customer: Phone) -> None:
    form = world.upload({"to": customer.number, "type": "document", "text": "a nota"}, b"%PDF-1.7", "nota.pdf")
    assert form.status_code == 200, form.text
    world.pages.expect_request("/foto").respond_with_data(IMAGE, content_type="image/jpeg")
    linked = world.send(customer.number, type="image", url=world.pages.url_for("/foto"))
    world.told("message.ack", linked, ack="delivered")
    document = got(customer, form.json()["messageId"])
    media = document.content.media
    assert media is not None
    assert (media.name, media.mimetype, document.text) == ("nota.pdf", "application/pdf", "a nota")
    assert customer.open(document) == b"%PDF-1.7"
    assert customer.open(got(customer, linked)) == IMAGE
    assert world.outbox() == []


def test_a_url_leads_nowhere_it_may_not(world: World, customer: Phone) -> None:
    world.pages.expect_request("/elsewhere").respond_with_data("", 302, headers={"Location": "http://127.0.0.1:9/"})
    world.pages.expect_request("/gone").respond_with_data("", 404)
    world.pages.expect_request("/vast").respond_with_handler(
        lambda _: Response(iter([b"x" * (1 << 20)] * 66), content_type="application/pdf")
    )

    def refused(url: str) -> tuple[int, str]:
        return world.refused({"to": customer.number, "type": "document", "url": url})

    forbidden = ["file:///etc/passwd", "/etc/passwd", "http://169.254.169.254/latest", "http://u:p@127.0.0.1/"]
    forbidden += [world.pages.url_for(path) for path in ("/elsewhere", "/gone")]
    for url in forbidden:
        assert refused(url) == (422, "bad-media-url"), url
    assert refused(world.pages.url_for("/vast")) == (413, "media-too-large")
    assert world.outbox() == []


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


def test_the_same_key_sends_a_file_once_whatever_the_boundary_of_its_form(world: World, customer: Phone) -> None:
    message = {"to": customer.number, "type": "document"}
    key = {"Idempotency-Key": f"nota-{customer.number}"}
    first, again = (world.upload(message, b"%PDF-1.7", "nota.pdf", headers=key) for _ in range(2))
    assert (first.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotent-Replay"] == "true"
    assert world.upload(message, b"%PDF-1.8", "nota.pdf", headers=key).status_code == 422
    world.told("message.ack", first.json()["messageId"], ack="delivered")
    assert len(customer.inbox()) == 1
    assert world.outbox() == []


def test_a_media_server_in_trouble_is_tried_again_and_then_told(
    world: World, customer: Phone, network: Network
) -> None:
    body = {"to": customer.number, "type": "document", "data": "JVBERg=="}
    try:
        for fault in (CutMedia(after=5, times=1), RefuseMedia(status=401, times=1), RefuseMedia(status=503, times=1)):
            world.shop.fault(fault)
            assert world.post(body).status_code == 200
        world.shop.fault(RefuseMedia(status=413, times=1))
        assert world.refused(body) == (502, "whatsapp-refused")
    finally:
        world.shop.heal()
    written = [world.manager.log, *(world.manager.data_dir / "hosts").glob("*.log")]
    said = json.dumps(world.manager.events("empresa_x", "message.failed"))
    assert "auth" not in "".join([said, *(path.read_text() for path in written)])
    assert world.outbox() == []


def test_a_file_that_did_not_get_through_can_be_sent_again_under_its_key(world: World, customer: Phone) -> None:
    body = {"to": customer.number, "type": "document", "data": "JVBERg=="}
    key = {"Idempotency-Key": f"trouble-{customer.number}"}
    world.shop.fault(RefuseMedia(status=503))
    try:
        answer = world.post(body, headers=key)
    finally:
        world.shop.heal()
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/media-not-uploaded")
    assert answer.headers["Retry-After"]
    failed = world.manager.events("empresa_x", "message.failed")[-1]
    after = [event["type"] for event in world.manager.events("empresa_x") if event["position"] > failed["position"]]
    assert "instance.degraded" not in after
    again = world.post(body, headers=key)
    assert again.status_code == 200, again.text
    assert "Idempotent-Replay" not in again.headers


def test_a_number_that_has_sent_a_file_comes_back_after_a_loss_and_sends_another(world: World, customer: Phone) -> None:
    def is_up(payload: Json) -> bool:
        return bool(payload["event"] == "instance.status" and payload["instance"]["previous"] == "DISCONNECTED")

    # Asking the library where files go touches its proxy settings.
    world.send(customer.number, type="document", data="JVBERg==")
    before = sum(is_up(each.payload) for each in world.receiver.deliveries())
    world.shop.fault(Drop())
    world.receiver.wait_for(is_up, count=before + 1)
    message_id = world.send(customer.number, type="document", data="JVBERg==")
    world.told("message.ack", message_id, ack="delivered")
    assert customer.open(got(customer, message_id)) == b"%PDF"


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


def test_a_large_file_passes_through_without_growing_anything(world: World, customer: Phone, tmp_path: Path) -> None:
    source, digest = tmp_path / "source", hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(64):
            piece = os.urandom(1 << 20)
            file.write(piece)
            digest.update(piece)
    # What a first file needs is no growth.
    world.send(customer.number, type="image", data=base64.b64encode(IMAGE).decode())
    before = {pid: peak_bytes(pid) for pid in (world.manager.pid, *world.manager.host_pids())}
    sent = Client(world.manager.url).send("empresa_x", customer.number, "document", file=source)
    growth = {pid: peak_bytes(pid) - least for pid, least in before.items()}
    print({pid: f"{bytes_ >> 20} MiB" for pid, bytes_ in growth.items()})
    assert max(growth.values()) < 100 << 20
    message_id = sent.message_id
    world.told("message.ack", message_id, ack="delivered")
    arrived = tmp_path / "arrived"
    customer.save(got(customer, message_id), arrived)
    assert hashlib.sha256(arrived.read_bytes()).hexdigest() == digest.hexdigest()
    assert world.outbox() == []


def peak_bytes(pid: int) -> int:
    """The most memory a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


def test_a_file_nobody_waits_for_is_sent_followed_and_gone(world: World, customer: Phone) -> None:
    headers = {"Prefer": "respond-async", "Idempotency-Key": "async-file"}
    body = {"to": customer.number, "type": "image", "text": "sem pressa", "data": base64.b64encode(IMAGE).decode()}
    accepted = world.post(body, headers=headers)
    assert (accepted.status_code, accepted.headers["Preference-Applied"]) == (202, "respond-async")
    id_ = accepted.json()["id"]
    (told,) = world.receiver.wait_for(lambda payload: payload.get("commandId") == id_)
    message_id = told.payload["whatsapp"]["messageId"]
    assert told.payload["message"]["type"] == "image"
    world.told("message.ack", message_id, ack="read")
    fate = world.manager.call("GET", accepted.headers["Location"]).json()
    assert (fate["messageId"], fate["fate"]) == (message_id, "read")
    assert customer.receive(text="sem pressa").id == message_id
    again = world.post(body, headers=headers)
    assert (again.status_code, again.json(), again.headers["Location"]) == (
        202,
        accepted.json(),
        accepted.json()["location"],
    )
    refused = world.post(
        {**body, "data": base64.b64encode(b"no picture").decode()}, headers={"Prefer": "respond-async"}
    )
    assert refused.status_code == 422
    assert world.outbox() == []


def test_typing_comes_before_a_voice_message_as_recording(world: World, customer: Phone) -> None:
    world.manager.call("PATCH", "/instances/empresa_x", json={"pacing": {"typing": 0.3}})
    answer = world.upload({"to": customer.number, "type": "voice"}, opus(4))
    world.manager.call("PATCH", "/instances/empresa_x", json={"pacing": None})
    assert answer.status_code == 200, answer.text
    customer.wait_sign(world.shop.number, "recording")
