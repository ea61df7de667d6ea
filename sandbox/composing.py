"""Messages of every kind, as the phone apps make them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatbot_erp.sandbox.contents import Contact, Media, Preview
from chatbot_erp.sandbox.control import InboxMessage
from chatbot_erp.sandbox.wire import proto


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What may go with a message of any kind: the message it answers, the JIDs it mentions, how often it was
    forwarded, after how many seconds it disappears."""

    quote: InboxMessage | None = None
    mentions: Sequence[str] = ()
    forwarded: int = 0
    expires_s: int = 0


NO_CONTEXT = Context()


def text(words: str, context: Context = NO_CONTEXT, preview: Preview | None = None) -> Any:
    """A plain text, or one with a context or the preview of a page."""
    if context == NO_CONTEXT and preview is None:
        return proto.Message(conversation=words)
    message = proto.Message()
    message.extendedTextMessage.text = words
    if preview is not None:
        message.extendedTextMessage.matchedText = preview.url
        message.extendedTextMessage.title = preview.title
        message.extendedTextMessage.description = preview.description
    return _with(message, message.extendedTextMessage, context)


def media(kind: str, what: Media, caption: str = "", context: Context = NO_CONTEXT, *, view_once: bool = False) -> Any:
    """A message with a file that has been uploaded. A document with a caption is wrapped, as is what shows once."""
    message = proto.Message()
    field = getattr(message, _MEDIA_FIELDS[kind])
    file = what.file
    field.url, field.directPath, field.mediaKey = file.url, file.direct_path, file.key
    field.fileSha256, field.fileEncSha256, field.fileLength = file.sha256, file.enc_sha256, file.size
    field.mediaKeyTimestamp, field.mimetype = int(time.time()), what.mimetype
    optional = {"fileName": what.name, "title": what.name, "caption": caption, "seconds": what.seconds}
    optional |= {"width": what.width, "height": what.height, "jpegThumbnail": what.thumbnail}
    optional |= {"ptt": kind == "voice", "isAnimated": what.animated, "gifPlayback": what.animated}
    for name, value in optional.items():
        if value and hasattr(field, name):
            setattr(field, name, value)
    if view_once:
        field.viewOnce = True
    message = _with(message, field, context)
    if kind == "document" and caption:
        return wrapped("documentWithCaptionMessage", message)
    return wrapped("viewOnceMessageV2", message) if view_once else message


def location(latitude: float, longitude: float, name: str, address: str, context: Context = NO_CONTEXT) -> Any:
    message = proto.Message()
    place = message.locationMessage
    place.degreesLatitude, place.degreesLongitude = latitude, longitude
    if name:
        place.name, place.address = name, address
    return _with(message, place, context)


def live_location(latitude: float, longitude: float, caption: str) -> Any:
    message = proto.Message()
    place = message.liveLocationMessage
    place.degreesLatitude, place.degreesLongitude, place.caption = latitude, longitude, caption
    place.sequenceNumber, place.accuracyInMeters = 1, 10
    return message


def contacts(them: Sequence[Contact], context: Context = NO_CONTEXT) -> Any:
    """One contact, or several in one message."""
    message = proto.Message()
    if len(them) == 1:
        message.contactMessage.displayName, message.contactMessage.vcard = them[0].name, them[0].vcard
        return _with(message, message.contactMessage, context)
    message.contactsArrayMessage.displayName = f"{len(them)} contacts"
    for contact in them:
        message.contactsArrayMessage.contacts.add(displayName=contact.name, vcard=contact.vcard)
    return _with(message, message.contactsArrayMessage, context)


def poll(question: str, options: Sequence[str], selectable: int, context: Context = NO_CONTEXT) -> Any:
    """The phone apps send version 3 where one answer may be given, else the first (whatsmeow, msgsecret.go)."""
    message = proto.Message()
    message.messageContextInfo.messageSecret = secrets.token_bytes(32)
    creation = message.pollCreationMessageV3 if selectable == 1 else message.pollCreationMessage
    creation.name, creation.selectableOptionsCount = question, selectable
    for option in options:
        creation.options.add(optionName=option)
    return _with(message, creation, context)


def reaction(chat: str, message_id: str, own: bool, author: str, emoji: str) -> Any:
    """An empty emoji takes the reaction back. `author` is needed in a group only: whose message it is."""
    message = proto.Message()
    _point(message.reactionMessage.key, chat, message_id, own)
    if author:
        message.reactionMessage.key.participant = author
    message.reactionMessage.text, message.reactionMessage.senderTimestampMs = emoji, int(time.time() * 1000)
    return message


def edit(chat: str, message_id: str, new: Any) -> Any:
    """Replace one's own message by a new one (whatsmeow, send.go BuildEdit)."""
    message = proto.Message()
    protocol = message.editedMessage.message.protocolMessage
    _point(protocol.key, chat, message_id, True)
    protocol.type = proto.Message.ProtocolMessage.Type.MESSAGE_EDIT
    protocol.editedMessage.CopyFrom(new)
    protocol.timestampMs = int(time.time() * 1000)
    return message


def revoke(chat: str, message_id: str, author: str = "") -> Any:
    """Delete one's own message for everyone or, as an admin, that of the `author` (whatsmeow, send.go BuildRevoke)."""
    message = proto.Message()
    _point(message.protocolMessage.key, chat, message_id, not author)
    if author:
        message.protocolMessage.key.participant = author
    message.protocolMessage.type = proto.Message.ProtocolMessage.Type.REVOKE
    return message


def wrapped(wrapper: str, message: Any) -> Any:
    """The message in a wrapper: ephemeralMessage, viewOnceMessageV2, documentWithCaptionMessage and the like."""
    outer = proto.Message()
    getattr(outer, wrapper).message.CopyFrom(message)
    return outer


def _point(key: Any, chat: str, message_id: str, own: bool) -> None:
    key.remoteJid, key.id, key.fromMe = chat, message_id, own


def _with(message: Any, field: Any, context: Context) -> Any:
    if context == NO_CONTEXT:
        return message
    info = field.contextInfo
    info.mentionedJid.extend(context.mentions)
    if context.forwarded:
        info.isForwarded, info.forwardingScore = True, context.forwarded
    if context.expires_s:
        info.expiration = context.expires_s
    if context.quote is not None:
        info.stanzaId, info.participant = context.quote.id, context.quote.sender_jid
        info.quotedMessage.ParseFromString(context.quote.raw)
        info.quotedMessage.ClearField("messageContextInfo")
    return wrapped("ephemeralMessage", message) if context.expires_s else message


_MEDIA_FIELDS = {
    "image": "imageMessage",
    "video": "videoMessage",
    "note": "ptvMessage",
    "audio": "audioMessage",
    "voice": "audioMessage",
    "document": "documentMessage",
    "sticker": "stickerMessage",
}
