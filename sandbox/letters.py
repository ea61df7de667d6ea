"""What a companion gets: messages from phones, encrypted for it, and receipts.

Source of the stanzas: whatsmeow's message.go and receipt.go, read from the other side.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatbot_erp.sandbox.faults import DuplicateReceipts
from chatbot_erp.sandbox.jid import Jid
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.ratchet import damage
from chatbot_erp.sandbox.wire import pad, security_setting

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account, Companion
    from chatbot_erp.sandbox.network import NetworkState


def write(
    network: NetworkState,
    sender: Account,
    target: Companion,
    message_id: str,
    plaintext: bytes,
    *,
    recipient: Jid | None = None,
    retry: int = 0,
    spoil: bool = False,
    peer: bool = False,
) -> None:
    """A message from a phone to a companion, encrypted for it. `recipient` marks a copy of what was sent elsewhere."""
    sessions = sender.sessions(target)
    if not sessions.ready:
        sessions.open(target.bundle())
    kind, ciphertext = sessions.encrypt(pad(plaintext))
    if spoil:
        ciphertext = damage(kind, ciphertext)
    attrs: dict[str, Value] = {
        "from": sender.lid_jid,
        "id": message_id,
        "t": str(int(time.time())),
        "type": "text",
        "notify": sender.name,
    }
    if peer:
        attrs |= {"category": "peer", "type": "protocol", "from": sender.jid}
    elif recipient is not None:
        attrs["recipient"] = recipient
    else:
        attrs["sender_pn"] = sender.jid
    letter: dict[str, Value] = {"v": "2", "type": kind}
    if retry:
        letter["count"] = str(retry)
    network.counters.messages_out += 1
    # The ack of the unreadable first copy may come after the second has left: it must not count for that one.
    key = ("message", message_id, "again") if retry else ("message", message_id)
    target.deliver(key, Node("message", attrs, [Node("enc", letter, ciphertext)]))


def greet(network: NetworkState, companion: Companion) -> None:
    """The phone's first word to a new companion (once): both have a Signal session from then on."""
    if not companion.greeted and companion.signed_pre_key[1]:
        companion.greeted = True
        write(network, companion.account, companion, network.new_message_id(), security_setting(), peer=True)


def send_receipt(network: NetworkState, reader: Jid, to: Account, message_id: str, kind: str) -> None:
    """Tell the sender's companions what became of a message. `kind` "" is delivered."""
    duplicates = to.conditions.get(DuplicateReceipts)
    attrs: dict[str, Value] = {"from": reader, "id": message_id, "t": str(int(time.time()))}
    if kind:
        attrs["type"] = kind
    node = Node("receipt", attrs)
    for companion in to.companions.values():
        for _ in range(duplicates.copies if duplicates else 1):
            network.counters.receipts_out += 1
            companion.deliver(("receipt", message_id, kind, str(reader)), node)
