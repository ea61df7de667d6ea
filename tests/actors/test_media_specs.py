"""Which file belongs to a message, from whatever a peer wrote."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.media_specs import file_name, media_in


def raw(message: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(message).encode())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


FILE = {
    "directPath": "/v/t62",
    "mediaKey": b64(b"k" * 32),
    "fileSHA256": b64(b"s" * 32),
    "fileEncSHA256": b64(b"e" * 32),
    "fileLength": "67108864",
    "mimetype": "application/pdf; charset=x",
    "fileName": "conta.pdf",
}


def test_a_document_has_its_address_its_key_and_its_name() -> None:
    media = media_in(raw({"documentMessage": FILE}), "3EB0")
    assert media is not None
    assert (media.path, media.key, media.size) == ("/v/t62", b"k" * 32, 64 << 20)
    assert (media.purpose, media.category) == ("WhatsApp Document Keys", "document")
    assert (media.sha256, media.encrypted_sha256) == (b"s" * 32, b"e" * 32)
    assert (media.mime_type, media.name) == ("application/pdf", "conta.pdf")


@pytest.mark.parametrize(
    ("field", "purpose"),
    [
        ("imageMessage", "WhatsApp Image Keys"),
        ("videoMessage", "WhatsApp Video Keys"),
        ("ptvMessage", "WhatsApp Video Keys"),
        ("audioMessage", "WhatsApp Audio Keys"),
        ("stickerMessage", "WhatsApp Image Keys"),
    ],
)
def test_each_kind_of_file_has_a_key_for_its_purpose(field: str, purpose: str) -> None:
    media = media_in(raw({"messageContextInfo": {}, field: FILE}), "3EB0")
    assert media is not None
    assert media.purpose == purpose


def test_a_file_within_wrappers_is_found_and_one_in_a_quote_is_not() -> None:
    wrapped = {"associatedChildMessage": {"message": {"viewOnceMessageV2": {"message": {"imageMessage": FILE}}}}}
    assert media_in(raw(wrapped), "3EB0") is not None
    quote = {"contextInfo": {"quotedMessage": {"imageMessage": FILE}}}
    assert media_in(raw({"extendedTextMessage": quote}), "3EB0") is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        [],
        None,
        {"conversation": "Olá"},
        {"imageMessage": "?"},
        {"imageMessage": {}},
        {"imageMessage": FILE | {"mediaKey": ""}},
        {"imageMessage": FILE | {"mediaKey": "é"}},
        {"imageMessage": FILE | {"mediaKey": 7}},
        {"imageMessage": FILE | {"fileLength": "x"}},
    ],
)
def test_a_message_without_a_file_that_can_be_had_has_none(message: Any) -> None:
    assert media_in(raw(message), "3EB0") is None


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"b\r\nSet-Cookie: x.pdf', "a_b__Set-Cookie_ x.pdf"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("relatório ação.pdf", "relatório ação.pdf"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
        ("...", "3EB0.pdf"),
        ("", "3EB0.pdf"),
    ],
)
def test_file_names_are_tame(given_name: str, name: str) -> None:
    assert file_name(given_name, "application/pdf", "3EB0") == name


@given(st.text())
def test_no_name_is_empty_or_leads_elsewhere(given_name: str) -> None:
    name = file_name(given_name, "x/y", "3EB0")
    assert name
    assert name not in (".", "..")
    assert not set(name) & set('/\\\0\r\n"')
