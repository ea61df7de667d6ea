"""What a companion gets: messages from phones, encrypted for it, and receipts.

Source of the stanzas: whatsmeow's message.go and receipt.go, read from the other side.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from chatbot_erp.sandbox.faults import DuplicateReceipts
from chatbot_erp.sandbox.jid import Jid
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.ratchet import damage
from chatbot_erp.sandbox.wire import pad, security_setting

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account, Companion
    from chatbot_erp.sandbox.contents import Content
    from chatbot_erp.sandbox.network import NetworkState


class Style(NamedTuple):
    """What the outside of an encrypted message says of its inside (whatsmeow, send.go getTypeFromMessage,
    getMediaTypeFromMessage and getEditAttribute)."""

    type: str
    media: str = ""
    edit: str = ""


TEXT = Style("text")
_STYLES = {
    **{kind: Style("media", kind) for kind in ("image", "video", "audio", "document", "sticker", "location")},
    "voice": Style("media", "ptt"),
    "note": Style("media", "ptv"),
    "live_location": Style("media", "livelocation"),
    "contact": Style("media", "vcard"),
    "contacts": Style("media", "contact_array"),
    "button_reply": Style("media", "buttons_response"),
    "list_reply": Style("media", "list_response"),
    "interactive_reply": Style("media", "native_flow_response"),
    "reaction": Style("reaction"),
    "poll": Style("poll"),
    "vote": Style("poll"),
    "edit": Style("text", edit="1"),
    "revoke": Style("text", edit="7"),
}


def style_of(content: Content | None) -> Style:
    """How a message looks from outside."""
    if content is not None and content.by_admin:
        return Style("text", edit="8")
    return _STYLES.get(content.kind, TEXT) if content is not None else TEXT


def write(
    network: NetworkState,
    sender: Account,
    target: Companion,
    message_id: str,
    plaintext: bytes,
    *,
    style: Style = TEXT,
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
        "type": style.type,
        "notify": sender.name,
    }
    if style.edit:
        attrs["edit"] = style.edit
    if peer:
        attrs |= {"category": "peer", "type": "protocol", "from": sender.jid}
    elif recipient is not None:
        attrs["recipient"] = recipient
    else:
        attrs["sender_pn"] = sender.jid
    letter: dict[str, Value] = {"v": "2", "type": kind}
    if style.media:
        letter["mediatype"] = style.media
    if retry:
        letter["count"] = str(retry)
    network.counters.messages_out += 1
    # The ack of the unreadable first copy may come after the second has left: it must not count for that one.
    key = ("message", message_id, "again") if retry else ("message", message_id)
    target.deliver(key, Node("message", attrs, [Node("enc", letter, ciphertext)]))


def announce(network: NetworkState, sender: Account, target: Companion, message_id: str, kind: str) -> None:
    """A message without its text, which this companion is not to have."""
    attrs: dict[str, Value] = {
        "from": sender.lid_jid,
        "id": message_id,
        "t": str(int(time.time())),
        "type": "media",
        "notify": sender.name,
        "sender_pn": sender.jid,
    }
    network.counters.messages_out += 1
    target.deliver(("message", message_id), Node("message", attrs, [Node("unavailable", {"type": kind})]))


def greet(network: NetworkState, companion: Companion) -> None:
    """The phone's first words to a new companion (once): both have a Signal session from then on, and the companion
    can read the phone's settings."""
    if not companion.greeted and companion.signed_pre_key[1]:
        companion.greeted = True
        for first in (security_setting(), companion.account.app_state.key_share()):
            write(network, companion.account, companion, network.new_message_id(), first, peer=True)


def notify(network: NetworkState, companion: Companion, attrs: Mapping[str, Value], content: list[Node]) -> None:
    """Tell a companion what has changed; it is told again at its next login, until it has acknowledged it."""
    node = Node("notification", {**attrs, "id": network.new_message_id(), "t": str(int(time.time()))}, content)
    companion.deliver(key_of_receipt(node), node)


def key_of_receipt(node: Node, address: str = "from") -> tuple[str, ...]:
    """By what the ack for a receipt or a notification is recognised; in an ack `address` is "to"."""
    kind = node.text("class") if address == "to" else node.tag
    return kind, node.text("id"), node.text("type"), node.text("participant") or node.text(address)


def send_receipt(
    network: NetworkState, reader: Jid, to: Account, message_id: str, kind: str, group: Jid | None = None
) -> None:
    """Tell the sender's companions what became of a message. `kind` "" is delivered."""
    duplicates = to.conditions.get(DuplicateReceipts)
    attrs: dict[str, Value] = {"from": group or reader, "id": message_id, "t": str(int(time.time()))}
    if group is not None:
        attrs["participant"] = reader
    if kind:
        attrs["type"] = kind
    node = Node("receipt", attrs)
    for companion in to.companions.values():
        for _ in range(duplicates.copies if duplicates else 1):
            network.counters.receipts_out += 1
            companion.deliver(key_of_receipt(node), node)
