"""Messages of every type as they are asked for, and the files that come with them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from falcon import testing
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.errors import BadMedia, NotOnWhatsApp
from chatbot_erp.actors.outbox import Parcel
from chatbot_erp.eventstore.events import Status
from chatbot_erp.http.message_payloads import BY_TYPE
from chatbot_erp.http.uploads import PIECE, decoded

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

TO = "5591999999999"
PATH = "/instances/a/messages"


@pytest.fixture(autouse=True)
def instance(manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)


def form(*parts: tuple[str, str, bytes], boundary: str = "frontier") -> dict[str, Any]:
    """A multipart/form-data body: name and headers, and content of each part."""
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{headers}\r\n\r\n'.encode() + content + b"\r\n"
        for name, headers, content in parts
    )
    return {
        "body": body + f"--{boundary}--\r\n".encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    }


def message(**fields: Any) -> bytes:
    return json.dumps({"to": TO, "type": "document", **fields}).encode()


def wrong(answer: testing.Result) -> tuple[int, str, list[str]]:
    problem = answer.json
    return answer.status_code, problem["type"].rpartition("/")[2], [each["field"] for each in problem.get("errors", [])]


def test_the_answer_is_that_of_a_text(api: Caller) -> None:
    answer = api.post(PATH, {"to": "+55 (91) 99999-9999", "type": "text", "text": "Olá!"})
    assert (answer.status_code, answer.json) == (
        200,
        {
            "messageId": "3EB00001",
            "jid": "5591999999999@s.whatsapp.net",
            "status": 1,
            "timestamp": "2026-01-31T12:00:00Z",
        },
    )


def test_every_type_becomes_its_content(api: Caller, manager: FakeManager) -> None:
    ours = {"messageId": "3EB0", "chat": "111111@lid", "isOwn": True}
    own = c.Reference(message_id="3EB0", chat="111111@lid", sender="777777@lid", is_own=True)
    quote = c.Quote(message_id="3EB0", chat="111111@lid", sender="222222@lid", text="Oi")
    asked: list[tuple[dict[str, Any], c.Content]] = [
        (
            {
                "type": "text",
                "text": "x",
                "quoted": {"messageId": "3EB0", "chat": "111111@lid", "sender": "222222@lid", "text": "Oi"},
                "mentions": ["222222@lid"],
                "forwarded": True,
                "disappearsAfter": 86400,
            },
            c.Text(text="x", quoting=quote, mentions=("222222@lid",), forwarded=True, disappears_after=86400),
        ),
        (
            {"type": "reply", "text": "x", "quoted": {**ours, "text": "Oi"}},
            c.Text(
                text="x",
                quoting=c.Quote(message_id="3EB0", chat="111111@lid", sender="777777@lid", text="Oi", is_own=True),
            ),
        ),
        ({"type": "image", "text": "x", "viewOnce": True}, c.Image(text="x", view_once=True)),
        (
            {"type": "video", "animation": True, "note": True, "seconds": 1, "width": 2, "height": 3},
            c.Video(animation=True, note=True, seconds=1, width=2, height=3),
        ),
        ({"type": "audio", "seconds": 3, "mimeType": "audio/aac"}, c.Audio(seconds=3, mime_type="audio/aac")),
        ({"type": "voice", "viewOnce": True, "seconds": 3}, c.Voice(view_once=True, seconds=3)),
        ({"type": "document", "fileName": "a.pdf", "pages": 2}, c.Document(file_name="a.pdf", pages=2)),
        ({"type": "sticker"}, c.Sticker()),
        ({"type": "location", "latitude": 1, "longitude": 2.5}, c.Location(latitude=1, longitude=2.5)),
        (
            {"type": "contact", "contacts": [{"name": "Ana", "numbers": [TO]}]},
            c.Contact(contacts=(c.Card(name="Ana", numbers=(TO,)),)),
        ),
        ({"type": "poll", "text": "?", "options": ["a", "b"]}, c.Poll(text="?", options=("a", "b"))),
        ({"type": "reaction", "text": "👍", "message": ours}, c.Reaction(text="👍", message=own)),
        ({"type": "edit", "text": "x", "message": ours}, c.Edit(text="x", message=own)),
        ({"type": "revoke", "message": ours}, c.Revoke(message=own)),
    ]
    assert {body["type"] for body, _ in asked} == set(BY_TYPE)
    for body, content in asked:
        answer = api.post(PATH, {"to": "111111@lid", **body})
        assert answer.status_code == 200, answer.text
        assert manager.sent[-1] == (content, None)


def test_a_file_comes_in_base64_by_url_or_as_a_part(api: Caller, manager: FakeManager) -> None:
    assert api.post(PATH, {"to": TO, "type": "document", "data": "JVBERg=="}).status_code == 200
    assert api.post(PATH, {"to": TO, "type": "document", "data": "data:image/png;base64,JVBERg=="}).status_code == 200
    parts = form(
        ("file", '; filename="../a.pdf"\r\nContent-Type: application/pdf', b"%PDF"), ("message", "", message())
    )
    assert api("POST", PATH, **parts).status_code == 200
    assert manager.uploaded == [b"%PDF"] * 3
    described = [(file.mime_type, file.name) for _, file in manager.sent if isinstance(file, Parcel)]
    assert described == [("", ""), ("image/png", ""), ("application/pdf", "_a.pdf")]
    assert api.post(PATH, {"to": TO, "type": "document", "url": "http://files/a.pdf"}).status_code == 200
    assert manager.sent[-1][1] == "http://files/a.pdf"
    assert manager.outgoing() == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["type"]),
        ({"type": "smoke"}, ["type"]),
        ({"type": 7}, ["type"]),
        ({"type": "text", "text": 1}, ["to", "text"]),
        ({"to": TO, "type": "location", "latitude": 91}, ["latitude", "longitude"]),
        ({"to": TO, "type": "poll", "text": "?"}, ["options"]),
        ({"type": "reaction", "text": "x"}, ["message"]),
        ({"to": TO, "type": "document", "data": 7}, ["data"]),
        ({"to": TO, "type": "document", "data": "JVBERg==", "url": "http://files/"}, ["url"]),
        ({"to": "12", "type": "text", "text": "x"}, ["to"]),
        ({"to": TO, "type": "text", "text": " "}, ["text"]),
        ({"to": TO, "type": "text", "text": "x", "mentions": ["12"]}, ["mentions"]),
        ({"to": TO, "type": "text", "text": "x", "mentions": [TO] * 1025}, ["mentions"]),
        ({"to": TO, "type": "text", "text": "x", "quoted": {"messageId": "A", "chat": "12", "sender": TO}}, ["quoted"]),
        ({"to": TO, "type": "image", "text": "x" * 65_537, "url": "http://files/"}, ["text"]),
        ({"to": TO, "type": "document", "fileName": "x" * 256, "url": "http://files/"}, ["fileName"]),
        ({"to": TO, "type": "contact", "contacts": [{"name": "Ana", "numbers": ["12"]}]}, ["contacts"]),
        ({"to": TO, "type": "contact", "contacts": [{"name": "Ana"}]}, ["contacts"]),
        ({"to": TO, "type": "poll", "text": " ", "options": ["a", "b"]}, ["text"]),
        ({"to": TO, "type": "poll", "text": "?", "options": ["a", "a"]}, ["options"]),
        ({"to": TO, "type": "poll", "text": "?", "options": ["a", "b"], "selectable": 3}, ["selectable"]),
        ({"type": "edit", "text": " ", "message": {"messageId": "A", "chat": TO}}, ["text"]),
        ({"type": "reaction", "text": "x", "message": {"messageId": "A", "chat": "12", "sender": TO}}, ["message"]),
        ({"to": "12", "type": "revoke", "message": {"messageId": "A", "chat": TO}}, ["to"]),
        ([], [""]),
    ],
)
def test_everything_that_is_wrong_is_named(api: Caller, manager: FakeManager, body: Any, fields: list[str]) -> None:
    status, _, found = wrong(api.post(PATH, body))
    assert (status, found) == (422, fields)
    assert manager.sent == []
    assert manager.outgoing() == []


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([("file", "", b"x")], (422, "invalid-request", ["message"])),
        ([("message", "", message()), ("message", "", message())], (422, "invalid-request", ["message"])),
        ([("message", "", message()), ("file", "", b"x"), ("file", "", b"x")], (422, "invalid-request", ["file"])),
        ([("file", "", b"x"), ("message", "", b"{")], (400, "malformed-json", [])),
        ([("file", "", b"x"), ("message", "", b'{"type": "text"}')], (422, "invalid-request", ["to", "text"])),
        ([("file", "", b"x"), ("message", "", message(url="http://x/"))], (422, "invalid-request", ["url"])),
        ([("file", "", b"x"), ("message", "", message(data="eA=="))], (422, "invalid-request", ["data"])),
        ([("message", "", message(data="eA"))], (422, "bad-media", [])),
        ([("message", "", message(data=7))], (422, "invalid-request", ["data"])),
        ([("file", "", b"x"), ("message", "", b"[]")], (422, "invalid-request", [""])),
        ([("message", "", b" " * (1 << 20) + message())], (413, "content-too-large", [])),
        ([("message", "", message()), ("file", "", b"x" * ((4 << 20) + 1))], (413, "media-too-large", [])),
    ],
)
def test_a_form_that_is_wrong_leaves_nothing_behind(
    api: Caller, manager: FakeManager, parts: list[tuple[str, str, bytes]], expected: tuple[int, str, list[str]]
) -> None:
    assert wrong(api("POST", PATH, **form(*parts))) == expected
    assert manager.sent == []
    assert manager.outgoing() == []


def test_a_part_with_the_message_is_read_as_a_body_of_its_own_would_be(api: Caller, manager: FakeManager) -> None:
    assert api("POST", PATH, **form(("message", "", message(data="JVBERg==")))).status_code == 200
    assert manager.uploaded == [b"%PDF"]
    assert api("POST", PATH, **form(("file", "", b"%PDF"), ("message", "", message(data=None)))).status_code == 200
    assert manager.uploaded == [b"%PDF"] * 2
    assert manager.outgoing() == []


def test_a_message_that_nobody_knows_is_blamed_on_the_field_that_names_it(api: Caller, manager: FakeManager) -> None:
    for field, body in (("quoted", {"type": "text", "text": "x"}), ("message", {"type": "reaction", "text": "x"})):
        answer = api.post(PATH, {"to": TO, **body, field: {"messageId": "A"}})
        assert wrong(answer) == (404, "message-not-found", [field])
    assert manager.sent == []


@pytest.mark.parametrize("padding", ["", "A" * (2 << 20)])
def test_half_a_character_is_refused_for_what_it_is(api: Caller, manager: FakeManager, padding: str) -> None:
    body = b'{"to": "5591999999999", "type": "document", "text": "x\\ud800y", "data": "%b"}' % padding.encode()
    answers = [api("POST", PATH, body=body, headers={"Content-Type": "application/json"})]
    if not padding:
        answers.append(api("POST", PATH, **form(("message", "", body))))
    for answer in answers:
        assert wrong(answer)[:2] == (400, "malformed-json")
        assert "not valid Unicode" in answer.json["detail"]
    assert manager.outgoing() == []


def test_a_form_that_breaks_off_is_refused(api: Caller, manager: FakeManager) -> None:
    whole = form(("message", "", message()), ("file", "", b"x" * 1000))
    answer = api("POST", PATH, **{**whole, "body": whole["body"][:-600]})
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-request")
    assert manager.outgoing() == []


def test_a_form_whose_file_name_is_not_utf8_is_refused(api: Caller, manager: FakeManager) -> None:
    """Old programs name their files in Latin-1."""
    sent = form(("message", "", message()), ("file", '; filename="nota-x.pdf"', b"%PDF"))
    answer = api("POST", PATH, **{**sent, "body": sent["body"].replace(b"nota-x", "notação".encode("latin-1"))})
    assert wrong(answer) == (422, "invalid-request", ["file"])
    assert manager.outgoing() == []


def test_another_media_type_is_refused(api: Caller) -> None:
    answer = api("POST", PATH, body=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_a_number_that_is_not_on_whatsapp_is_blamed_on_to(api: Caller, manager: FakeManager) -> None:
    manager.failure = NotOnWhatsApp("It is not.")
    assert wrong(api.post(PATH, {"to": TO, "type": "text", "text": "x"})) == (404, "not-on-whatsapp", ["to"])


def test_a_file_is_the_same_for_a_key_however_it_is_wrapped(api: Caller, manager: FakeManager) -> None:
    def ask(file: bytes, boundary: str) -> testing.Result:
        parts = form(("message", "", message()), ("file", "", file), boundary=boundary)
        parts["headers"]["Idempotency-Key"] = "nota-42"
        return api("POST", PATH, **parts)

    first, again, other = ask(b"%PDF", "one"), ask(b"%PDF", "two"), ask(b"%PNG", "three")
    assert (again.json, again.headers["Idempotent-Replay"]) == (first.json, "true")
    assert wrong(other)[:2] == (422, "idempotency-key-reused")
    assert manager.uploaded == [b"%PDF"]
    assert manager.outgoing() == []


def test_a_large_base64_text_is_taken_up_to_the_limit(api: Caller, manager: FakeManager) -> None:
    file = bytes(range(256)) * (4 << 12)
    assert api.post(PATH, {"to": TO, "type": "document", "data": base64.b64encode(file).decode()}).status_code == 200
    assert manager.uploaded == [file]
    answer = api.post(PATH, {"to": TO, "type": "document", "data": base64.b64encode(file + b"x").decode()})
    assert wrong(answer)[:2] == (413, "media-too-large")
    answer = api.post(PATH, {"to": TO, "type": "document", "fileName": "x" * (2 << 20)})
    assert wrong(answer)[:2] == (413, "content-too-large")
    assert manager.outgoing() == []


def read(text: str) -> bytes:
    return b"".join(decoded(memoryview(text.encode())))


@given(st.binary(max_size=300), st.integers(0, 400))
def test_base64_is_read_as_escaped_and_broken_as_some_write_it(file: bytes, width: int) -> None:
    text = base64.b64encode(file).decode()
    wrapped = "\\r\\n".join(text[at : at + width] for at in range(0, len(text), width)) if width else text
    escaped = wrapped.replace("/", "\\/").replace("+", "\\u002B").replace("=", "\\u003d")
    assert read(text) == read(wrapped) == read(escaped) == file


@settings(deadline=None, max_examples=20)
@given(st.integers(-8, 8))
def test_an_escape_may_lie_across_the_pieces(shift: int) -> None:
    whole = PIECE + shift - (PIECE + shift) % 4
    assert read("A" * whole + "\\u002Babc" + "A" * PIECE) == base64.b64decode("A" * whole + "+abc" + "A" * PIECE)


@pytest.mark.parametrize("text", ["a", "ab", "abc", "ab==cd==", "Olá!", "ab-_", "\\", "\\x", "====", "\\\\\\\\"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(BadMedia):
        read(text)
