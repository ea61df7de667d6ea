"""The post office: what companions send, and where it goes.

Source of the stanzas: whatsmeow's send.go, message.go, receipt.go and retry.go, read from the other side. A message
from a companion carries one ciphertext for each device that may read it: the phone of the recipient, the
recipient's companions, the sender's own other devices. Phones are addressed as device 0.
"""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidKey

from chatbot_erp.sandbox import group_post, letters, phone, presence
from chatbot_erp.sandbox.faults import RefuseSend, SlowAcks
from chatbot_erp.sandbox.jid import BROADCAST, GROUP, LID, USER, Jid, as_jid
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.ratchet import CannotDecrypt
from chatbot_erp.sandbox.wire import DecodeError, unpad

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account, Companion
    from chatbot_erp.sandbox.network import NetworkState


def take(network: NetworkState, companion: Companion, node: Node) -> None:
    """One stanza from a companion that is not a question."""
    if node.tag == "message":
        slow = companion.account.conditions.get(SlowAcks)
        if slow is None:
            accept(network, companion, node)
        elif companion.stream is not None:
            network.counters.messages_late += 1
            companion.stream.later(slow.delay_s, node)
    elif node.tag == "receipt":
        _take_receipt(network, companion, node)
    elif node.tag == "ack":
        key: tuple[str, ...] = node.text("class"), node.text("id")
        companion.take(key if key[0] == "message" else letters.key_of_receipt(node, "to"))
    elif node.tag == "chatstate":
        presence.take_chatstate(network, companion, node)
    elif node.tag == "presence":
        presence.take_presence(network, companion, node)
    elif node.tag == "call":
        presence.take_call(network, companion, node)
    # ib and the like need no answer.


def accept(network: NetworkState, companion: Companion, node: Node) -> None:
    """Acknowledge a message and deliver it; a message that comes twice is only acknowledged twice."""
    message_id, to = node.text("id"), as_jid(node.attrs["to"])
    attrs: dict[str, Value] = {"class": "message", "id": message_id, "from": to, "t": str(int(time.time()))}
    in_group, error = to.server == GROUP, None
    refusal = companion.account.conditions.use(RefuseSend)
    if refusal is not None:
        error = str(refusal.error)
    elif in_group:
        error = group_post.refusal(network, companion, node)
    if error is not None:
        attrs["error"] = error
    elif in_group and "participant" not in node.attrs:
        stale = group_post.stale(network.group(to), companion, node)
        attrs |= {"phash": stale} if stale else {}
    elif to.server in (USER, LID):
        participants = node.child("participants")
        stale = participants and _stale(network, companion, to, [as_jid(p.attrs["jid"]) for p in participants.children])
        if stale:
            attrs["phash"] = stale
    if companion.stream is not None:
        companion.stream.send(Node("ack", attrs))
    is_retry = "participant" in node.attrs if in_group else node.child("enc") is not None
    if error is None and to.server in (USER, LID, GROUP) and (is_retry or message_id not in companion.seen):
        companion.seen.note(message_id, None)
        network.counters.messages_in += 1
        if in_group:
            group_post.distribute(network, companion, node)
        else:
            _distribute(network, companion, node, to)


def _distribute(network: NetworkState, sender: Companion, node: Node, to: Jid) -> None:
    participants, enc = node.child("participants"), node.child("enc")
    addressed: dict[Jid, Node | None] = {to: enc} if enc is not None else {}
    for participant in participants.children if participants is not None else ():
        # In a message to oneself whatsmeow names each device twice; one letter is enough.
        addressed.setdefault(as_jid(participant.attrs["jid"]), participant.child("enc"))
    for address, letter in addressed.items():
        account = network.find(address)
        if account is None or letter is None:
            continue
        if address.device:
            target = account.companions.get(address.device)
            if target is not None:
                _forward(network, sender, target, node, letter, to)
        elif account is not sender.account or to.user in (account.lid, account.number):
            # The own phone's copy of what was sent to others is not opened: nobody asks for it, and it costs.
            _open(network, sender, account, node.text("id"), letter)


def _open(network: NetworkState, sender: Companion, account: Account, message_id: str, letter: Node) -> None:
    try:
        plaintext = account.sessions(sender).decrypt(letter.text("type"), letter.data)
    except (CannotDecrypt, InvalidKey, DecodeError, ValueError):
        network.counters.undecryptable += 1
        phone.ask_again(network, account, sender.account, message_id)
        return
    phone.receive(network, account, sender.account, message_id, unpad(plaintext))


def _forward(network: NetworkState, sender: Companion, target: Companion, node: Node, letter: Node, to: Jid) -> None:
    message_id = node.text("id")
    attrs: dict[str, Value] = {
        "from": sender.lid,
        "id": message_id,
        "t": str(int(time.time())),
        "type": node.text("type") or "text",
        "notify": sender.account.name,
    }
    if "edit" in node.attrs:
        attrs["edit"] = node.attrs["edit"]
    if target.account is sender.account:
        attrs["recipient"] = to
    else:
        attrs["sender_pn"] = sender.account.jid
    identity = node.child("device-identity")
    content = [letter] if identity is None else [letter, identity]
    network.counters.messages_out += 1
    target.deliver(("message", message_id), Node("message", attrs, content))


def _stale(network: NetworkState, sender: Companion, to: Jid, addressed: list[Jid]) -> str | None:
    """The hash of the device list, when the client worked with an old one; whatsmeow then fetches it anew."""
    account = network.find(to)
    if account is None:
        return None
    expected = {Jid(to.user, to.server, device) for device in (0, *account.companions)}
    known = {(address.user, address.device) for address in addressed}
    if account is sender.account:
        known.add((to.user, sender.device))
    if all((jid.user, jid.device) in known for jid in expected):
        return None
    listed = sorted(f"{jid.user}.0:{jid.device}@{jid.server}" for jid in expected)
    digest = hashlib.sha256("".join(listed).encode()).digest()[:6]
    return "2:" + base64.b64encode(digest).decode().rstrip("=")


def _take_receipt(network: NetworkState, companion: Companion, node: Node) -> None:
    message_id, to, kind = node.text("id"), as_jid(node.attrs["to"]), node.text("type")
    network.counters.receipts_in += 1
    attrs: dict[str, Value] = {"class": "receipt", "id": message_id, "from": to}
    if kind:
        attrs["type"] = kind
    if companion.stream is not None:
        companion.stream.send(Node("ack", attrs))
    listed = node.child("list")
    ids = [message_id, *(item.text("id") for item in (listed.children if listed else []))]
    for one in ids:
        companion.take(("message", one))
        if kind != "retry":
            companion.take(("message", one, "again"))
    group = to if to.server in (GROUP, BROADCAST) else None
    if group is not None and "participant" in node.attrs:
        to = as_jid(node.attrs["participant"])
    sender = network.find(to)
    if sender is None or kind in ("sender", "peer_msg", "hist_sync"):
        return
    if kind == "retry":
        network.counters.retries_in += 1
        if to.device:
            target = sender.companions.get(to.device)
            if target is not None:
                kept = {name: value for name, value in node.attrs.items() if name not in ("to", "participant")}
                again = {**kept, "from": group or companion.lid, "t": str(int(time.time()))}
                if group is not None:
                    again |= {"participant": companion.lid, "addressing_mode": LID}
                receipt = node._replace(attrs=again)
                target.deliver(letters.key_of_receipt(receipt), receipt)
            return
        if group is not None:
            group_post.retry(network, sender, companion, message_id, node)
        else:
            phone.retry(network, sender, companion, message_id, node)
    for one in ids:
        phone.note_receipt(sender, one, kind)
        if sender is not companion.account and kind != "retry":
            letters.send_receipt(network, companion.lid, sender, one, kind, group)
