"""What neonize's events say of groups and of the block list, as observations. By shape: this file needs no neonize.

Known of them (goneonize/utils/encoder.go): the one about joining does not say who added us, and of its `Type` it makes
a copy of its reason; a change of the approval mode does not arrive.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from chatbot_erp.actors.people_frames import SocketJoinedGroup, SocketSawBlocklist, SocketSawGroupChange
from chatbot_erp.actors.wa_kinds import words
from chatbot_erp.actors.wa_message import jid_text
from chatbot_erp.eventstore.events import BlocklistChanged, GroupJoined, GroupUpdated

Protobuf = Any

_BLOCK = 1


def joined(event: Protobuf) -> SocketJoinedGroup | None:
    """This number is in a group now."""
    info = event.GroupInfo
    jid = jid_text(info.JID)
    if jid is None:
        return None
    members = (jid_text(each.PhoneNumber) or jid_text(each.LID) or jid_text(each.JID) for each in info.Participants)
    return SocketJoinedGroup(
        version=words(info.ParticipantVersionID),
        joined=GroupJoined(
            jid=jid,
            subject=words(info.GroupName.Name),
            description=words(info.GroupTopic.Topic),
            participants=tuple(filter(None, members)),
            reason=words(event.Reason),
        ),
    )


def changed(event: Protobuf) -> SocketSawGroupChange | None:
    """Somebody changed a group; None where it is nothing that is on record."""
    jid = jid_text(event.JID)
    if jid is None:
        return None
    change = GroupUpdated(
        jid=jid,
        by=jid_text(event.Sender),
        changed_at=datetime.fromtimestamp(event.Timestamp, UTC),
        subject=words(event.Name.Name) if event.HasField("Name") else None,
        description=words(event.Topic.Topic) if event.HasField("Topic") else None,
        announce=event.Announce.IsAnnounce if event.HasField("Announce") else None,
        locked=event.Locked.isLocked if event.HasField("Locked") else None,
        ephemeral_s=event.Ephemeral.DisappearingTimer if event.HasField("Ephemeral") else None,
        joined=_jids(event.Join),
        left=_jids(event.Leave),
        promoted=_jids(event.Promote),
        demoted=_jids(event.Demote),
        invite_reset=event.HasField("NewInviteLink"),
        deleted=event.HasField("Delete"),
    )
    nothing = GroupUpdated(jid=jid, by=change.by, changed_at=change.changed_at, **_UNCHANGED)
    return None if change == nothing else SocketSawGroupChange(change=change)


def blocklist(event: Protobuf) -> SocketSawBlocklist | None:
    """The phone changed the block list; None where WhatsApp only says that it is another one now."""
    changes = tuple(
        BlocklistChanged(jid=jid, blocked=each.BlockAction == _BLOCK, version=event.DHASH)
        for each in event.Changes
        if (jid := jid_text(each.JID)) is not None
    )
    return SocketSawBlocklist(changes=changes) if changes else None


def _jids(jids: Iterable[Protobuf]) -> tuple[str, ...]:
    return tuple(filter(None, map(jid_text, jids)))


_UNCHANGED: dict[str, Any] = {
    "subject": None,
    "description": None,
    "announce": None,
    "locked": None,
    "ephemeral_s": None,
    "joined": (),
    "left": (),
    "promoted": (),
    "demoted": (),
    "invite_reset": False,
    "deleted": False,
}
