"""What the sandbox's controls take and give."""

from typing import Annotated, Literal

from msgspec import Meta

from chatbot_erp.http.payloads import MessageId, Number, Payload

FaultName = Literal[
    "drop", "stream_error", "replaced", "logged_out", "silence", "refuse", "banned", "slow_acks", "refuse_send"
]


class ScanRequest(Payload, frozen=True, kw_only=True):
    """The phone that shall scan the instance's code."""

    number: Number


class ContactMessageRequest(Payload, frozen=True, kw_only=True):
    """A text, and the contact who sends it to the instance."""

    number: Number
    message: Annotated[str, Meta(description="The words.", examples=["Olá!"])]


class ContactMessage(Payload, frozen=True, kw_only=True):
    """The message is on its way to the instance."""

    message_id: MessageId


class FaultRequest(Payload, frozen=True, kw_only=True):
    """What shall go wrong."""

    fault: Annotated[
        FaultName,
        Meta(
            description="`silence`, `refuse` and `slow_acks` last until all are ended; the others happen once.",
        ),
    ]
