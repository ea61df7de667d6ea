"""What everything that a webhook receiver is told has in common."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Jid = Annotated[str, Meta(examples=["559199999999@s.whatsapp.net"])]


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The common root of everything that a receiver is told."""


class WebhookInstance(Shape, frozen=True, kw_only=True):
    """Whose event it is."""

    id: Id
    name: str


class WebhookNotice(Shape, frozen=True, kw_only=True, tag_field="event"):
    """What all have in common. `id` stays the same through all retries and replays."""

    id: Id
    timestamp: Annotated[datetime, Meta(tz=True)]


class WebhookEvent(WebhookNotice, frozen=True, kw_only=True):
    """Something that has happened."""

    sequence: Annotated[int, Meta(description="Counts what the instance has to tell, without gaps.")]
    position: Annotated[int, Meta(description="Place in the log: what `replay` and `resend` take.")]
