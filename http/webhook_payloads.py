"""What a webhook receiver is sent, for the API document."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from chatbot_erp.eventstore.events import Ack, Status
from chatbot_erp.http.payloads import Id, Jid, Moment, Name, Payload


class WebhookInstance(Payload, frozen=True, kw_only=True):
    """Whose event it is."""

    id: Id
    name: Name


class WebhookStatus(WebhookInstance, frozen=True, kw_only=True):
    """Whose status changed, and how."""

    status: Status | None
    previous: Status | None


class WebhookSender(Payload, frozen=True, kw_only=True):
    """Where a message came from; `jid` and `jidAlt` are two addresses of one chat."""

    jid: Jid
    jid_alt: str | None
    message_id: str
    push_name: str


class WebhookMessageId(Payload, frozen=True, kw_only=True):
    """Which message it is about."""

    jid: Jid
    message_id: str


class WebhookText(Payload, frozen=True, kw_only=True):
    """What was said."""

    type: Annotated[str, Meta(examples=["text"])]
    text: Annotated[str, Meta(examples=["Olá"])]


class WebhookReceivedText(WebhookText, frozen=True, kw_only=True):
    """What was said, and the WhatsApp message as JSON."""

    raw: dict[str, Any]


class WebhookAck(Payload, frozen=True, kw_only=True):
    """How far a message has come."""

    status: Ack
    name: Annotated[str, Meta(examples=["delivered"])]


class WebhookEvent(Payload, frozen=True, kw_only=True):
    """What all have in common. `id` stays the same through all retries and replays."""

    id: Id
    timestamp: Moment
    sequence: Annotated[int, Meta(description="Counts the deliveries of the instance, without gaps.")]


class MessageReceivedWebhook(WebhookEvent, frozen=True, kw_only=True):
    """Someone else wrote."""

    event: Literal["message.received"]
    instance: WebhookInstance
    whatsapp: WebhookSender
    message: WebhookReceivedText


class MessageSentWebhook(WebhookEvent, frozen=True, kw_only=True):
    """WhatsApp's server acknowledged a message."""

    event: Literal["message.sent"]
    instance: WebhookInstance
    whatsapp: WebhookMessageId
    message: WebhookText


class MessageAckWebhook(WebhookEvent, frozen=True, kw_only=True):
    """A message was delivered, read, played, or failed."""

    event: Literal["message.ack"]
    instance: WebhookInstance
    whatsapp: WebhookMessageId
    ack: WebhookAck


class InstanceStatusWebhook(WebhookEvent, frozen=True, kw_only=True):
    """The status of an instance changed."""

    event: Literal["instance.status"]
    instance: WebhookStatus
    reason: str | None


WEBHOOKS: dict[str, type[WebhookEvent]] = {
    "message.received": MessageReceivedWebhook,
    "message.sent": MessageSentWebhook,
    "message.ack": MessageAckWebhook,
    "instance.status": InstanceStatusWebhook,
}

WEBHOOK_HEADERS = {
    "webhook-id": "The event's id: the same on every retry.",
    "webhook-timestamp": "When this attempt was made, in Unix seconds.",
    "webhook-signature": "Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.",
    "X-Instance-Id": "The instance's id.",
    "X-Instance-Name": "The instance's name.",
}
