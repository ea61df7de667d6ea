"""What a phone does by itself: read, acknowledge, echo, send, and send again when a companion could not read it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatbot_erp.sandbox import contents, letters
from chatbot_erp.sandbox.bundles import bundle_in, write_key
from chatbot_erp.sandbox.control import Acknowledgement, CompanionReceipt
from chatbot_erp.sandbox.faults import ReversedReceipts
from chatbot_erp.sandbox.jid import LID, Jid
from chatbot_erp.sandbox.keys import DJB
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.wire import proto, sent_elsewhere, text_message

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account, Companion
    from chatbot_erp.sandbox.network import NetworkState

# As many times as whatsmeow asks, and answers.
_RETRIES = 5
_LEVELS: dict[str, tuple[Acknowledgement, ...]] = {
    "none": (),
    "delivered": ("delivered",),
    "read": ("delivered", "read"),
    "played": ("delivered", "read", "played"),
}


def receive(
    network: NetworkState,
    account: Account,
    sender: Account,
    message_id: str,
    plaintext: bytes,
    group: Jid | None = None,
) -> None:
    """A companion of `sender` has written to this phone, or to a group it is in."""
    message = proto.Message.FromString(plaintext)
    content = contents.read(message)
    if content is None or message_id in account.senders:
        return
    account.asked.pop(message_id, None)
    account.read(message_id, sender, content, plaintext, group)
    levels = _LEVELS[account.policy]
    if account.conditions.get(ReversedReceipts) or sender.conditions.get(ReversedReceipts):
        levels = levels[::-1]
    for level in levels:
        acknowledge(network, account, sender, message_id, level)
    # Two phones that echo would have a group to themselves for ever.
    if account.echo and sender is not account and group is None and content.kind == "text":
        send(network, account, sender, text_message(content.text))


def acknowledge(
    network: NetworkState, account: Account, sender: Account, message_id: str, level: Acknowledgement
) -> None:
    """One receipt from this phone. Delivered has no type on the wire."""
    kind, group = "" if level == "delivered" else level, account.chats.get(message_id)
    letters.send_receipt(network, account.lid_jid, sender, message_id, kind, group)


def send(network: NetworkState, account: Account, to: Account, message: bytes) -> str:
    """Write to another number: to its companions, to its phone, and a copy to one's own companions."""
    message_id, content = network.new_message_id(), contents.read(proto.Message.FromString(message))
    style = letters.style_of(content)
    account.note_poll(message_id, account, content)
    account.sent.note(message_id, (message, to.lid_jid))
    blocked = account.lid in to.blocked
    for companion in to.companions.values():
        if companion.account is not account and not blocked:
            letters.write(network, account, companion, message_id, message, style=style)
    if account.companions:
        copy = sent_elsewhere(message, str(to.lid_jid))
        for companion in account.companions.values():
            letters.write(network, account, companion, message_id, copy, style=style, recipient=to.lid_jid)
    if content is not None and not blocked:
        to.read(message_id, account, content, message)
    return message_id


def send_again(network: NetworkState, account: Account, message_id: str) -> None:
    """Tell a number's companions once more what it was sent, under the same id and encrypted anew, as a phone does that was
    asked for a message which had come all the same. Raises ValueError for one that was sent to no number."""
    message, jid = account.sent.get(message_id, (b"", account.jid))
    to = network.find(jid)
    if not message or to is None:
        raise ValueError(f"{account.number} has sent no message {message_id} to a number.")
    style = letters.style_of(contents.read(proto.Message.FromString(message)))
    for companion in to.companions.values():
        letters.write(network, account, companion, message_id, message, style=style, retry=1)


def send_unreadable(network: NetworkState, account: Account, to: Account, text: str, recoverable: bool) -> None:
    """A message whose ciphertext is damaged on the way."""
    message_id, message = network.new_message_id(), text_message(text)
    if recoverable:
        account.sent.note(message_id, (message, to.lid_jid))
    for companion in to.companions.values():
        letters.write(network, account, companion, message_id, message, spoil=True)


def send_unavailable(network: NetworkState, account: Account, to: Account, kind: str) -> str:
    """Announce a message whose text is for the phone alone: its companions are told of it and get nothing to decrypt
    (whatsmeow, message.go decryptMessages)."""
    message_id = network.new_message_id()
    for companion in to.companions.values():
        letters.announce(network, account, companion, message_id, kind)
    return message_id


def retry(network: NetworkState, account: Account, companion: Companion, message_id: str, receipt: Node) -> None:
    """A companion could not read a message: begin a new session and send it once more, under the same id."""
    sent, asked = account.sent.get(message_id), receipt.child("retry")
    if sent is None or asked is None or not companion.signed_pre_key[1]:
        return
    message, to = sent
    style = letters.style_of(contents.read(proto.Message.FromString(message)))
    recipient = to if companion.account is account else None
    if recipient is not None:
        message = sent_elsewhere(message, str(to))
    account.sessions(companion).open(bundle_in(receipt) or companion.bundle())
    count = int(asked.text("count") or 1)
    letters.write(network, account, companion, message_id, message, style=style, recipient=recipient, retry=count)


def ask_again(
    network: NetworkState, account: Account, sender: Account, message_id: str, group: Jid | None = None
) -> None:
    """This phone could not read a message: ask for it, with the keys for a new session (whatsmeow, retry.go)."""
    count = account.asked[message_id] = account.asked.get(message_id, 0) + 1
    if count >= _RETRIES:
        return
    now, identity = str(int(time.time())), account.identity
    keys = [
        Node("type", {}, DJB),
        Node("identity", {}, identity.key.public),
        write_key("skey", identity.signed_pre_key_id, identity.signed_pre_key.public, account.signed_pre_key_signature),
    ]
    children = [
        Node("retry", {"count": str(count), "id": message_id, "t": now, "v": "1"}),
        Node("registration", {}, identity.registration_id.to_bytes(4, "big")),
        Node("keys", {}, keys),
    ]
    attrs: dict[str, Value] = {"from": group or account.lid_jid, "id": message_id, "t": now, "type": "retry"}
    if group is not None:
        attrs |= {"participant": account.lid_jid, "participant_pn": account.jid, "addressing_mode": LID}
    receipt = Node("receipt", attrs, children)
    for companion in sender.companions.values():
        network.counters.receipts_out += 1
        companion.deliver(letters.key_of_receipt(receipt), receipt)


def note_receipt(account: Account, message_id: str, kind: str) -> None:
    """A companion has said what became of a message from this phone."""
    account.receipts.append(CompanionReceipt(message_id=message_id, type=kind))
    account.bell.ring()
