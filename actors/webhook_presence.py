"""What a webhook receiver is told of people it wants to hear about."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from chatbot_erp.actors.webhook_shape import JidAlt, Person, Shape, WebhookEvent, WebhookInstance
from chatbot_erp.eventstore.events import PresenceChanged, PresenceState


class WebhookPresence(Shape, frozen=True, kw_only=True):
    """Who, and what of them."""

    jid: Person
    jid_alt: JidAlt
    state: Annotated[
        PresenceState, Meta(description="`available` has WhatsApp open; `paused` ends typing or recording.")
    ]
    last_seen: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="Where an unavailable person shows it.")
    ]


class PresenceChangedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="presence.changed"):
    """Somebody whose presence was asked for has WhatsApp open now, or no more, types, records or has stopped."""

    instance: WebhookInstance
    presence: WebhookPresence


def presence(event: PresenceChanged) -> WebhookPresence:
    """What has changed."""
    last_seen = event.last_seen.astimezone(UTC) if event.last_seen else None
    return WebhookPresence(jid=event.jid, jid_alt=event.jid_alt, state=event.state, last_seen=last_seen)
