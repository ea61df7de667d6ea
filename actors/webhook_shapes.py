"""What a webhook receiver is told: the JSON of each kind of event, which is also its schema in /openapi.json."""

from datetime import UTC
from typing import Annotated, Any, assert_never

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chatbot_erp.actors.statuses import status_after
from chatbot_erp.actors.webhook_failures import MessageFailedWebhook, failure
from chatbot_erp.actors.webhook_groups import (
    GroupJoinedWebhook,
    GroupUpdatedWebhook,
    WebhookGroup,
    group_change,
)
from chatbot_erp.actors.webhook_presence import PresenceChangedWebhook, presence
from chatbot_erp.actors.webhook_shape import Jid, JidAlt, Person, Shape, WebhookEvent, WebhookInstance, WebhookNotice
from chatbot_erp.eventstore.events import (
    DELIVERED,
    Ack,
    CallReceived,
    Event,
    GroupJoined,
    GroupUpdated,
    MessageAcknowledged,
    MessageEdited,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageUndecryptable,
    PresenceChanged,
    Status,
    StatusEvent,
)
from chatbot_erp.eventstore.records import Recorded

MessageId = Annotated[str, Meta(description="WhatsApp's id of the message.")]
Participant = Annotated[str | UnsetType, Meta(description="In a group, who it was. Not there in other chats.")]

_SAID = {
    "type": {"type": "string", "description": "What kind of message it is.", "examples": ["text"]},
    "text": {"type": "string", "description": "The words or the caption; empty if none.", "examples": ["Olá"]},
}
_RAW = {"type": "object", "description": "The WhatsApp message as JSON."}
Message = Annotated[
    dict[str, Any],
    Meta(
        description="What was said. The fields that belong to the type stand beside `type` and `text`.",
        extra_json_schema={"properties": _SAID, "required": ["type", "text"]},
    ),
]
ReceivedMessage = Annotated[
    dict[str, Any],
    Meta(
        description="What was said, as in `message.sent`, and `raw`, the WhatsApp message as JSON.",
        extra_json_schema={"properties": {**_SAID, "raw": _RAW}, "required": ["type", "text", "raw"]},
    ),
]


class WebhookStatus(WebhookInstance, frozen=True, kw_only=True):
    """Whose status changed, and how."""

    status: Annotated[Status, Meta(description="From now on.", examples=["DISCONNECTED"])]
    previous: Annotated[Status, Meta(description="Until now.", examples=["CONNECTED"])]


class WebhookSender(Shape, frozen=True, kw_only=True):
    """Where a message came from."""

    jid: Jid
    jid_alt: JidAlt
    message_id: MessageId
    push_name: Annotated[str, Meta(description="The name that the sender goes by; empty where it came without one.")]
    participant: Participant = UNSET


class WebhookMessageId(Shape, frozen=True, kw_only=True):
    """Which message it is about."""

    jid: Jid
    message_id: Annotated[
        str,
        Meta(
            description="WhatsApp's id of the message; of one that WhatsApp refused (ack 0), which has none, the"
            " `commandId` of its `message.failed`."
        ),
    ]
    participant: Participant = UNSET


class WebhookAck(Shape, frozen=True, kw_only=True):
    """How far a message has come."""

    status: Annotated[Ack, Meta(description="0 error, 1 sent, 2 delivered, 3 read, 4 played.", examples=[2])]
    name: Annotated[str, Meta(description="The same as a word.", examples=["delivered"])]


class WebhookTest(WebhookNotice, frozen=True, kw_only=True, tag="webhook.test"):
    """Somebody tries whether the receiver can be reached. Nothing has happened."""

    instance: WebhookInstance


class MessageReceivedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="message.received"):
    """Someone else wrote."""

    instance: WebhookInstance
    whatsapp: WebhookSender
    message: ReceivedMessage


class MessageSentWebhook(WebhookEvent, frozen=True, kw_only=True, tag="message.sent"):
    """WhatsApp's server acknowledged a message."""

    instance: WebhookInstance
    whatsapp: WebhookMessageId
    message: Message
    command_id: Annotated[str, Meta(description="The id that a send got which was answered with 202.")]


class MessageAckWebhook(WebhookEvent, frozen=True, kw_only=True, tag="message.ack"):
    """A message was delivered, read or played, or WhatsApp refused it."""

    instance: WebhookInstance
    whatsapp: WebhookMessageId
    ack: WebhookAck


class MessageEditedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="message.edited"):
    """Someone else changed a message: `message` is what it says from now on, `whatsapp.messageId` is the old one's."""

    instance: WebhookInstance
    whatsapp: WebhookSender
    message: ReceivedMessage


class MessageRevokedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="message.revoked"):
    """Someone else took a message back: its writer or, in a group, an admin (`participant`)."""

    instance: WebhookInstance
    whatsapp: WebhookSender
    by_admin: Annotated[bool, Meta(description="It was taken back with an admin's right.")]


class MessageUndecryptableWebhook(WebhookEvent, frozen=True, kw_only=True, tag="message.undecryptable"):
    """A message came that could not be read. Often its sender's device sends it again: then `message.received` follows."""

    instance: WebhookInstance
    whatsapp: WebhookSender
    unavailable: Annotated[
        bool, Meta(description="WhatsApp keeps its content from linked devices; it is to be seen on the phone.")
    ]


class WebhookCall(Shape, frozen=True, kw_only=True):
    """Who calls, and how."""

    id: Annotated[str, Meta(description="WhatsApp's id of the call.")]
    jid: Person
    jid_alt: JidAlt
    group: Annotated[str | None, Meta(description="The group that is called; null for a call to this number alone.")]
    video: Annotated[bool, Meta(description="With a picture.")]


class CallReceivedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="call.received"):
    """Somebody calls. Only the phone can answer."""

    instance: WebhookInstance
    call: WebhookCall


class InstanceStatusWebhook(WebhookEvent, frozen=True, kw_only=True, tag="instance.status"):
    """The status of an instance changed."""

    instance: WebhookStatus
    reason: Annotated[str | None, Meta(description="Why; null where all is well.", examples=["dropped"])]


Told = (
    MessageReceivedWebhook
    | MessageEditedWebhook
    | MessageRevokedWebhook
    | MessageUndecryptableWebhook
    | MessageSentWebhook
    | MessageFailedWebhook
    | MessageAckWebhook
    | CallReceivedWebhook
    | InstanceStatusWebhook
    | GroupJoinedWebhook
    | GroupUpdatedWebhook
    | PresenceChangedWebhook
)

WEBHOOKS: dict[str, type[WebhookNotice]] = {
    "message.received": MessageReceivedWebhook,
    "message.edited": MessageEditedWebhook,
    "message.revoked": MessageRevokedWebhook,
    "message.undecryptable": MessageUndecryptableWebhook,
    "message.sent": MessageSentWebhook,
    "message.failed": MessageFailedWebhook,
    "message.ack": MessageAckWebhook,
    "call.received": CallReceivedWebhook,
    "instance.status": InstanceStatusWebhook,
    "group.joined": GroupJoinedWebhook,
    "group.updated": GroupUpdatedWebhook,
    "presence.changed": PresenceChangedWebhook,
    "webhook.test": WebhookTest,
}
"""What a receiver can be sent."""

KINDS: dict[type[Event], str] = {
    MessageReceived: "message.received",
    MessageEdited: "message.edited",
    MessageRevoked: "message.revoked",
    MessageUndecryptable: "message.undecryptable",
    MessageSent: "message.sent",
    MessageFailed: "message.failed",
    MessageOutcomeUnknown: "message.failed",
    MessageAcknowledged: "message.ack",
    CallReceived: "call.received",
    GroupJoined: "group.joined",
    GroupUpdated: "group.updated",
    PresenceChanged: "presence.changed",
    **{kind: "instance.status" for kind in DELIVERED if issubclass(kind, StatusEvent)},
}
"""How receivers call the events of the log that they are told of."""


FromOutside = MessageReceived | MessageEdited | MessageRevoked | MessageUndecryptable
TellableEvent = (
    FromOutside
    | MessageSent
    | MessageFailed
    | MessageOutcomeUnknown
    | MessageAcknowledged
    | CallReceived
    | GroupJoined
    | GroupUpdated
    | PresenceChanged
    | StatusEvent
)


def body(record: Recorded, instance: str, name: str) -> bytes:
    """The JSON for a record of the log: the same bytes at every attempt. Raises `TypeError` if it is not one to tell."""
    if not isinstance(record.event, TellableEvent) or record.sequence is None:
        raise TypeError(f"No webhook is told of {record.type}.")
    return msgspec.json.encode(shape(record, record.event, record.sequence, instance, name))


def shape(record: Recorded, event: TellableEvent, sequence: int, instance: str, name: str) -> Told:
    """`event` of `record` as a receiver sees it."""
    whose = WebhookInstance(id=instance, name=name)
    head: dict[str, Any] = {"id": record.id, "sequence": sequence, "position": record.position}
    match event:
        case MessageReceived():
            return MessageReceivedWebhook(
                timestamp=event.sent_at.astimezone(UTC),
                **head,
                instance=whose,
                whatsapp=sender(event),
                message=said(event) | {"raw": event.raw},
            )
        case MessageEdited():
            return MessageEditedWebhook(
                timestamp=event.edited_at.astimezone(UTC),
                **head,
                instance=whose,
                whatsapp=sender(event),
                message=said(event) | {"raw": event.raw},
            )
        case MessageRevoked():
            return MessageRevokedWebhook(
                timestamp=event.revoked_at.astimezone(UTC),
                **head,
                instance=whose,
                whatsapp=sender(event),
                by_admin=event.by_admin,
            )
        case MessageUndecryptable():
            return MessageUndecryptableWebhook(
                timestamp=(event.sent_at or record.recorded_at).astimezone(UTC),
                **head,
                instance=whose,
                whatsapp=sender(event),
                unavailable=event.unavailable,
            )
        case CallReceived():
            return CallReceivedWebhook(
                timestamp=event.called_at.astimezone(UTC),
                **head,
                instance=whose,
                call=WebhookCall(
                    id=event.call_id, jid=event.jid, jid_alt=event.jid_alt, group=event.group, video=event.video
                ),
            )
        case MessageSent():
            return MessageSentWebhook(
                timestamp=event.sent_at.astimezone(UTC),
                **head,
                instance=whose,
                whatsapp=WebhookMessageId(jid=event.jid, message_id=event.message_id),
                message=said(event),
                command_id=event.command_id,
            )
        case MessageFailed() | MessageOutcomeUnknown():
            return MessageFailedWebhook(
                timestamp=record.recorded_at.astimezone(UTC),
                **head,
                instance=whose,
                failure=failure(event),
            )
        case MessageAcknowledged():
            return MessageAckWebhook(
                timestamp=record.recorded_at.astimezone(UTC),
                **head,
                instance=whose,
                whatsapp=WebhookMessageId(
                    jid=event.jid, message_id=event.message_id, participant=event.participant or UNSET
                ),
                ack=WebhookAck(status=event.ack, name=event.ack.name.lower()),
            )
        case GroupJoined():
            return GroupJoinedWebhook(
                timestamp=record.recorded_at.astimezone(UTC),
                **head,
                instance=whose,
                group=WebhookGroup(
                    jid=event.jid,
                    subject=event.subject,
                    description=event.description,
                    participants=event.participants,
                ),
                reason=event.reason,
            )
        case GroupUpdated():
            return GroupUpdatedWebhook(
                timestamp=event.changed_at.astimezone(UTC),
                **head,
                instance=whose,
                group=group_change(event),
            )
        case PresenceChanged():
            return PresenceChangedWebhook(
                timestamp=record.recorded_at.astimezone(UTC),
                **head,
                instance=whose,
                presence=presence(event),
            )
        case StatusEvent():
            status, reason = status_after(event)
            return InstanceStatusWebhook(
                timestamp=record.recorded_at.astimezone(UTC),
                **head,
                instance=WebhookStatus(id=instance, name=name, status=status, previous=event.previous),
                reason=reason,
            )
        case _:
            assert_never(event)


def sender(event: FromOutside) -> WebhookSender:
    """Where it came from."""
    return WebhookSender(
        jid=event.jid,
        jid_alt=event.jid_alt,
        message_id=event.message_id,
        push_name=event.push_name,
        participant=event.participant or UNSET,
    )


def said(event: MessageReceived | MessageEdited | MessageSent) -> dict[str, Any]:
    """What a message says, flat: its type, its text, and whatever else belongs to the type."""
    return {"type": event.kind, "text": event.text, **msgspec.json.decode(event.content)}
