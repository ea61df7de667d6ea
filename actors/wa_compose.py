"""From a content to the protobuf that WhatsApp's phones understand. Pure; only the generated protobuf code is needed.

Source of the shapes: whatsmeow, send.go (BuildEdit, BuildRevoke, BuildReaction, BuildPollCreation), and what phones send.
"""

import re
from typing import Any

from neonize.proto.waCommon.WACommon_pb2 import MessageKey  # type: ignore[import-untyped]
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (  # type: ignore[import-untyped]
    Message,
    ProtocolMessage,
    ReactionMessage,
)

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.media_specs import field_of
from chatbot_erp.actors.wa_client import Uploaded

_REVOKE, _EDIT = 0, 14
"""Members of `ProtocolMessage.Type`."""

_SPECIAL = re.compile(r"([\\,;])")
_BREAKS = re.compile(r"\r\n|[\r\n]")
_WITHOUT_CAPTION = ("audioMessage", "stickerMessage")


def compose(
    content: c.Sendable, chat: str, file: Uploaded | None = None, *, at_ms: int = 0, secret: bytes = b""
) -> Any:
    """The message, for the chat with this jid. `at_ms` is now, since 1970; `secret` are 32 bytes that a poll keeps."""
    match content:
        case c.Reaction(text=text, message=message):
            return Message(reactionMessage=ReactionMessage(key=_key(message, chat), text=text, senderTimestampMS=at_ms))
        case c.Edit(text=text, message=message):
            change = ProtocolMessage(
                key=_key(message, chat), type=_EDIT, editedMessage=Message(conversation=text), timestampMS=at_ms
            )
            return _wrapped("editedMessage", Message(protocolMessage=change))
        case c.Revoke(message=message):
            return Message(protocolMessage=ProtocolMessage(key=_key(message, chat), type=_REVOKE))
        case _:
            return _say(content, chat, file, at_ms, secret)


def _say(content: c.Saying, chat: str, file: Uploaded | None, at_ms: int, secret: bytes) -> Any:
    message = Message()
    said = _fill(message, content, file, at_ms)
    if isinstance(content, c.Poll):
        message.messageContextInfo.messageSecret = secret
    if said is not None:
        _add_context(said.contextInfo, content, chat)
    if isinstance(content, c.Document) and content.text:
        message = _wrapped("documentWithCaptionMessage", message)
    if isinstance(content, c.Image | c.Video | c.Voice) and content.view_once:
        message = _wrapped("viewOnceMessageV2", message)
    return _wrapped("ephemeralMessage", message) if content.disappears_after else message


def _fill(message: Any, content: c.Saying, file: Uploaded | None, at_ms: int) -> Any:
    """Put the content into the message; the part of it that can have a context, or None for the plainest of texts."""
    match content:
        case c.Text():
            # Given a plain string, neonize would look for mentions in it and ask WhatsApp about each.
            if content == c.Text(text=content.text):
                message.conversation = content.text
                return None
            message.extendedTextMessage.text = content.text
            return message.extendedTextMessage
        case c.Media():
            return _attach(message, content, file, at_ms)
        case c.Location():
            place = message.locationMessage
            place.degreesLatitude, place.degreesLongitude = content.latitude, content.longitude
            _set(place, name=content.name, address=content.address, comment=content.text)
            return place
        case c.Contact(contacts=(card,)):
            message.contactMessage.displayName, message.contactMessage.vcard = card.name, _vcard(card)
            return message.contactMessage
        case c.Contact(contacts=cards):
            message.contactsArrayMessage.displayName = ", ".join(card.name for card in cards)
            for card in cards:
                message.contactsArrayMessage.contacts.add(displayName=card.name, vcard=_vcard(card))
            return message.contactsArrayMessage
        case c.Poll():
            # Phones take version 3 where one answer may be given, else the first.
            poll = message.pollCreationMessageV3 if content.selectable == 1 else message.pollCreationMessage
            poll.name, poll.selectableOptionsCount = content.text, content.selectable
            for option in content.options:
                poll.options.add(optionName=option)
            return poll
        case _:
            raise TypeError(f"A {type(content).__name__} cannot be sent.")


def _attach(message: Any, content: c.Media, file: Uploaded | None, at_ms: int) -> Any:
    if file is None:
        raise ValueError("A message with a file needs the file.")
    field = field_of(content)
    said = getattr(message, field)
    said.URL, said.directPath, said.mediaKey = file.url, file.direct_path, file.key
    said.fileSHA256, said.fileEncSHA256, said.fileLength = file.sha256, file.encrypted_sha256, file.size
    said.mediaKeyTimestamp, said.mimetype = at_ms // 1000, content.mime_type
    if field not in _WITHOUT_CAPTION:
        _set(said, caption=content.text, JPEGThumbnail=file.thumbnail)
    match content:
        case c.Image():
            _set(said, width=content.width, height=content.height, viewOnce=content.view_once)
        case c.Video():
            _set(said, width=content.width, height=content.height, viewOnce=content.view_once)
            _set(said, seconds=content.seconds, gifPlayback=content.animation)
        case c.Audio():
            _set(said, seconds=content.seconds)
        case c.Voice():
            _set(said, seconds=content.seconds, PTT=True, viewOnce=content.view_once)
        case c.Document():
            _set(said, fileName=content.file_name, title=content.file_name, pageCount=content.pages)
        case c.Sticker():
            _set(said, width=content.width, height=content.height, isAnimated=content.animated)
        case _:
            raise TypeError(f"A {type(content).__name__} has no file.")
    return said


def _set(said: Any, **values: object) -> None:
    """Set what says something; a field that is there but empty reads differently to some phones."""
    for name, value in values.items():
        if value:
            setattr(said, name, value)


def _add_context(info: Any, content: c.Saying, chat: str) -> None:
    info.mentionedJID.extend(content.mentions)
    if content.forwarded:
        info.isForwarded, info.forwardingScore = True, 1
    if content.disappears_after:
        info.expiration = content.disappears_after
    quote = content.quoting
    if quote is None:
        return
    info.stanzaID, info.participant = quote.message_id, quote.sender
    info.quotedMessage.CopyFrom(_shown(quote))
    if quote.chat != chat and quote.chat.endswith("@g.us"):
        # An answer in private to what was said in a group.
        info.remoteJID = quote.chat


def _shown(quote: c.Quote) -> Any:
    """What is shown of a message that is answered. Its file is not: phones that have the message show their own copy."""
    message = Message()
    match quote.kind:
        case "image":
            message.imageMessage.caption = quote.text
        case "video":
            message.videoMessage.caption = quote.text
        case "audio" | "voice":
            message.audioMessage.PTT = quote.kind == "voice"
        case "document":
            message.documentMessage.caption = quote.text
        case "sticker":
            message.stickerMessage.SetInParent()
        case "location":
            message.locationMessage.comment = quote.text
        case "contact":
            message.contactMessage.displayName = quote.text
        case "poll":
            message.pollCreationMessage.name = quote.text
        case _:
            message.conversation = quote.text
    return message


def _key(message: c.Reference, chat: str) -> Any:
    key = MessageKey(remoteJID=chat, fromMe=message.is_own, ID=message.message_id)
    if chat.endswith("@g.us") and not message.is_own:
        key.participant = message.sender
    return key


def _wrapped(wrapper: str, message: Any) -> Any:
    outer = Message()
    getattr(outer, wrapper).message.CopyFrom(message)
    # The library looks for a poll's secret on the outside.
    if message.HasField("messageContextInfo"):
        outer.messageContextInfo.CopyFrom(message.messageContextInfo)
    return outer


def _vcard(card: c.Card) -> str:
    """The card's own vCard, or one of its name and numbers (RFC 2426, and WhatsApp's `waid`)."""
    if card.vcard:
        return card.vcard
    name = _BREAKS.sub(r"\\n", _SPECIAL.sub(r"\\\1", card.name))
    numbers = (f"TEL;type=CELL;type=VOICE;waid={number}:+{number}" for number in card.numbers)
    return "\n".join(("BEGIN:VCARD", "VERSION:3.0", f"N:;{name};;;", f"FN:{name}", *numbers, "END:VCARD"))
