"""What a phone does besides writing to one person: its profile, whom it blocks, and its groups."""

from __future__ import annotations

from typing import Literal

from chatbot_erp.sandbox import control_people as words
from chatbot_erp.sandbox.control_connection import ConnectionPool
from chatbot_erp.sandbox.control_people import GroupView


class People:
    """The part of a `Phone` that knows other people. Groups go by their JIDs; a refusal raises SandboxError."""

    _pool: ConnectionPool
    number: str

    def set_profile(
        self,
        *,
        about: str | None = None,
        picture: bytes | None = None,
        picture_hidden: bool | None = None,
        joins_when_added: bool | None = None,
    ) -> None:
        """Change what others see: the "about" text, the picture (a JPEG), and whether strangers see that one.

        With `joins_when_added=False` whoever adds this number to a group may only invite it.
        """
        request = words.SetProfile(
            number=self.number,
            about=about,
            picture=picture,
            picture_hidden=picture_hidden,
            joins_when_added=joins_when_added,
        )
        self._pool.ask(request, type(None))

    def block(self, other: str, *, blocked: bool = True) -> None:
        """Hear nothing of another number any more, or again. The companions are told."""
        self._pool.ask(words.Block(number=self.number, other=other, blocked=blocked), type(None))

    def create_group(self, subject: str, *members: str) -> GroupView:
        """Found a group with these numbers in it."""
        return self._pool.ask(words.CreateGroup(number=self.number, subject=subject, members=list(members)), GroupView)

    def group(self, jid: str) -> GroupView:
        """A group as the network sees it now, whether this phone is in it or not."""
        return self._pool.ask(words.ReadGroup(group=jid), GroupView)

    def change_members(
        self, group: str, change: Literal["add", "remove", "promote", "demote"], *others: str
    ) -> GroupView:
        """Add, remove, promote or demote numbers; whom it cannot be done to is left as they are."""
        request = words.ChangeMembers(number=self.number, group=group, change=change, others=list(others))
        return self._pool.ask(request, GroupView)

    def change_group(
        self,
        group: str,
        *,
        subject: str | None = None,
        description: str | None = None,
        announce: bool | None = None,
        locked: bool | None = None,
    ) -> GroupView:
        """Change what the group is called, what is said of it, and what only its admins may do."""
        request = words.ChangeGroup(
            number=self.number, group=group, subject=subject, description=description, announce=announce, locked=locked
        )
        return self._pool.ask(request, GroupView)

    def join_group(self, invite: str) -> GroupView:
        """Enter by an invitation link, or the code in it."""
        return self._pool.ask(words.JoinGroup(number=self.number, invite=invite), GroupView)

    def leave_group(self, group: str) -> None:
        self._pool.ask(words.LeaveGroup(number=self.number, group=group), type(None))

    def say_in_group(self, group: str, text: str) -> str:
        """Write to a group. Returns the message's id."""
        return self._pool.ask(words.SayInGroup(number=self.number, group=group, text=text), str)
