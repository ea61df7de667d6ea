"""What can be asked of WhatsApp through a number's connection about people and groups, and what it answers.

One kind of order carries every question to the socket host and one kind of word brings the answer back; who adds a
question adds it here and in wa_neonize_people.py. People are full jids, or E.164 digits where it says so.
"""

from typing import Literal

import msgspec

MemberChange = Literal["add", "remove", "promote", "demote"]
Rank = Literal["member", "admin", "superadmin"]
Activity = Literal["typing", "recording", "paused"]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Something within a question or an answer."""


class Question(_Part, frozen=True, kw_only=True, tag=True):
    """The common root of all questions."""


class Answer(_Part, frozen=True, kw_only=True, tag=True):
    """The common root of all answers."""


# people


class FindPeople(Question, frozen=True, kw_only=True):
    """Which of these numbers (digits) are on WhatsApp? Answer: `Found`."""

    numbers: tuple[str, ...]


class DescribePerson(Question, frozen=True, kw_only=True):
    """What does this person (digits or jid) show? Answer: `Person`."""

    who: str


class FetchPicture(Question, frozen=True, kw_only=True):
    """Where is the picture of a person (digits or jid) or a group? Answer: `Picture`."""

    who: str
    preview: bool = False


class ListBlocked(Question, frozen=True, kw_only=True):
    """Whom does this number not want to hear? Answer: `Blocked`."""


class SetBlocked(Question, frozen=True, kw_only=True):
    """Hear a person (digits or jid) no longer, or again. Answer: `Blocked`, with everybody who is blocked then."""

    who: str
    blocked: bool


class SetAbout(Question, frozen=True, kw_only=True):
    """Change this number's own "about" text. Answer: `Done`."""

    text: str


class SetPicture(Question, frozen=True, kw_only=True):
    """Change the picture of a group, or this number's own. `image` is a JPEG. Answer: `Done`."""

    group: str | None
    image: bytes


# chats


class MarkRead(Question, frozen=True, kw_only=True):
    """Tell `sender` (a jid) that these messages of a chat (a jid) were read, or played. Answer: `Done`."""

    chat: str
    sender: str
    message_ids: tuple[str, ...]
    played: bool = False


class ShowActivity(Question, frozen=True, kw_only=True):
    """Be seen typing, recording, or stopping, in a chat (digits or jid). Answer: `Done`."""

    chat: str
    activity: Activity


class ShowPresence(Question, frozen=True, kw_only=True):
    """Be seen as somebody who has WhatsApp open, or not. Answer: `Done`."""

    available: bool


class WatchPresence(Question, frozen=True, kw_only=True):
    """Hear whether somebody (digits or jid) has WhatsApp open, or types; until the connection ends. Answer: `Watching`."""

    who: str


# groups


class ListGroups(Question, frozen=True, kw_only=True):
    """Which groups is this number in? Answer: `Groups`."""


class DescribeGroup(Question, frozen=True, kw_only=True):
    """What is this group? Answer: `Group`."""

    group: str


class CreateGroup(Question, frozen=True, kw_only=True):
    """Found a group with these people (digits or jids). Answer: `Group`."""

    subject: str
    participants: tuple[str, ...]


class ChangeGroup(Question, frozen=True, kw_only=True):
    """Change what is not None, one after the other. `ephemeral_s` 0 keeps messages for ever. Answer: `Group`."""

    group: str
    subject: str | None = None
    description: str | None = None
    announce: bool | None = None
    locked: bool | None = None
    ephemeral_s: int | None = None


class ChangeMembers(Question, frozen=True, kw_only=True):
    """Add, remove, promote or demote people (digits or jids). Answer: `MembersChanged`."""

    group: str
    change: MemberChange
    participants: tuple[str, ...]


class FetchInvite(Question, frozen=True, kw_only=True):
    """The link by which one enters the group; with `reset` the old one is void. Answer: `Invite`."""

    group: str
    reset: bool


class JoinGroup(Question, frozen=True, kw_only=True):
    """Enter by an invitation link or its code. Answer: `Joined`."""

    invite: str


class LeaveGroup(Question, frozen=True, kw_only=True):
    """Go. Answer: `Done`."""

    group: str


AnyQuestion = (
    FindPeople
    | DescribePerson
    | FetchPicture
    | ListBlocked
    | SetBlocked
    | SetAbout
    | SetPicture
    | MarkRead
    | ShowActivity
    | ShowPresence
    | WatchPresence
    | ListGroups
    | DescribeGroup
    | CreateGroup
    | ChangeGroup
    | ChangeMembers
    | FetchInvite
    | JoinGroup
    | LeaveGroup
)

REPEATABLE = (
    FindPeople,
    DescribePerson,
    FetchPicture,
    ListBlocked,
    ListGroups,
    DescribeGroup,
    MarkRead,
    ShowActivity,
    ShowPresence,
    WatchPresence,
)
"""What may be asked again whatever came of it: it changes nothing, or nothing more the second time."""


# answers


class Known(_Part, frozen=True, kw_only=True):
    """A number that was asked about, and who it is; both None: it is not on WhatsApp."""

    number: str
    jid: str | None
    lid: str | None


class Found(Answer, frozen=True, kw_only=True):
    """In the order of the question."""

    people: tuple[Known, ...]


class Watching(Answer, frozen=True, kw_only=True):
    """Whom, by both addresses."""

    person: Known


class Picture(Answer, frozen=True, kw_only=True):
    """An address from which WhatsApp serves it for a while."""

    id: str
    url: str


class Person(Answer, frozen=True, kw_only=True):
    """What a person shows; `picture` is None where there is none or it is hidden, names "" where none is known."""

    jid: str
    lid: str | None
    about: str
    picture: Picture | None
    push_name: str
    business_name: str
    devices: int


class Blocked(Answer, frozen=True, kw_only=True):
    """Everybody who is blocked. `version` is WhatsApp's word for the list as it is now."""

    people: tuple[Known, ...]
    version: str


class Member(_Part, frozen=True, kw_only=True):
    """Somebody in a group; `jid` is None where WhatsApp does not tell the number."""

    jid: str | None
    lid: str | None
    rank: Rank


class Group(Answer, frozen=True, kw_only=True):
    """A group as this number may see it. With `announce` only admins write, with `locked` only they edit."""

    jid: str
    subject: str
    description: str
    owner: str | None
    announce: bool
    locked: bool
    ephemeral_s: int
    members: tuple[Member, ...]


class Groups(Answer, frozen=True, kw_only=True):
    groups: tuple[Group, ...]


class MemberResult(_Part, frozen=True, kw_only=True):
    """What became of one person; `error` is WhatsApp's code (403 invite only, 404 unknown, 409 already so), 0: done."""

    participant: str
    error: int


class MembersChanged(Answer, frozen=True, kw_only=True):
    """In the order of the question."""

    results: tuple[MemberResult, ...]


class Invite(Answer, frozen=True, kw_only=True):
    link: str


class Joined(Answer, frozen=True, kw_only=True):
    """Inside now; or, where an admin must let in first, waiting at the door."""

    group: str


class Done(Answer, frozen=True, kw_only=True):
    """It is so now."""


AnyAnswer = Found | Watching | Picture | Person | Blocked | Group | Groups | MembersChanged | Invite | Joined | Done

Refusal = Literal[
    "not_connected",
    "not_on_whatsapp",
    "not_found",
    "not_permitted",
    "not_accepted",
    "invitation_void",
    "too_many",
    "not_yet",
    "unanswered",
    "refused",
]
"""Why there is no answer. `unanswered`: nobody can say whether it was done. `not_yet`: the library waits for something."""
