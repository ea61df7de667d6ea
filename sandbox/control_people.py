"""What a test can ask of phones besides messages: profiles, blocking, groups. Numbers are digits, groups JIDs."""

from __future__ import annotations

from typing import Literal

from chatbot_erp.sandbox.control_frames import Frame, Request


class MemberView(Frame, frozen=True):
    """Somebody in a group, by number; `rank` is "", "admin" or "superadmin"."""

    number: str
    rank: str


class GroupView(Frame, frozen=True):
    """A group as the network knows it. `invite` is the code behind https://chat.whatsapp.com/."""

    jid: str
    subject: str
    description: str
    announce: bool
    locked: bool
    ephemeral_s: int
    picture_id: str | None
    invite: str
    members: list[MemberView]


class SetProfile(Request, frozen=True):
    """What is None stays; `picture` is a JPEG."""

    number: str
    about: str | None = None
    picture: bytes | None = None
    picture_hidden: bool | None = None
    joins_when_added: bool | None = None


class Block(Request, frozen=True):
    number: str
    other: str
    blocked: bool


class CreateGroup(Request, frozen=True):
    number: str
    subject: str
    members: list[str]


class ReadGroup(Request, frozen=True):
    group: str


class ChangeMembers(Request, frozen=True):
    number: str
    group: str
    change: Literal["add", "remove", "promote", "demote"]
    others: list[str]


class ChangeGroup(Request, frozen=True):
    """What is None stays."""

    number: str
    group: str
    subject: str | None = None
    description: str | None = None
    announce: bool | None = None
    locked: bool | None = None


class JoinGroup(Request, frozen=True):
    number: str
    invite: str


class LeaveGroup(Request, frozen=True):
    number: str
    group: str


class SayInGroup(Request, frozen=True):
    number: str
    group: str
    text: str


GroupRequest = CreateGroup | ReadGroup | ChangeMembers | ChangeGroup | JoinGroup | LeaveGroup | SayInGroup
PeopleRequest = SetProfile | Block | GroupRequest
