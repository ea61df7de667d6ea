"""What a companion asks about groups (`w:g2`), and what it gets. Source: whatsmeow's group.go, from the other side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from chatbot_erp.sandbox.groups import Change, Group
from chatbot_erp.sandbox.jid import GROUP, Jid, as_jid
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.refusals import (
    FORBIDDEN,
    GONE,
    NOT_ACCEPTABLE,
    UNAUTHORIZED,
    QueryRefused,
)

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account
    from chatbot_erp.sandbox.network import NetworkState
    from chatbot_erp.sandbox.stream import Stream

_CODE_SIZE = 22


def answer(stream: Stream, query: Node) -> list[Node]:
    """Answer a question about groups in general, or about the one it is addressed to."""
    companion = stream.companion
    if companion is None or not query.children:
        return []
    network, account, asked = stream.network, companion.account, query.children[0]
    to = as_jid(query.attrs["to"])
    if to == Jid("", GROUP):
        return _general(network, account, asked, joining=query.attrs.get("type") == "set")
    group = network.group(to)
    if asked.tag in _CHANGES:
        return _change_members(network, account, group, asked)
    handle = _HANDLERS.get(asked.tag)
    if handle is None:
        raise QueryRefused(NOT_ACCEPTABLE)
    return handle(network, account, group, query)


def _general(network: NetworkState, account: Account, asked: Node, *, joining: bool) -> list[Node]:
    match asked.tag:
        case "create":
            return [_create(network, account, asked).described()]
        case "participating":
            mine = [group.described() for group in network.groups.values() if account.lid in group.members]
            return [Node("groups", {}, mine)]
        case "leave":
            for each in asked.children:
                network.group(as_jid(each.attrs["id"])).leave(network, account)
            return [Node("leave", {}, [Node("group", {"id": each.attrs["id"]}) for each in asked.children])]
        case "invite":
            group = invited(network, asked.text("code"))
            if not joining:
                return [group.described()]
            join(network, account, group)
            return [Node("group", {"jid": group.jid})]
        case _:
            raise QueryRefused(NOT_ACCEPTABLE)


def _create(network: NetworkState, account: Account, asked: Node) -> Group:
    others = [network.find(as_jid(each.attrs["jid"])) for each in asked.children if each.tag == "participant"]
    return found(network, account, asked.text("subject"), [other for other in others if other is not None])


def found(network: NetworkState, creator: Account, subject: str, others: list[Account]) -> Group:
    """A new group; whoever may not be added is left out."""
    group = Group(creator, subject)
    network.groups[group.jid.user] = group
    group.welcome(network, creator, creator, kind="new")
    group.change_members(network, creator, "add", [other for other in others if other is not creator])
    return group


def invited(network: NetworkState, code: str) -> Group:
    """The group of an invitation. Raises 406 for what cannot be one, 410 for one that is no longer good."""
    group = next((group for group in network.groups.values() if group.invite == code), None)
    if group is None:
        raise QueryRefused(GONE if len(code) == _CODE_SIZE else NOT_ACCEPTABLE)
    return group


def join(network: NetworkState, account: Account, group: Group) -> None:
    """Come in by invitation; twice is once."""
    if account.lid not in group.members:
        group.admit(network, account)


def _change_members(network: NetworkState, account: Account, group: Group, asked: Node) -> list[Node]:
    wanted = [as_jid(each.attrs["jid"]) for each in asked.children if each.tag == "participant"]
    change = cast(Change, asked.tag)
    results = group.change_members(network, account, change, [network.find(jid) for jid in wanted])
    answered = []
    for jid, (other, code) in zip(wanted, results, strict=True):
        attrs: dict[str, Value] = {"jid": other.lid_jid if other is not None else jid}
        if other is not None:
            attrs["phone_number"] = other.jid
        request: list[Node] | None = None
        if code:
            attrs["error"] = str(code)
        if code == FORBIDDEN.code and change == "add":
            request = [Node("add_request", {"code": group.invite, "expiration": str(group.created_at + 3 * 86_400)})]
        answered.append(Node("participant", attrs, request))
    return [Node(asked.tag, {}, answered)]


def _query(network: NetworkState, account: Account, group: Group, query: Node) -> list[Node]:
    group.must_have(account)
    return [group.described()]


def _subject(network: NetworkState, account: Account, group: Group, query: Node) -> list[Node]:
    group.rename(network, account, query.children[0].data.decode())
    return []


def _description(network: NetworkState, account: Account, group: Group, query: Node) -> list[Node]:
    asked = query.children[0]
    body = asked.child("body")
    text = body.data.decode() if body is not None else None
    group.describe(network, account, text, asked.text("id"), asked.text("prev"))
    return []


def _setting(network: NetworkState, account: Account, group: Group, query: Node) -> list[Node]:
    group.set(network, account, query.children[0])
    return []


def _invite(network: NetworkState, account: Account, group: Group, query: Node) -> list[Node]:
    if not group.must_have(account).rank:
        raise QueryRefused(UNAUTHORIZED)
    if query.attrs.get("type") == "set":
        group.reset_invite(network, account)
    return [Node("invite", {"code": group.invite})]


_CHANGES = ("add", "remove", "promote", "demote")
_SETTINGS = ("announcement", "not_announcement", "locked", "unlocked", "ephemeral", "not_ephemeral")
_HANDLERS: dict[str, Callable[[NetworkState, Account, Group, Node], list[Node]]] = {
    "query": _query,
    "subject": _subject,
    "description": _description,
    "invite": _invite,
    **dict.fromkeys(_SETTINGS, _setting),
}
