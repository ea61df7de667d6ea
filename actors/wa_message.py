"""What neonize's event protobufs say, as observations.

The functions take the protobufs by shape, so that this file needs no neonize.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]

from chatbot_erp.actors.frames import SocketCouldNotDecrypt, SocketReceived, SocketSawReceipt

log = logging.getLogger(__name__)

Protobuf = Any
"""A message of neonize's generated code, which has no types worth the name."""

_KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "conversation": ("text", ("",)),
        "extendedTextMessage": ("text", ("text",)),
        "imageMessage": ("image", ("caption",)),
        "videoMessage": ("video", ("caption",)),
        "ptvMessage": ("video", ("caption",)),
        "documentMessage": ("document", ("caption", "fileName", "title")),
        "audioMessage": ("audio", ()),
        "stickerMessage": ("sticker", ()),
        "locationMessage": ("location", ("comment", "name", "address")),
        "liveLocationMessage": ("location", ("caption",)),
        "contactMessage": ("contact", ("displayName",)),
        "contactsArrayMessage": ("contact", ("displayName",)),
        "reactionMessage": ("reaction", ("text",)),
        "pollCreationMessage": ("poll", ("name",)),
        "pollCreationMessageV2": ("poll", ("name",)),
        "pollCreationMessageV3": ("poll", ("name",)),
        "pollCreationMessageV5": ("poll", ("name",)),
        "pollCreationMessageV6": ("poll", ("name",)),
        "pollUpdateMessage": ("poll_vote", ()),
        "eventMessage": ("event", ("name",)),
        "groupInviteMessage": ("group_invite", ("caption", "groupName")),
        "buttonsMessage": ("buttons", ("contentText", "text")),
        "listMessage": ("list", ("description", "title")),
        "templateMessage": ("template", ("hydratedTemplate.hydratedContentText",)),
        "interactiveMessage": ("interactive", ("body.text",)),
        "buttonsResponseMessage": ("button_reply", ("selectedDisplayText", "selectedButtonID")),
        "templateButtonReplyMessage": ("button_reply", ("selectedDisplayText", "selectedID")),
        "interactiveResponseMessage": ("button_reply", ("body.text",)),
        "listResponseMessage": ("list_reply", ("title", "description")),
        "orderMessage": ("order", ("message", "orderTitle")),
        "productMessage": ("product", ("body",)),
    }
)
"""Content field → kind, and where its text stands (the first that is not empty)."""

_NOT_CONTENT = frozenset(
    {
        "messageContextInfo",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
        "groupRootKeyShare",
        "rootSecretDistributeMessage",
        "protocolMessage",
        "keepInChatMessage",
        "pinInChatMessage",
        "messageHistoryBundle",
        "messageHistoryNotice",
        "placeholderMessage",
        "stickerSyncRmrMessage",
        "call",
        "callLogMesssage",
        "bcallMessage",
        "limitSharingMessage",
        "botTaskMessage",
    }
)
"""What devices tell each other, and notices of the system: nobody wrote these."""

_MESSAGE_EDIT = 14
_ACKS = MappingProxyType({1: 2, 4: 3, 6: 4})
"""`Receipt.Type` DELIVERED, READ, PLAYED → ack. The others are about our own devices or between devices."""
_HIDDEN = 2


def received(event: Protobuf) -> SocketReceived | None:
    """What someone else wrote, or None for own, system and status messages."""
    info = event.Info
    source = info.MessageSource
    if not _is_from_someone_else(source):
        return None
    try:
        kind, text = kind_and_text(event.Message)
        raw = as_json(event.Message)
    except Exception:
        log.exception("Could not read the content of a message; it is handed on without.")
        kind, text, raw = "other", "", "{}"
    if not kind:
        return None
    return SocketReceived(
        message_id=_text(info.ID),
        jid=_chat(source),
        jid_alt=jid_text(source.SenderAlt),
        participant=jid_text(source.Sender) if source.IsGroup else None,
        push_name=_text(info.Pushname),
        kind=kind,
        text=text,
        sent_at=datetime.fromtimestamp(info.Timestamp / 1000, UTC),
        raw=raw,
    )


def undecryptable(event: Protobuf) -> SocketCouldNotDecrypt | None:
    """A message of someone else that could not be read, or None where nobody would have seen it either."""
    source = event.Info.MessageSource
    if event.DecryptFailMode == _HIDDEN or not _is_from_someone_else(source):
        return None
    return SocketCouldNotDecrypt(
        message_id=_text(event.Info.ID),
        jid=_chat(source),
        participant=jid_text(source.Sender) if source.IsGroup else None,
        unavailable=event.IsUnavailable,
    )


def receipt(event: Protobuf) -> SocketSawReceipt | None:
    """What another party's device says of our messages, or None."""
    source = event.MessageSource
    # A kind that neonize does not know leaves the field empty, and reading an empty field says DELIVERED.
    ack = _ACKS.get(event.Type) if event.HasField("Type") else None
    if ack is None or source.IsFromMe:
        return None
    return SocketSawReceipt(
        message_ids=tuple(_text(message_id) for message_id in event.MessageIDs),
        jid=_chat(source),
        participant=jid_text(source.Sender) if source.IsGroup else None,
        ack=ack,
    )


def kind_and_text(message: Protobuf) -> tuple[str, str]:
    """What kind of content it is and its text; an empty kind where there is none."""
    if message.HasField("protocolMessage") and message.protocolMessage.type == _MESSAGE_EDIT:
        return "edit", kind_and_text(message.protocolMessage.editedMessage)[1]
    for field, value in message.ListFields():
        if field.name in _KINDS:
            kind, paths = _KINDS[field.name]
            return kind, next(filter(None, (_at(value, path) for path in paths)), "")
        if field.name in _NOT_CONTENT:
            continue
        if field.message_type is not None and field.message_type.name == "FutureProofMessage":
            return kind_and_text(value.message)
        return "other", ""
    return "", ""


def as_json(message: Protobuf) -> str:
    """The protobuf as one line of ASCII JSON, with the field names WhatsApp gave."""
    return json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True), separators=(",", ":"))


def jid_text(jid: Protobuf) -> str | None:
    """`user@server` without the device, or None where there is no jid."""
    return f"{_text(jid.User)}@{_text(jid.Server)}" if jid.User else None


def _is_from_someone_else(source: Protobuf) -> bool:
    return not source.IsFromMe and source.Chat.User != "status"


def _chat(source: Protobuf) -> str:
    # What comes through somebody's broadcast list is, for the one who gets it, a message of that person.
    chat = source.Sender if source.Chat.Server == "broadcast" else source.Chat
    return jid_text(chat) or f"@{_text(chat.Server)}"


def _at(value: Protobuf, path: str) -> str:
    for name in filter(None, path.split(".")):
        value = getattr(value, name)
    return _text(value)


def _text(value: str | bytes) -> str:
    """WhatsApp's strings are proto2: a peer can put bytes there that are no UTF-8, and protobuf hands them on."""
    return value if isinstance(value, str) else value.decode(errors="replace")
