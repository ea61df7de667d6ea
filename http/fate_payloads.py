"""The JSON of what became of messages."""

from typing import Annotated

from msgspec import Meta

from chatbot_erp.actors.errors import OF_FAILURE, ManagerError, OutcomeUnknown
from chatbot_erp.actors.fates import Fate, Step, Story
from chatbot_erp.eventstore.events import Ack
from chatbot_erp.http.payloads import Id, Moment, Payload


class AcceptedMessage(Payload, frozen=True, kw_only=True):
    """A message on record that is sent as soon as can be; `location` tells what has become of it."""

    id: Annotated[Id, Meta(description="Names the message until WhatsApp does: `commandId` in what is told of it.")]
    status: Annotated[str, Meta(description="Always `accepted`.", examples=["accepted"])]
    location: Annotated[
        str,
        Meta(
            description="The path that tells what has become of it.",
            examples=["/instances/empresa_x/messages/6f1c2f0e-8a53-4c57-9a55-0f6d6e0a9b11"],
        ),
    ]


class MessageFate(Payload, frozen=True, kw_only=True):
    """What became of a message."""

    id: Annotated[str | None, Meta(description="The id that a 202 gave; null for what was received.")]
    message_id: Annotated[str | None, Meta(description="WhatsApp's id; null until the server has the message.")]
    jid: Annotated[
        str, Meta(description="The chat; the number as it was accepted until WhatsApp has named the account.")
    ]
    fate: Annotated[Fate, Meta(description="How far it has come; in a group the farthest that anybody has.")]
    status: Annotated[
        Ack | None, Meta(description="The acknowledgement, 0 error to 4 played; null before there is one.")
    ]
    type: Annotated[
        str | None,
        Meta(
            description="Not the message's, but that of the problem it came to, as a caller who waits gets it; null where it"
            " came to none.",
            examples=["/problems/not-on-whatsapp"],
        ),
    ]
    reason: Annotated[
        str | None,
        Meta(description="The log's word for why it was not sent or is unknown; else null."),
    ]
    at: Annotated[Moment, Meta(description="When `fate` last changed.")]
    steps: Annotated[list[Step], Meta(description="What has happened to it, in order.")]


def accepted(name: str, command_id: str) -> AcceptedMessage:
    return AcceptedMessage(id=command_id, status="accepted", location=f"/instances/{name}/messages/{command_id}")


def fate(story: Story) -> MessageFate:
    message = story.message
    error: type[ManagerError] | None = None
    if message.fate is Fate.UNKNOWN:
        error = OutcomeUnknown
    elif message.fate is Fate.FAILED:
        error = OF_FAILURE.get(message.reason or "", OF_FAILURE["refused"])
    return MessageFate(
        id=message.command_id,
        message_id=message.message_id,
        jid=message.jid,
        fate=message.fate,
        status=Ack.ERROR if message.fate is Fate.FAILED else message.ack,
        type=f"/problems/{error.code}" if error else None,
        reason=message.reason,
        at=message.at,
        steps=list(story.steps),
    )
