"""Groups: who belongs to one, who may do what in it, and what everybody is told of a change.

Source: whatsmeow's group.go, read from the other side. Members go by their LIDs, with the number beside them, as in
all groups that WhatsApp has made since 2025. Which code refuses what is the server's own affair: where whatsmeow
names one (401, 403, 404, 406, 410) that one is used.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chatbot_erp.sandbox import letters
from chatbot_erp.sandbox.jid import GROUP, LID, Jid
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.refusals import CONFLICT, FORBIDDEN, NOT_ACCEPTABLE, NOT_ALLOWED, NOT_FOUND, QueryRefused

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account, Companion
    from chatbot_erp.sandbox.network import NetworkState
    from chatbot_erp.sandbox.profiles import Picture

Change = Literal["add", "remove", "promote", "demote"]
Rank = Literal["", "admin", "superadmin"]
LONGEST_SUBJECT = 100


@dataclass(slots=True)
class Member:
    account: Account
    rank: Rank = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A text that somebody gave the group, and when: its subject or its description."""

    text: str
    by: Account
    at: int
    id: str = ""


class Group:
    """A group in memory. What refuses, raises `QueryRefused`; what happens, is told to the members' companions."""

    def __init__(self, creator: Account, subject: str) -> None:
        self.jid = Jid(f"1203630{secrets.randbelow(10**11):011d}", GROUP)
        self.creator = creator
        self.created_at = int(time.time())
        self.members: dict[str, Member] = {creator.lid: Member(creator, "superadmin")}
        self.version = 1
        self.subject = Said(_subject(subject), creator, self.created_at)
        self.description: Said | None = None
        self.announce = False
        self.locked = False
        self.ephemeral_s = 0
        self.invite = new_code()
        self.picture: Picture | None = None

    def must_have(self, account: Account) -> Member:
        """The member. Raises 403 for everybody else."""
        member = self.members.get(account.lid)
        if member is None:
            raise QueryRefused(FORBIDDEN)
        return member

    def must_lead(self, account: Account) -> None:
        """Raises 403 for all but admins."""
        if not self.must_have(account).rank:
            raise QueryRefused(FORBIDDEN)

    def may_write(self, account: Account) -> bool:
        """Whether a message of this account is let through."""
        member = self.members.get(account.lid)
        return member is not None and (bool(member.rank) or not self.announce)

    def change_members(
        self, network: NetworkState, by: Account, change: Change, others: list[Account | None]
    ) -> list[tuple[Account | None, int]]:
        """Whom it was done to, and the code of the refusal where there is one (0: done)."""
        if change == "add":
            self.must_have(by)
        else:
            self.must_lead(by)
        results = [(other, self._refusal(change, other)) for other in others]
        done = [other for other, refusal in results if other is not None and not refusal]
        audience = self.companions()
        for other in done:
            self._apply(change, other)
        if done:
            self.tell(network, by, self._news(change, done), audience)
        if change == "add":
            for other in done:
                self.welcome(network, by, other)
        if change == "remove":
            self._renew_keys()
        return results

    def admit(self, network: NetworkState, account: Account) -> None:
        """Somebody comes in by an invitation."""
        audience = self.companions()
        self.members[account.lid] = Member(account)
        self.tell(network, account, self._news("add", [account], reason="invite"), audience)
        self.welcome(network, account, account, reason="invite")

    def leave(self, network: NetworkState, account: Account) -> None:
        """Somebody goes of their own accord."""
        self.must_have(account)
        audience = self.companions()
        del self.members[account.lid]
        self.tell(network, account, self._news("remove", [account]), audience)
        self._renew_keys()

    def rename(self, network: NetworkState, by: Account, subject: str) -> None:
        self._may_edit(by)
        self.subject = Said(_subject(subject), by, int(time.time()))
        said: dict[str, Value] = {"subject": subject, "s_t": str(self.subject.at), "s_o": by.lid_jid, "s_o_pn": by.jid}
        self.tell(network, by, Node("subject", said))

    def describe(self, network: NetworkState, by: Account, text: str | None, text_id: str, previous: str) -> None:
        """Set the description; it is a 409 where `previous` is not the id of the present one."""
        self._may_edit(by)
        if previous != (self.description.id if self.description else ""):
            raise QueryRefused(CONFLICT)
        self.description = Said(text, by, int(time.time()), text_id) if text else None
        body = Node("body", {}, text.encode()) if text else Node("delete")
        self.tell(network, by, Node("description", {"id": text_id}, [body]))

    def set(self, network: NetworkState, by: Account, setting: Node) -> None:
        """One of the settings that only admins may change, by the node that stands for it."""
        self.must_lead(by)
        attrs: dict[str, Value] = {}
        match setting.tag:
            case "announcement" | "not_announcement":
                self.announce = setting.tag == "announcement"
                attrs = {"v_id": str(time.time_ns())}
            case "locked" | "unlocked":
                self.locked = setting.tag == "locked"
            case "ephemeral" | "not_ephemeral":
                self.ephemeral_s = int(setting.text("expiration") or 0)
                attrs = {"expiration": str(self.ephemeral_s)} if setting.tag == "ephemeral" else {}
        self.tell(network, by, Node(setting.tag, attrs))

    def set_picture(self, network: NetworkState, by: Account, picture: Picture | None) -> None:
        self._may_edit(by)
        self.picture = picture
        attrs: dict[str, Value] = {"jid": self.jid, "author": by.lid_jid}
        news = Node("set", {**attrs, "id": picture.id}) if picture else Node("delete", attrs)
        for companion in self.companions():
            letters.notify(network, companion, {"from": self.jid, "type": "picture"}, [news])

    def reset_invite(self, network: NetworkState, by: Account) -> None:
        self.must_lead(by)
        self.invite = new_code()
        self.tell(network, by, Node("invite", {"code": self.invite}))

    def welcome(self, network: NetworkState, by: Account, other: Account, *, reason: str = "", kind: str = "") -> None:
        """Tell a new member's companions all about the group."""
        attrs = {name: text for name, text in (("reason", reason), ("type", kind)) if text}
        self.tell(network, by, Node("create", dict(attrs), [self.described()]), list(other.companions.values()))

    def companions(self) -> list[Companion]:
        """The linked devices of all members."""
        return [each for member in self.members.values() for each in member.account.companions.values()]

    def tell(self, network: NetworkState, by: Account, news: Node, to: list[Companion] | None = None) -> None:
        """A notification of what somebody did, to everybody or to some."""
        attrs: dict[str, Value] = {"from": self.jid, "type": "w:gp2", "notify": by.name, "addressing_mode": LID}
        attrs |= {"participant": by.lid_jid, "participant_pn": by.jid}
        for companion in self.companions() if to is None else to:
            letters.notify(network, companion, attrs, [news])

    def described(self) -> Node:
        """All that a member may know; parseGroupNode in whatsmeow reads it."""
        attrs: dict[str, Value] = {
            "id": self.jid.user,
            "creator": self.creator.lid_jid,
            "creator_pn": self.creator.jid,
            "creation": str(self.created_at),
            "subject": self.subject.text,
            "s_t": str(self.subject.at),
            "s_o": self.subject.by.lid_jid,
            "s_o_pn": self.subject.by.jid,
            "size": str(len(self.members)),
            "addressing_mode": LID,
            "p_v_id": str(self.version),
        }
        children = [_participant(member.account, member.rank) for member in self.members.values()]
        if (said := self.description) is not None:
            spoken: dict[str, Value] = {"id": said.id, "participant": said.by.lid_jid, "t": str(said.at)}
            children.append(Node("description", spoken, [Node("body", {}, said.text.encode())]))
        if self.announce:
            children.append(Node("announcement"))
        if self.locked:
            children.append(Node("locked"))
        if self.ephemeral_s:
            children.append(Node("ephemeral", {"expiration": str(self.ephemeral_s)}))
        return Node("group", attrs, children)

    def _refusal(self, change: Change, other: Account | None) -> int:
        if other is None:
            return NOT_FOUND.code
        member = self.members.get(other.lid)
        if change == "add":
            if member is not None:
                return CONFLICT.code
            return 0 if other.joins_when_added else FORBIDDEN.code
        if member is None:
            return NOT_FOUND.code
        return NOT_ALLOWED.code if member.rank == "superadmin" else 0

    def _apply(self, change: Change, other: Account) -> None:
        match change:
            case "add":
                self.members[other.lid] = Member(other)
            case "remove":
                del self.members[other.lid]
            case "promote":
                self.members[other.lid].rank = "admin"
            case "demote":
                self.members[other.lid].rank = ""

    def _may_edit(self, by: Account) -> None:
        if self.locked:
            self.must_lead(by)
        else:
            self.must_have(by)

    def _renew_keys(self) -> None:
        for member in self.members.values():
            member.account.sender_keys.renew(str(self.jid))

    def _news(self, change: Change, accounts: list[Account], **more: str) -> Node:
        """A change of the members; each gives their list another version."""
        before, self.version = self.version, self.version + 1
        attrs: dict[str, Value] = {"prev_v_id": str(before), "v_id": str(self.version), **more}
        return Node(change, attrs, [_participant(account, "") for account in accounts])


def new_code() -> str:
    """What stands behind https://chat.whatsapp.com/."""
    return secrets.token_urlsafe(16)[:22]


def _participant(account: Account, rank: Rank) -> Node:
    attrs: dict[str, Value] = {"jid": account.lid_jid, "phone_number": account.jid}
    return Node("participant", {**attrs, "type": rank} if rank else attrs)


def _subject(text: str) -> str:
    if not 0 < len(text) <= LONGEST_SUBJECT:
        raise QueryRefused(NOT_ACCEPTABLE)
    return text
