"""What is no message: who has WhatsApp open, who types, who calls.

None of it is kept for a companion that is away, calls excepted. Source: whatsmeow's presence.go and call.go, read from
the other side.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Literal

from chatbot_erp.sandbox import letters
from chatbot_erp.sandbox.accounts import Account, Companion
from chatbot_erp.sandbox.control_presence import Activity, Sign
from chatbot_erp.sandbox.jid import Jid, as_jid
from chatbot_erp.sandbox.nodes import Node, Value

if TYPE_CHECKING:
    from chatbot_erp.sandbox.network import NetworkState

_VERSION = "2.26.44.72"


def take_presence(network: NetworkState, companion: Companion, node: Node) -> None:
    """A companion says whether its person is there, or wants to know it of somebody else."""
    if node.text("type") == "subscribe":
        address = as_jid(node.attrs["to"]).bare()
        account = network.find(address)
        if account is not None:
            watch(account, companion, address)
    elif "to" not in node.attrs:
        show(companion.account, companion, node.text("type") != "unavailable")


def take_chatstate(network: NetworkState, companion: Companion, node: Node) -> None:
    """A companion says that its person types, speaks, or has stopped."""
    to = network.find(as_jid(node.attrs["to"]))
    if to is None or not node.children:
        return
    what = node.children[0]
    activity: Activity = "composing" if what.tag == "composing" else "paused"
    if what.text("media") == "audio" and activity == "composing":
        activity = "recording"
    to.note(Sign(sender=companion.account.number, kind=activity))
    _say(to, companion.lid.bare(), what)


def take_call(network: NetworkState, companion: Companion, node: Node) -> None:
    """A companion does not want to be called (whatsmeow, call.go RejectCall)."""
    to, reject = network.find(as_jid(node.attrs["to"])), node.child("reject")
    if to is not None and reject is not None:
        to.note(Sign(sender=companion.account.number, kind="rejected", call_id=reject.text("call-id")))


def watch(account: Account, watcher: Companion | Account, address: Jid) -> None:
    """Tell a companion or a phone whether this number has WhatsApp open: now, and whenever it changes."""
    account.watchers[watcher] = address
    _tell(account, watcher, address)


def show(account: Account, device: Companion | Account, there: bool) -> None:
    """One of an account's devices (the account itself is its phone) has WhatsApp open from now on, or no more."""
    before = account.there
    device.shown = there
    if account.there is before:
        return
    for watcher, address in account.watchers.items():
        _tell(account, watcher, address)


def act(account: Account, to: Account, activity: Activity) -> None:
    """A phone's person types, speaks or stops."""
    media = {"media": "audio"} if activity == "recording" else {}
    _say(to, account.lid_jid, Node("paused" if activity == "paused" else "composing", dict(media)))


def call(network: NetworkState, account: Account, to: Account, video: bool) -> str:
    """A phone calls. Returns the call's id."""
    call_id = secrets.token_hex(16).upper()
    offered = [Node("audio", {"enc": "opus", "rate": "16000"})]
    if video:
        offered.append(Node("video", {"enc": "vp8"}))
    _ring(network, account, to, call_id, "offer", {"caller_pn": account.jid}, offered)
    return call_id


def hang_up(network: NetworkState, account: Account, to: Account, call_id: str, reason: str) -> None:
    """A phone ends its call, or gives up."""
    _ring(network, account, to, call_id, "terminate", {"reason": reason})


def _ring(
    network: NetworkState,
    account: Account,
    to: Account,
    call_id: str,
    tag: Literal["offer", "terminate"],
    details: dict[str, Value],
    content: list[Node] | None = None,
) -> None:
    attrs: dict[str, Value] = {
        "from": account.lid_jid,
        "id": network.new_message_id(),
        "t": str(int(time.time())),
        "notify": account.name,
        "platform": "android",
        "version": _VERSION,
    }
    about: dict[str, Value] = {"call-id": call_id, "call-creator": account.lid_jid, **details}
    node = Node("call", attrs, [Node(tag, about, content)])
    for companion in to.companions.values():
        companion.deliver(letters.key_of_receipt(node), node)


def _say(to: Account, speaker: Jid, what: Node) -> None:
    for companion in to.companions.values():
        if companion.stream is not None and companion.stream.active:
            companion.stream.send(Node("chatstate", {"from": speaker}, [what]))


def _tell(account: Account, watcher: Companion | Account, address: Jid) -> None:
    there = account.there
    if isinstance(watcher, Account):
        watcher.note(Sign(sender=account.number, kind="available" if there else "unavailable"))
        return
    # WhatsApp tells only those who have it open themselves (whatsmeow, presence.go SubscribePresence).
    if watcher.shown and watcher.stream is not None and watcher.stream.active:
        gone: dict[str, Value] = {} if there else {"type": "unavailable", "last": str(int(time.time()))}
        watcher.stream.send(Node("presence", {"from": address, **gone}))
