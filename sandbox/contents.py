"""What a message says, read from its protobuf: the kind, and the fields that belong to it.

Source of the fields: WhatsApp's WAE2E protobufs; of the wrappers around a message: whatsmeow, types/events/events.go
UnwrapRaw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from chatbot_erp.sandbox.wire import proto

MediaKind = Literal["image", "video", "audio", "document"]
"""What the media hosts and keys distinguish. A sticker is an image to them, a voice note audio."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    pass


class File(_Part, frozen=True):
    """A file on the media hosts, and all one needs to fetch and open it. `size` is in bytes, decrypted."""

    kind: MediaKind
    direct_path: str
    key: bytes
    sha256: bytes
    enc_sha256: bytes
    size: int

    @property
    def url(self) -> str:
        return f"https://mmg.whatsapp.net{self.direct_path}"


class Media(_Part, frozen=True):
    """What a message says of its file. `name` is a document's; `seconds` a sound's or a film's."""

    file: File
    mimetype: str = ""
    name: str = ""
    seconds: int = 0
    width: int = 0
    height: int = 0
    animated: bool = False
    thumbnail: bytes = b""


class Quote(_Part, frozen=True):
    """The message that is answered. `sender` is a JID."""

    id: str
    sender: str = ""
    kind: str = ""
    text: str = ""


class Location(_Part, frozen=True):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""
    url: str = ""


class Contact(_Part, frozen=True):
    name: str
    vcard: str


class Poll(_Part, frozen=True):
    """A question; `selectable` answers may be given, any number when it is 0. `secret` is the key to the votes."""

    question: str
    options: tuple[str, ...]
    selectable: int = 0
    secret: bytes = b""


class Preview(_Part, frozen=True):
    """What a text shows of the page it links to."""

    url: str
    title: str = ""
    description: str = ""


class Content(_Part, frozen=True):
    """A message, whatever it is. What a kind does not have is empty.

    `kind` is text, image, video, note (a round video), audio, voice, document, sticker, location, live_location,
    contact, contacts, poll, vote, reaction, edit, revoke, button_reply, list_reply, template_reply, interactive_reply,
    or the name of the protobuf field. `text` is the text, the caption, the emoji of a reaction, or what an edit makes
    of the message. `target` is the id of the message that a reaction, an edit, a revocation or a vote speaks of;
    `choice` the id of what was chosen from buttons or a list; `by_admin`: an admin revokes what another has written.
    """

    kind: str
    text: str = ""
    quote: Quote | None = None
    mentions: tuple[str, ...] = ()
    forwarded: int = 0
    expires_s: int = 0
    view_once: bool = False
    preview: Preview | None = None
    media: Media | None = None
    location: Location | None = None
    contacts: tuple[Contact, ...] = ()
    poll: Poll | None = None
    votes: tuple[str, ...] | None = None
    target: str = ""
    choice: str = ""
    by_admin: bool = False


def read(message: Any) -> Content | None:
    """What a message says; None when a person sees nothing of it (keys, settings, the protocol's own affairs)."""
    inner, view_once = _unwrap(message)
    for field, value in inner.ListFields():
        reader = _READERS.get(field.name)
        if reader is not None:
            known = reader(value)
            if known is None:
                return None
            return _finish(known, inner, value, view_once)
        if field.name not in _SILENT:
            return Content(kind=field.name)
    return None


def _unwrap(message: Any) -> tuple[Any, bool]:
    view_once = False
    while True:
        wrapper = next((name for name in _WRAPPERS if message.HasField(name)), None)
        if wrapper is None:
            return message, view_once
        view_once = view_once or wrapper.startswith("viewOnce")
        message = getattr(message, wrapper).message


def _finish(known: dict[str, Any], inner: Any, value: Any, view_once: bool) -> Content:
    """Add what every kind may have."""
    context = value.contextInfo if hasattr(value, "contextInfo") else None
    if context is not None and context.ByteSize():
        known["mentions"] = tuple(context.mentionedJid)
        known["forwarded"] = context.forwardingScore or int(context.isForwarded)
        known["expires_s"] = context.expiration
        if context.stanzaId:
            quoted = read(context.quotedMessage)
            about = {"kind": quoted.kind, "text": quoted.text} if quoted is not None else {}
            known["quote"] = Quote(id=context.stanzaId, sender=context.participant, **about)
    if "poll" in known:
        known["poll"] = msgspec.structs.replace(known["poll"], secret=inner.messageContextInfo.messageSecret)
    if view_once or (hasattr(value, "viewOnce") and value.viewOnce):
        known["view_once"] = True
    return Content(**known)


def _media(kind: str, of: MediaKind, value: Any) -> dict[str, Any]:
    file = File(
        kind=of,
        direct_path=value.directPath,
        key=value.mediaKey,
        sha256=value.fileSha256,
        enc_sha256=value.fileEncSha256,
        size=value.fileLength,
    )
    media = Media(
        file=file,
        mimetype=value.mimetype,
        name=getattr(value, "fileName", ""),
        seconds=getattr(value, "seconds", 0),
        width=getattr(value, "width", 0),
        height=getattr(value, "height", 0),
        animated=getattr(value, "isAnimated", False) or getattr(value, "gifPlayback", False),
        thumbnail=getattr(value, "jpegThumbnail", b""),
    )
    return {"kind": kind, "text": getattr(value, "caption", ""), "media": media}


def _extended_text(value: Any) -> dict[str, Any]:
    preview = None
    if value.matchedText:
        preview = Preview(url=value.matchedText, title=value.title, description=value.description)
    return {"kind": "text", "text": value.text, "preview": preview}


def _location(value: Any) -> dict[str, Any]:
    place = Location(
        latitude=value.degreesLatitude,
        longitude=value.degreesLongitude,
        name=value.name,
        address=value.address,
        url=value.url,
    )
    return {"kind": "location", "text": value.comment, "location": place}


def _live_location(value: Any) -> dict[str, Any]:
    place = Location(latitude=value.degreesLatitude, longitude=value.degreesLongitude)
    return {"kind": "live_location", "text": value.caption, "location": place}


def _contact(value: Any) -> Contact:
    return Contact(name=value.displayName, vcard=value.vcard)


def _poll(value: Any) -> dict[str, Any]:
    options = tuple(option.optionName for option in value.options)
    poll = Poll(question=value.name, options=options, selectable=value.selectableOptionsCount)
    return {"kind": "poll", "text": value.name, "poll": poll}


def _protocol(value: Any) -> dict[str, Any] | None:
    kinds = proto.Message.ProtocolMessage.Type
    if value.type == kinds.MESSAGE_EDIT:
        edited = read(value.editedMessage)
        return {"kind": "edit", "text": edited.text if edited is not None else "", "target": value.key.id}
    if value.type == kinds.REVOKE and value.HasField("key"):
        by_admin = value.key.remoteJid.endswith("@g.us") and not value.key.fromMe
        return {"kind": "revoke", "target": value.key.id, "by_admin": by_admin}
    return None


_WRAPPERS = (
    "deviceSentMessage",
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "lottieStickerMessage",
    "editedMessage",
)
_SILENT = {"messageContextInfo", "senderKeyDistributionMessage", "fastRatchetKeySenderKeyDistributionMessage"}
_READERS: dict[str, Callable[[Any], dict[str, Any] | None]] = {
    "conversation": lambda value: {"kind": "text", "text": value},
    "extendedTextMessage": _extended_text,
    "imageMessage": lambda value: _media("image", "image", value),
    "videoMessage": lambda value: _media("video", "video", value),
    "ptvMessage": lambda value: _media("note", "video", value),
    "audioMessage": lambda value: _media("voice" if value.ptt else "audio", "audio", value),
    "documentMessage": lambda value: _media("document", "document", value),
    "stickerMessage": lambda value: _media("sticker", "image", value),
    "locationMessage": _location,
    "liveLocationMessage": _live_location,
    "contactMessage": lambda value: {"kind": "contact", "text": value.displayName, "contacts": (_contact(value),)},
    "contactsArrayMessage": lambda value: {
        "kind": "contacts",
        "text": value.displayName,
        "contacts": tuple(_contact(each) for each in value.contacts),
    },
    **dict.fromkeys(("pollCreationMessage", "pollCreationMessageV2", "pollCreationMessageV3"), _poll),
    "pollUpdateMessage": lambda value: {"kind": "vote", "target": value.pollCreationMessageKey.id},
    "reactionMessage": lambda value: {"kind": "reaction", "text": value.text, "target": value.key.id},
    "protocolMessage": _protocol,
    "buttonsResponseMessage": lambda value: {
        "kind": "button_reply",
        "text": value.selectedDisplayText,
        "choice": value.selectedButtonId,
    },
    "listResponseMessage": lambda value: {
        "kind": "list_reply",
        "text": value.title,
        "choice": value.singleSelectReply.selectedRowId,
    },
    "templateButtonReplyMessage": lambda value: {
        "kind": "template_reply",
        "text": value.selectedDisplayText,
        "choice": value.selectedId,
    },
    "interactiveResponseMessage": lambda value: {
        "kind": "interactive_reply",
        "text": value.body.text,
        "choice": value.nativeFlowResponseMessage.name,
    },
}
