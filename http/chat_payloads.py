"""The JSON of read marks and presence."""

from typing import Annotated, Literal

from msgspec import Meta

from chatbot_erp.actors.questions import Activity
from chatbot_erp.http.payloads import Payload


class ReadRequest(Payload, frozen=True, kw_only=True):
    """Messages that were received, and read."""

    message_ids: Annotated[
        tuple[str, ...], Meta(min_length=1, max_length=100, description="WhatsApp's ids, of any chats.")
    ]
    played: Annotated[bool, Meta(description="They are voice messages, and were heard.")] = False


class ActivityRequest(Payload, frozen=True, kw_only=True):
    """What the number is seen doing in a chat. WhatsApp shows it for some seconds."""

    state: Annotated[Activity, Meta(description="`paused` ends the other two.")]


class PresenceRequest(Payload, frozen=True, kw_only=True):
    """Whether the number is shown as online."""

    state: Annotated[Literal["available", "unavailable"], Meta(description="`available`: it is shown as online.")]
