"""What neonize's event protobufs say, as observations.

The functions take the protobufs by shape, so that this file needs no neonize.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import uuid4

import msgspec
from google.protobuf import json_format  # type: ignore[import-untyped]

from chatbot_erp.actors import contents as c
from chatbot_erp.actors import contents_received as r
from chatbot_erp.actors.frames import (
    SocketCouldNotDecrypt,
    SocketReceived,
    SocketSawCall,
    SocketSawEdit,
    SocketSawReceipt,
    SocketSawRevocation,
)
from chatbot_erp.actors.wa_content import content_of, seen_once
from chatbot_erp.actors.wa_kinds import Protobuf, View, words

log = logging.getLogger(__name__)

Me = tuple[str, ...]
"""Our own jids: the phone number's first, then the LID."""

_EDIT, _REVOKE = 14, 0
"""Members of `ProtocolMessage.Type`."""

_BY_ADMIN = "8"
"""What the stanza says of a revocation by an admin (whatsmeow, types/message.go); by its writer it is 7."""

_ACKS: Mapping[int, int] = MappingProxyType({1: 2, 4: 3, 6: 4})
"""`Receipt.Type` DELIVERED, READ, PLAYED → ack. The others are about our own devices or between devices."""
_HIDDEN = 2


def received(
    event: Protobuf, me: Me = (), chosen: Sequence[bytes] | None = None
) -> SocketReceived | SocketSawEdit | SocketSawRevocation | None:
    """What someone else wrote, changed or took back, or None for own, system and status messages.

    `chosen` is what a poll vote says when it is decrypted.
    """
    if not _is_from_someone_else(event.Info.MessageSource):
        return None
    message = event.Message
    if message.HasField("protocolMessage"):
        notice = message.protocolMessage
        if notice.type == _REVOKE and notice.key.ID:
            return _revocation(event)
        if notice.type != _EDIT:
            return None
        said = _read(event, notice.editedMessage, me, None)
        return None if said is None else _edit(event, said)
    said = _read(event, message, me, chosen)
    return None if said is None else _reception(event, said)


def undecryptable(event: Protobuf) -> SocketCouldNotDecrypt | None:
    """A message of someone else that could not be read, or None where nobody would have seen it either."""
    return None if event.DecryptFailMode == _HIDDEN else _undecryptable(event.Info, unavailable=event.IsUnavailable)


def unreadable(info: Protobuf) -> SocketCouldNotDecrypt | None:
    """As `undecryptable`, where of an event no more than its `Info` could be read, or not even that. Total."""
    try:
        return _undecryptable(info, unavailable=False)
    except Exception:
        log.exception("Could not read from whom a message is.")
        return SocketCouldNotDecrypt(message_id=uuid4().hex, jid="", participant=None, unavailable=False)


def receipt(event: Protobuf) -> SocketSawReceipt | None:
    """What another party's device says of our messages, or None."""
    source = event.MessageSource
    # A kind that neonize does not know leaves the field empty, and reading an empty field says DELIVERED.
    ack = _ACKS.get(event.Type) if event.HasField("Type") else None
    if ack is None or source.IsFromMe:
        return None
    return SocketSawReceipt(
        message_ids=tuple(words(message_id) for message_id in event.MessageIDs),
        jid=_chat(source),
        participant=_participant(source),
        ack=ack,
    )


def call(event: Protobuf, me: Me = ()) -> SocketSawCall | None:
    """Somebody calls (`CallOffer`), or a group is called (`CallOfferNotice`); None for one's own calls."""
    meta = event.basicCallMeta
    caller = jid_text(meta.callCreator) or jid_text(getattr(meta, "from"))
    if caller is None or caller in me:
        return None
    group = _attribute(event.data, "group-jid")
    return SocketSawCall(
        call_id=words(meta.callID),
        jid=caller,
        jid_alt=jid_text(meta.callCreatorAlt),
        group=group or None,
        video=_attribute(event.data, "media") == "video" or any(node.Tag == "video" for node in event.data.Nodes),
        called_at=datetime.fromtimestamp(meta.timestamp, UTC),
    )


def as_json(message: Protobuf) -> str:
    """The protobuf as one line of ASCII JSON, with the field names WhatsApp gave."""
    return json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True), separators=(",", ":"))


def jid_text(jid: Protobuf) -> str | None:
    """`user@server` without the device, or None where there is no jid."""
    return f"{words(jid.User)}@{words(jid.Server)}" if jid.User else None


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    text: str
    content: str
    raw: str


def _read(event: Protobuf, message: Protobuf, me: Me, chosen: Sequence[bytes] | None) -> _Said | None:
    """What a message says; one that cannot be read for whatever reason is handed on as far as that goes."""
    source = event.Info.MessageSource
    try:
        content = content_of(message, View(chat=_chat(source), sender=jid_text(source.Sender) or "", me=me))
        if content is None:
            return None
        if isinstance(content, r.PollVote) and chosen is not None:
            options = tuple(option.hex() for option in chosen)
            content = msgspec.structs.replace(content, options=options, sealed=False)
        if event.IsViewOnce:
            content = seen_once(content)
        parts = c.split(content)
        return _Said(
            kind=parts.kind, text=parts.text, content=bytes(parts.content).decode(), raw=as_json(event.Message)
        )
    except Exception:
        log.exception("Could not read the content of a message; it is handed on without.")
        return _Said(kind="unknown", text="", content="{}", raw="{}")


def _reception(event: Protobuf, said: _Said) -> SocketReceived:
    info, source = event.Info, event.Info.MessageSource
    return SocketReceived(
        message_id=words(info.ID),
        jid=_chat(source),
        jid_alt=jid_text(source.SenderAlt),
        participant=_participant(source),
        push_name=words(info.Pushname),
        sent_at=_at(info),
        kind=said.kind,
        text=said.text,
        content=said.content,
        raw=said.raw,
    )


def _edit(event: Protobuf, said: _Said) -> SocketSawEdit:
    info, source = event.Info, event.Info.MessageSource
    return SocketSawEdit(
        message_id=words(event.Message.protocolMessage.key.ID),
        edit_id=words(info.ID),
        jid=_chat(source),
        jid_alt=jid_text(source.SenderAlt),
        participant=_participant(source),
        push_name=words(info.Pushname),
        edited_at=_at(info),
        kind=said.kind,
        text=said.text,
        content=said.content,
        raw=said.raw,
    )


def _revocation(event: Protobuf) -> SocketSawRevocation:
    info, source = event.Info, event.Info.MessageSource
    return SocketSawRevocation(
        message_id=words(event.Message.protocolMessage.key.ID),
        jid=_chat(source),
        jid_alt=jid_text(source.SenderAlt),
        participant=_participant(source),
        push_name=words(info.Pushname),
        revoked_at=_at(info),
        by_admin=words(info.Edit) == _BY_ADMIN,
    )


def _undecryptable(info: Protobuf, *, unavailable: bool) -> SocketCouldNotDecrypt | None:
    source = info.MessageSource
    if not _is_from_someone_else(source):
        return None
    return SocketCouldNotDecrypt(
        message_id=words(info.ID) or uuid4().hex,
        jid=_chat(source),
        participant=_participant(source),
        unavailable=unavailable,
        jid_alt=jid_text(source.SenderAlt),
        push_name=words(info.Pushname),
        sent_at=_at(info) if info.Timestamp else None,
    )


def _is_from_someone_else(source: Protobuf) -> bool:
    return not source.IsFromMe and source.Chat.User != "status"


def _chat(source: Protobuf) -> str:
    # What comes through somebody's broadcast list is, for the one who gets it, a message of that person.
    chat = source.Sender if source.Chat.Server == "broadcast" else source.Chat
    return jid_text(chat) or (f"@{words(chat.Server)}" if chat.Server else "")


def _participant(source: Protobuf) -> str | None:
    return jid_text(source.Sender) if source.IsGroup else None


def _at(info: Protobuf) -> datetime:
    try:
        return datetime.fromtimestamp(info.Timestamp / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.now(UTC)


def _attribute(node: Protobuf, name: str) -> str:
    return next((_value(each) for each in node.Attrs if each.name == name), "")


def _value(attribute: Protobuf) -> str:
    return jid_text(attribute.jid) or "" if attribute.HasField("jid") else words(attribute.text)
