"""What everything that a webhook receiver is told has in common."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Jid = Annotated[
    str,
    Meta(
        description="The chat: `…@s.whatsapp.net` or `…@lid` of a person, `…@g.us` of a group.",
        examples=["559199999999@s.whatsapp.net"],
    ),
]
Person = Annotated[Jid, Meta(description="Who it is: `…@s.whatsapp.net`, or `…@lid` where no number is shown.")]
JidAlt = Annotated[
    str | None, Meta(description="The same one's other address, LID or number; null where it is not known.")
]


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The common root of everything that a receiver is told."""


class WebhookInstance(Shape, frozen=True, kw_only=True):
    """Whose event it is."""

    id: Annotated[Id, Meta(description="The instance's id, a UUID.")]
    name: Annotated[str, Meta(description="The instance's name.")]


class WebhookNotice(Shape, frozen=True, kw_only=True, tag_field="event"):
    """What all have in common."""

    id: Annotated[Id, Meta(description="The event's own: the same through all retries and replays.")]
    timestamp: Annotated[
        datetime, Meta(tz=True, description="When it happened: by WhatsApp's clock where it says so, else by ours.")
    ]


class WebhookEvent(WebhookNotice, frozen=True, kw_only=True):
    """Something that has happened."""

    sequence: Annotated[int, Meta(description="Counts what the instance has to tell, without gaps.")]
    position: Annotated[int, Meta(description="Place in the log: what `replay` and `resend` take.")]
