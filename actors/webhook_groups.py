"""What a webhook receiver is told of groups."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from chatbot_erp.actors.webhook_shape import Shape, WebhookEvent, WebhookInstance
from chatbot_erp.eventstore.events import GroupUpdated


class WebhookGroup(Shape, frozen=True, kw_only=True):
    """Which group, as it is called and who is in it. People are jids, or LIDs where WhatsApp shows no number."""

    jid: Annotated[str, Meta(examples=["120363000000000000@g.us"])]
    subject: str
    description: str
    participants: tuple[str, ...]


class WebhookGroupChange(Shape, frozen=True, kw_only=True):
    """What is different in a group. Settings that are not there stayed as they were."""

    jid: Annotated[str, Meta(examples=["120363000000000000@g.us"])]
    by: Annotated[str | None, Meta(description="Who changed it, where WhatsApp says so.")]
    subject: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    announce: Annotated[bool | UnsetType, Meta(description="Only admins write.")] = UNSET
    locked: Annotated[bool | UnsetType, Meta(description="Only admins edit.")] = UNSET
    ephemeral: Annotated[int | UnsetType, Meta(description="Messages vanish after so many seconds; 0: never.")] = UNSET
    joined: tuple[str, ...]
    left: tuple[str, ...]
    promoted: tuple[str, ...]
    demoted: tuple[str, ...]
    invite_reset: bool
    deleted: bool


class GroupJoinedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="group.joined"):
    """The number is in a group now: founded by it, added to it, or by an invitation (`reason` "invite")."""

    instance: WebhookInstance
    group: WebhookGroup
    reason: str


class GroupUpdatedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="group.updated"):
    """Somebody changed a group of the number: its members, its name, its settings."""

    instance: WebhookInstance
    group: WebhookGroupChange


def group_change(event: GroupUpdated) -> WebhookGroupChange:
    """What a change of a group is told as."""
    return WebhookGroupChange(
        jid=event.jid,
        by=event.by,
        subject=UNSET if event.subject is None else event.subject,
        description=UNSET if event.description is None else event.description,
        announce=UNSET if event.announce is None else event.announce,
        locked=UNSET if event.locked is None else event.locked,
        ephemeral=UNSET if event.ephemeral_s is None else event.ephemeral_s,
        joined=event.joined,
        left=event.left,
        promoted=event.promoted,
        demoted=event.demoted,
        invite_reset=event.invite_reset,
        deleted=event.deleted,
    )
