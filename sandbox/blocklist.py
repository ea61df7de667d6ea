"""Whom a number does not want to hear from.

Source: whatsmeow's user.go (GetBlocklist, UpdateBlocklist) and notification.go (handleBlocklist), read from the other
side. The hash changes with the list; companions compare it to know whether theirs is the present one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from chatbot_erp.sandbox import letters
from chatbot_erp.sandbox.jid import LID, Jid, as_jid
from chatbot_erp.sandbox.nodes import Node
from chatbot_erp.sandbox.refusals import NOT_FOUND, QueryRefused

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account, Companion
    from chatbot_erp.sandbox.network import NetworkState
    from chatbot_erp.sandbox.stream import Stream


def answer(stream: Stream, query: Node) -> list[Node]:
    """Have the list, or change one entry of it and have it then."""
    companion = stream.companion
    if companion is None:
        return []
    item = query.child("item")
    if item is not None:
        other = stream.network.find(as_jid(item.attrs["jid"]))
        if other is None:
            raise QueryRefused(NOT_FOUND)
        change(stream.network, companion.account, other, item.text("action") == "block", by=companion)
    account = companion.account
    listed = [Node("item", {"jid": Jid(lid, LID)}) for lid in sorted(account.blocked)]
    return [Node("list", {"dhash": digest(account)}, listed)]


def change(
    network: NetworkState, account: Account, other: Account, blocked: bool, *, by: Companion | None = None
) -> None:
    """Block somebody, or no longer; the account's companions are told, except the one that wanted it."""
    before = digest(account)
    if blocked:
        account.blocked.add(other.lid)
    else:
        account.blocked.discard(other.lid)
    item = Node("item", {"jid": other.lid_jid, "action": "block" if blocked else "unblock"})
    news = Node("blocklist", {"action": "modify", "dhash": digest(account), "prev_dhash": before}, [item])
    for companion in account.companions.values():
        if companion is not by:
            letters.notify(network, companion, {"from": account.jid, "type": "account_sync"}, [news])


def digest(account: Account) -> str:
    """What tells two states of the list apart."""
    return hashlib.sha256(",".join(sorted(account.blocked)).encode()).hexdigest()[:16]
