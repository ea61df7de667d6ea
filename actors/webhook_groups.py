"""What a webhook receiver is told of groups."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from chatbot_erp.actors.webhook_shape import Shape, WebhookEvent, WebhookInstance
from chatbot_erp.eventstore.events import GroupUpdated

GroupJid = Annotated[str, Meta(description="The group's address.", examples=["120363000000000000@g.us"])]


class WebhookGroup(Shape, frozen=True, kw_only=True):
    """Which group, as it is called and who is in it. People are jids, or LIDs where WhatsApp shows no number."""

    jid: GroupJid
    subject: Annotated[str, Meta(description="Its name.")]
    description: Annotated[str, Meta(description="What it is for; empty where nobody has said.")]
    participants: Annotated[tuple[str, ...], Meta(description="Everybody in it.")]


class WebhookGroupChange(Shape, frozen=True, kw_only=True):
    """What is different in a group. Settings that are not there stayed as they were."""

    jid: GroupJid
    by: Annotated[str | None, Meta(description="Who changed it; null where WhatsApp does not say.")]
    subject: Annotated[str | UnsetType, Meta(description="Its new name.")] = UNSET
    description: Annotated[str | UnsetType, Meta(description="What it is for now; empty: nobody says.")] = UNSET
    announce: Annotated[bool | UnsetType, Meta(description="Only admins write.")] = UNSET
    locked: Annotated[bool | UnsetType, Meta(description="Only admins edit.")] = UNSET
    ephemeral: Annotated[int | UnsetType, Meta(description="Messages vanish after so many seconds; 0: never.")] = UNSET
    joined: Annotated[tuple[str, ...], Meta(description="Who came, or was added.")]
    left: Annotated[tuple[str, ...], Meta(description="Who went, or was removed.")]
    promoted: Annotated[tuple[str, ...], Meta(description="Who is an admin now.")]
    demoted: Annotated[tuple[str, ...], Meta(description="Who is no admin any more.")]
    invite_reset: Annotated[bool, Meta(description="The invitation link is another one; the link itself is not told.")]
    deleted: Annotated[bool, Meta(description="There is no such group any more.")]


class GroupJoinedWebhook(WebhookEvent, frozen=True, kw_only=True, tag="group.joined"):
    """The number is in a group now: founded by it, added to it, or by an invitation."""

    instance: WebhookInstance
    group: WebhookGroup
    reason: Annotated[str, Meta(description="`invite` where it came by an invitation, else empty.")]


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
