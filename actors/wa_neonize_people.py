"""Questions about people and groups, put to neonize.

The calls are those of neonize 0.5.2's `NewClient`, what they lead to is whatsmeow's user.go and group.go. Found out
about them: neonize hands a string with a NUL on only up to there; it calls a group's time to live a timedelta and takes
it for nanoseconds; of a picture's error it raises the whole answer; what it knows of a person has no LID, which then
stands in the library's own store.
"""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from neonize.exc import NeonizeError  # type: ignore[import-untyped]
from neonize.proto.Neonize_pb2 import GetProfilePictureParams  # type: ignore[import-untyped]
from neonize.utils.enum import (  # type: ignore[import-untyped]
    BlocklistAction,
    ChatPresence,
    ChatPresenceMedia,
    ParticipantChange,
    Presence,
    ReceiptType,
)
from neonize.utils.jid import build_jid  # type: ignore[import-untyped]

from chatbot_erp.actors import questions as q
from chatbot_erp.actors.wa_kinds import words
from chatbot_erp.actors.wa_message import jid_text

Call = Callable[..., Any]
"""Calls a method of `NewClient` by its name."""

_NANOSECONDS = 1_000_000_000
NOT_DONE = 404


def answer(call: Call, question: q.AnyQuestion) -> q.AnyAnswer:
    """Ask and wait. People in the question are full jids by now. Raises `NeonizeError`."""
    match question:
        case q.DescribePerson(who=who):
            return _person(call, who)
        case q.FetchPicture(who=who, preview=preview):
            return _picture(call, who, preview=preview)
        case q.ListBlocked():
            return _blocked(call, call("get_blocklist"))
        case q.SetBlocked(who=who, blocked=blocked):
            action = BlocklistAction.BLOCK if blocked else BlocklistAction.UNBLOCK
            return _blocked(call, call("update_blocklist", _jid(who), action))
        case q.SetAbout(text=text):
            call("set_status_message", text)
            return q.Done()
        case q.SetPicture(group=group, image=image):
            call("set_profile_photo", image) if group is None else call("set_group_photo", _jid(group), image)
            return q.Done()
        case q.ListGroups():
            return q.Groups(groups=tuple(_group(group) for group in call("get_joined_groups")))
        case q.DescribeGroup(group=group):
            return _group(call("get_group_info", _jid(group)))
        case q.CreateGroup(subject=subject, participants=participants):
            return _group(call("create_group", subject, [_jid(each) for each in participants]))
        case q.ChangeGroup():
            _change(call, question)
            return _group(call("get_group_info", _jid(question.group)))
        case q.ChangeMembers(group=group, change=change, participants=participants):
            people = [_jid(each) for each in participants]
            changed = call("update_group_participants", _jid(group), people, ParticipantChange(change))
            return q.MembersChanged(results=tuple(_results(participants, changed)))
        case q.FetchInvite(group=group, reset=reset):
            return q.Invite(link=call("get_group_invite_link", _jid(group), reset))
        case q.JoinGroup(invite=invite):
            return q.Joined(group=jid_text(call("join_group_with_link", invite)) or "")
        case q.MarkRead(chat=chat, sender=sender, message_ids=ids, played=played):
            receipt = ReceiptType.PLAYED if played else ReceiptType.READ
            call("mark_read", *ids, chat=_jid(chat), sender=_jid(sender), receipt=receipt)
            return q.Done()
        case q.ShowActivity(chat=chat, activity=activity):
            state = ChatPresence.CHAT_PRESENCE_PAUSED if activity == "paused" else ChatPresence.CHAT_PRESENCE_COMPOSING
            media = ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT
            if activity == "recording":
                media = ChatPresenceMedia.CHAT_PRESENCE_MEDIA_AUDIO
            call("send_chat_presence", _jid(chat), state, media)
            return q.Done()
        case q.ShowPresence(available=available):
            call("send_presence", Presence.AVAILABLE if available else Presence.UNAVAILABLE)
            return q.Done()
        case q.WatchPresence(who=who):
            call("subscribe_presence", _jid(who))
            return q.Watching(person=person_of(call, who))
        case q.LeaveGroup(group=group):
            call("leave_group", _jid(group))
            return q.Done()
        case q.FindPeople():
            raise TypeError("Numbers are looked up through the addresses.")
        case _:
            assert_never(question)


def _change(call: Call, wanted: q.ChangeGroup) -> None:
    group = _jid(wanted.group)
    if wanted.subject is not None:
        call("set_group_name", group, wanted.subject)
    if wanted.description is not None:
        call("set_group_topic", group, "", "", wanted.description)
    if wanted.announce is not None:
        call("set_group_announce", group, wanted.announce)
    if wanted.locked is not None:
        call("set_group_locked", group, wanted.locked)
    if wanted.ephemeral_s is not None:
        call("set_disappearing_timer", group, wanted.ephemeral_s * _NANOSECONDS)


def _person(call: Call, who: str) -> q.Person:
    jid = _jid(who)
    info = next((each.UserInfo for each in call("get_user_info", jid)), None)
    contact = call("contact_of", jid)
    picture = None
    if info is not None and info.PictureID:
        try:
            picture = _picture(call, who, preview=False)
        except NeonizeError:
            # Somebody may hide the picture and still show that there is one.
            picture = None
    known = person_of(call, who)
    return q.Person(
        jid=known.jid or who,
        lid=known.lid,
        about=words(info.Status) if info is not None else "",
        picture=picture,
        push_name=words(contact.PushName),
        business_name=words(contact.BusinessName),
        devices=len(info.Devices) if info is not None else 0,
    )


def person_of(call: Call, jid: str) -> q.Known:
    """Both addresses of a person, as far as the library's store knows them."""
    if jid.endswith("@lid"):
        return q.Known(number=jid, jid=_stored(call, "get_pn_from_lid", jid), lid=jid)
    return q.Known(number=jid, jid=jid, lid=_stored(call, "get_lid_from_pn", jid))


def _stored(call: Call, look_up: str, jid: str) -> str | None:
    try:
        return jid_text(call(look_up, _jid(jid)))
    except NeonizeError:
        return None


def _picture(call: Call, who: str, *, preview: bool) -> q.Picture:
    found = call("get_profile_picture", _jid(who), GetProfilePictureParams(Preview=preview))
    return q.Picture(id=found.ID, url=found.URL)


def _blocked(call: Call, blocklist: Any) -> q.Blocked:
    jids = filter(None, (jid_text(jid) for jid in blocklist.JIDs))
    return q.Blocked(people=tuple(person_of(call, jid) for jid in jids), version=blocklist.DHash)


def _group(info: Any) -> q.Group:
    return q.Group(
        jid=jid_text(info.JID) or "",
        subject=words(info.GroupName.Name),
        description=words(info.GroupTopic.Topic),
        owner=jid_text(info.OwnerPN) or jid_text(info.OwnerJID),
        announce=info.GroupAnnounce.IsAnnounce,
        locked=info.GroupLocked.isLocked,
        ephemeral_s=info.GroupEphemeral.DisappearingTimer,
        members=tuple(_member(each) for each in info.Participants),
    )


def _member(participant: Any) -> q.Member:
    rank: q.Rank = "superadmin" if participant.IsSuperAdmin else "admin" if participant.IsAdmin else "member"
    return q.Member(jid=jid_text(participant.PhoneNumber), lid=jid_text(participant.LID), rank=rank)


def _results(wanted: tuple[str, ...], changed: Iterable[Any]) -> Iterable[q.MemberResult]:
    """WhatsApp answers with whichever address it likes; whom it leaves out it has done nothing to."""
    errors = {
        address: each.Error
        for each in changed
        for address in (jid_text(each.JID), jid_text(each.PhoneNumber), jid_text(each.LID))
    }
    for participant in wanted:
        yield q.MemberResult(participant=participant, error=errors.get(participant, NOT_DONE))


def _jid(text: str) -> Any:
    user, _, server = text.partition("@")
    return build_jid(user.partition(":")[0], server)
