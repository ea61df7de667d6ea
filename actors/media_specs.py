"""Which file belongs to a message, and how it can be had, from the message as WhatsApp wrote it (`raw`)."""

import base64
import binascii
import mimetypes
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from chatbot_erp.actors import contents

PURPOSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "imageMessage": ("WhatsApp Image Keys", "image"),
        "videoMessage": ("WhatsApp Video Keys", "video"),
        "ptvMessage": ("WhatsApp Video Keys", "video"),
        "audioMessage": ("WhatsApp Audio Keys", "audio"),
        "documentMessage": ("WhatsApp Document Keys", "document"),
        "stickerMessage": ("WhatsApp Image Keys", "image"),
    }
)
"""Content field → what its key is for, and what the media servers call it (whatsmeow, download.go)."""

LARGEST = 2 << 30
"""Bytes: WhatsApp's own limit, for documents."""

KINDS = frozenset({"image", "video", "audio", "voice", "document", "sticker"})
"""The kinds of message that have a file."""

_FIELDS: Mapping[type[contents.Media], str] = MappingProxyType(
    {
        contents.Image: "imageMessage",
        contents.Video: "videoMessage",
        contents.Audio: "audioMessage",
        contents.Voice: "audioMessage",
        contents.Document: "documentMessage",
        contents.Sticker: "stickerMessage",
    }
)


def field_of(content: contents.Media) -> str:
    """The field of WhatsApp's message that such a file stands in."""
    return "ptvMessage" if isinstance(content, contents.Video) and content.note else _FIELDS[type(content)]


_MIME_TYPE = re.compile(r"[a-zA-Z0-9!#$&^_.+-]{1,60}/[a-zA-Z0-9!#$&^_.+-]{1,60}")
_UNWANTED = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]')
"""What no file name should have: separators, control characters, and what turns the direction of reading around."""

_LONGEST_NAME = 120
UNKNOWN_TYPE = "application/octet-stream"


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """An encrypted file on WhatsApp's media servers. `key` opens it; `size` is in bytes, as its sender says."""

    path: str
    key: bytes
    purpose: str
    category: str
    sha256: bytes
    encrypted_sha256: bytes
    size: int
    mime_type: str
    name: str


def media_in(raw: msgspec.Raw, message_id: str) -> Media | None:
    """The file of this message, or None where it has none. Total: whatever a peer wrote, nothing is raised."""
    try:
        return _search(msgspec.json.decode(raw), message_id)
    except (msgspec.MsgspecError, binascii.Error, ValueError, TypeError):
        return None


def _search(message: Any, message_id: str) -> Media | None:
    while isinstance(message, dict):
        for field, value in message.items():
            if field in PURPOSES and isinstance(value, dict) and value.get("directPath") and value.get("mediaKey"):
                return _media(field, value, message_id)
        wrapped = (value["message"] for value in message.values() if isinstance(value, dict) and "message" in value)
        message = next(wrapped, None)
    return None


def _media(field: str, value: dict[str, Any], message_id: str) -> Media:
    purpose, category = PURPOSES[field]
    mime_type = str(value.get("mimetype", "")).partition(";")[0].strip().lower()
    if not _MIME_TYPE.fullmatch(mime_type):
        mime_type = UNKNOWN_TYPE
    return Media(
        path=str(value["directPath"]),
        key=base64.b64decode(value["mediaKey"]),
        purpose=purpose,
        category=category,
        sha256=base64.b64decode(value.get("fileSHA256", "")),
        encrypted_sha256=base64.b64decode(value.get("fileEncSHA256", "")),
        # 64-bit numbers are strings in protobuf's JSON.
        size=int(value.get("fileLength", 0)),
        mime_type=mime_type,
        name=file_name(str(value.get("fileName") or value.get("title") or ""), mime_type, message_id),
    )


def file_name(given: str, mime_type: str, message_id: str) -> str:
    """A name that every file system and header takes; what has none is named after its message."""
    name = _UNWANTED.sub("_", given).strip(" .")
    if not name:
        return _UNWANTED.sub("_", message_id) + (mimetypes.guess_extension(mime_type) or "")
    stem, dot, ending = name.rpartition(".")
    if len(name) > _LONGEST_NAME and dot and len(ending) < 10:
        return f"{stem[: _LONGEST_NAME - len(ending) - 1]}.{ending}"
    return name[:_LONGEST_NAME]
