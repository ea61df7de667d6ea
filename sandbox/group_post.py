"""Messages to groups, from companions and from phones, and what phones post as their status.

Source: whatsmeow's send.go (sendGroup), message.go and retry.go, read from the other side. One such message carries one
ciphertext for all (`skmsg`), and beside it for each device a letter with the sender key that opens it. A device that
has no letter, or cannot open it, asks for the message again and gets it in a letter of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidKey

from chatbot_erp.sandbox import contents, letters, phone
from chatbot_erp.sandbox.bundles import bundle_in
from chatbot_erp.sandbox.jid import LID, STATUS, Jid, as_jid
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.ratchet import CannotDecrypt
from chatbot_erp.sandbox.refusals import FORBIDDEN, QueryRefused
from chatbot_erp.sandbox.wire import DecodeError, pad, proto, unpad

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account, Companion
    from chatbot_erp.sandbox.groups import Group
    from chatbot_erp.sandbox.network import NetworkState


def refusal(network: NetworkState, companion: Companion, node: Node) -> str | None:
    """The error code of a message that is let through to nobody."""
    try:
        group = network.group(as_jid(node.attrs["to"]))
    except QueryRefused as ex:
        return str(ex.refusal.code)
    return None if group.may_write(companion.account) else str(FORBIDDEN.code)


def stale(group: Group, sender: Companion, node: Node) -> str | None:
    """A hash that is not the client's own, when it left devices out; whatsmeow then asks for the members anew."""
    participants = node.child("participants")
    known = {as_jid(each.attrs["jid"]) for each in participants.children} if participants is not None else set()
    expected = {
        Jid(lid, LID, device) for lid, member in group.members.items() for device in (0, *member.account.companions)
    }
    return None if expected - known <= {sender.lid} else "2:other"


def distribute(network: NetworkState, sender: Companion, node: Node) -> None:
    """Hand a companion's message to every device of the group, or a repeated one to the device that asked."""
    group = network.group(as_jid(node.attrs["to"]))
    shared = [child for child in node.children if child.tag == "enc"]
    if "participant" in node.attrs:
        _hand_over(network, sender, group, node, as_jid(node.attrs["participant"]), shared)
        return
    participants = node.child("participants")
    letters_for = {
        as_jid(each.attrs["jid"]): [child for child in each.children if child.tag == "enc"]
        for each in (participants.children if participants is not None else ())
    }
    for member in tuple(group.members.values()):
        for device in (0, *member.account.companions):
            address = Jid(member.account.lid, LID, device)
            if address != sender.lid:
                _hand_over(network, sender, group, node, address, [*letters_for.get(address, ()), *shared])


def _hand_over(
    network: NetworkState, sender: Companion, group: Group, node: Node, to: Jid, encrypted: list[Node]
) -> None:
    account = network.find(to)
    if account is None:
        return
    target = account.companions.get(to.device)
    if target is not None:
        identity = node.child("device-identity")
        content = encrypted if identity is None else [*encrypted, identity]
        attrs = _attrs(group.jid, sender.account, sender.lid, node.text("id"), node.text("type") or "text")
        if "edit" in node.attrs:
            attrs["edit"] = node.attrs["edit"]
        network.counters.messages_out += 1
        target.deliver(("message", node.text("id")), Node("message", attrs, content))
    elif not to.device and account is not sender.account:
        _open(network, sender, group, account, node.text("id"), encrypted)


def _open(
    network: NetworkState, sender: Companion, group: Group, account: Account, message_id: str, encrypted: list[Node]
) -> None:
    name, by = str(group.jid), (sender.account.lid, sender.device)
    for letter in encrypted:
        kind = letter.text("type")
        try:
            if kind == "skmsg":
                message = unpad(account.sender_keys.decrypt(name, by, letter.data))
            else:
                message = unpad(account.sessions(sender).decrypt(kind, letter.data))
                account.sender_keys.learn(name, by, message)
        except (CannotDecrypt, InvalidKey, DecodeError, ValueError):
            network.counters.undecryptable += 1
            phone.ask_again(network, account, sender.account, message_id, group.jid)
            return
        phone.receive(network, account, sender.account, message_id, message, group.jid)


def say(network: NetworkState, account: Account, group: Group, message: bytes) -> str:
    """A phone writes to a group. Raises 403 where it may not."""
    if not group.may_write(account):
        raise QueryRefused(FORBIDDEN)
    message_id, content = network.new_message_id(), contents.read(proto.Message.FromString(message))
    account.note_poll(message_id, account, content)
    _tell(network, account, group.jid, group.companions(), message_id, message, letters.style_of(content))
    for member in group.members.values():
        if content is not None and member.account is not account:
            member.account.read(message_id, account, content, message, group.jid)
    return message_id


def post_status(network: NetworkState, account: Account, message: bytes) -> str:
    """A phone posts a status: companions of those it has written to are told as if that were a group."""
    message_id, content = network.new_message_id(), contents.read(proto.Message.FromString(message))
    contacts = [
        companion
        for other in network.accounts.values()
        for companion in other.companions.values()
        if account.knows(companion)
    ]
    _tell(network, account, STATUS, contacts, message_id, message, letters.style_of(content))
    return message_id


def _tell(
    network: NetworkState,
    account: Account,
    chat: Jid,
    companions: list[Companion],
    message_id: str,
    message: bytes,
    style: letters.Style,
) -> None:
    """Encrypted once for all, with the key for those who do not have it."""
    account.sent.note(message_id, (message, chat))
    chain = account.sender_keys.own(str(chat))
    told = {each: chain.distribution(str(chat)) for each in companions if _name(each) not in chain.known_to}
    how = {"v": "2", "type": "skmsg"} | ({"mediatype": style.media} if style.media else {})
    shared = Node("enc", dict(how), chain.encrypt(pad(message)))
    for companion in companions:
        enclosed = [shared]
        if companion in told:
            chain.known_to.add(_name(companion))
            enclosed.insert(0, _letter(account, companion, told[companion]))
        attrs = _attrs(chat, account, account.lid_jid, message_id, style.type)
        if style.edit:
            attrs["edit"] = style.edit
        network.counters.messages_out += 1
        companion.deliver(("message", message_id), Node("message", attrs, enclosed))


def retry(network: NetworkState, account: Account, companion: Companion, message_id: str, receipt: Node) -> None:
    """A companion could not read what this phone said: once more, in a letter of its own, the key before the text."""
    sent, asked = account.sent.get(message_id), receipt.child("retry")
    if sent is None or asked is None or not companion.signed_pre_key[1]:
        return
    message, jid = sent
    account.sessions(companion).open(bundle_in(receipt) or companion.bundle())
    chain = account.sender_keys.own(str(jid))
    chain.known_to.add(_name(companion))
    # Protobufs that stand one behind the other are one message with the fields of both.
    letter = _letter(account, companion, chain.distribution(str(jid)) + message, int(asked.text("count") or 1))
    attrs = _attrs(jid, account, account.lid_jid, message_id)
    network.counters.messages_out += 1
    companion.deliver(("message", message_id, "again"), Node("message", attrs, [letter]))


def _letter(account: Account, companion: Companion, plaintext: bytes, count: int = 0) -> Node:
    sessions = account.sessions(companion)
    if not sessions.ready:
        sessions.open(companion.bundle())
    kind, ciphertext = sessions.encrypt(pad(plaintext))
    attrs: dict[str, Value] = {"v": "2", "type": kind}
    return Node("enc", {**attrs, "count": str(count)} if count else attrs, ciphertext)


def _name(companion: Companion) -> tuple[str, int]:
    return companion.account.lid, companion.device


def _attrs(chat: Jid, sender: Account, address: Jid, message_id: str, kind: str = "text") -> dict[str, Value]:
    return {
        "from": chat,
        "participant": address,
        "participant_pn": sender.jid,
        "addressing_mode": LID,
        "id": message_id,
        "t": str(int(time.time())),
        "type": kind,
        "notify": sender.name,
    }
