"""What a webhook receiver is told of messages that were not acknowledged."""

from typing import Annotated, Literal, assert_never

from msgspec import Meta

from chatbot_erp.actors.errors import OF_FAILURE, OutcomeUnknown, WhatsAppRefused
from chatbot_erp.actors.webhook_shape import Shape, WebhookEvent, WebhookInstance
from chatbot_erp.eventstore.events import MessageFailed, MessageOutcomeUnknown


class WebhookFailure(Shape, frozen=True, kw_only=True):
    """A send that got no acknowledgement, and why."""

    command_id: Annotated[str, Meta(description="The id that a send got which was answered with 202.")]
    outcome: Annotated[
        Literal["failed", "unknown"],
        Meta(description="`failed`: certainly not sent. `unknown`: nobody can say; it is never repeated by itself."),
    ]
    type: Annotated[
        str,
        Meta(
            description="That of the problem it came to, as a caller who waits gets it.",
            examples=["/problems/not-on-whatsapp"],
        ),
    ]
    detail: Annotated[str, Meta(description="Why, for people.")]


class MessageFailedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="message.failed"):
    """A message was not sent, or nobody can say whether it was. It has no WhatsApp id.

    Where WhatsApp refused it, `message.ack` with 0 follows; of another that was not sent no ack will come.
    """

    instance: WebhookInstance
    failure: WebhookFailure


def failure(event: MessageFailed | MessageOutcomeUnknown) -> WebhookFailure:
    """Why there is no acknowledgement."""
    match event:
        case MessageFailed(command_id=command_id, reason=reason, detail=detail):
            code = OF_FAILURE.get(reason, WhatsAppRefused).code
            return WebhookFailure(command_id=command_id, outcome="failed", type=f"/problems/{code}", detail=detail)
        case MessageOutcomeUnknown(command_id=command_id, reason=reason):
            type_ = f"/problems/{OutcomeUnknown.code}"
            return WebhookFailure(command_id=command_id, outcome="unknown", type=type_, detail=reason)
        case _:
            assert_never(event)
