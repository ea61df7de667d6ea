"""Questions a client asks the server (`<iq>`), and their answers.

Source: whatsmeow's prekeys.go, user.go (usync), privacysettings.go and pair-code.go, read from the other side. What is
not known here gets an empty result: clients ask for many things a text message does not need.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from chatbot_erp.sandbox import app_state, blocklist, group_queries, link_code, profiles
from chatbot_erp.sandbox.accounts import Account, Companion
from chatbot_erp.sandbox.bundles import bundle_of, integer, read_key
from chatbot_erp.sandbox.jid import LID, SERVER_JID, USER, Jid, as_jid, digits
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.refusals import QueryRefused

if TYPE_CHECKING:
    from chatbot_erp.sandbox.network import NetworkState
    from chatbot_erp.sandbox.stream import Stream

Answer = list[Node]
_PRIVACY = ("groupadd", "last", "status", "profile", "readreceipts", "online", "calladd")


def answer(stream: Stream, query: Node) -> None:
    """Answer one question."""
    attrs: dict[str, Value] = {"from": SERVER_JID, "type": "result", "id": query.text("id"), "t": str(int(time.time()))}
    try:
        reply = _ANSWERS.get(query.text("xmlns"), _nothing)(stream, query)
    except QueryRefused as ex:
        attrs["type"] = "error"
        reply = [Node("error", {"code": str(ex.refusal.code), "text": ex.refusal.text})]
    stream.send(Node("iq", attrs, reply or None))
    if query.child("active") is not None and query.attrs.get("xmlns") == "passive":
        stream.activate()


def _nothing(stream: Stream, query: Node) -> Answer:
    return []


def _encrypt(stream: Stream, query: Node) -> Answer:
    companion = stream.companion
    if companion is None:
        return []
    if query.child("count") is not None:
        return [Node("count", {"value": str(len(companion.pre_keys))})]
    asked = query.child("key")
    if asked is not None:
        return [Node("list", {}, [bundle_of(stream.network, as_jid(user.attrs["jid"])) for user in asked.children])]
    identity, keys, signed = query.child("identity"), query.child("list"), query.child("skey")
    rotated = query.child("rotate")
    signed = rotated.child("skey") if rotated is not None else signed
    if signed is not None:
        companion.signed_pre_key = read_key(signed)
    if identity is not None:
        companion.identity = identity.data
        companion.registration_id = integer(query.child("registration"))
    for key in keys.children if keys is not None else []:
        key_id, public, _ = read_key(key)
        companion.pre_keys[key_id] = public
    return []


def _usync(stream: Stream, query: Node) -> Answer:
    usync = query.child("usync")
    asked = usync.child("query") if usync is not None else None
    users = usync.child("list") if usync is not None else None
    if usync is None or asked is None or users is None:
        return []
    attrs: dict[str, Value] = {"sid": usync.text("sid"), "mode": usync.text("mode"), "last": "true", "index": "0"}
    found = [_user(stream.network, user, asked) for user in users.children]
    return [Node("usync", attrs, [Node("result"), Node("list", {}, found)])]


def _user(network: NetworkState, user: Node, asked: Node) -> Node:
    contact, jid = user.child("contact"), user.attrs.get("jid")
    if contact is not None and contact.data:
        return _contact(network, contact, asked)
    address = as_jid(jid) if jid is not None else SERVER_JID
    account = network.find(address)
    children = [Node(word.tag) for word in asked.children if word.tag == "contact"]
    if asked.child("devices") is not None:
        devices = (0, *account.companions) if account is not None else ()
        listed = [Node("device", {"id": str(n), "key-index": str(n)} if n else {"id": "0"}) for n in devices]
        children.append(Node("devices", {}, [Node("device-list", {}, listed)]))
    if account is not None:
        if asked.child("lid") is not None:
            children.append(Node("lid", {"val": account.lid_jid}))
        if asked.child("status") is not None:
            children.append(Node("status", {}, account.about.encode()))
        if asked.child("picture") is not None and account.picture is not None and not account.picture_hidden:
            children.append(Node("picture", {"id": account.picture.id}))
    return Node("user", {"jid": address}, children)


def _contact(network: NetworkState, contact: Node, asked: Node) -> Node:
    """Is this number on WhatsApp? A client that speaks LID gets the LID, and the number beside it."""
    number = contact.data.decode()
    try:
        account = network.look_up(digits(number))
    except ValueError:
        account = None
    mode = asked.child("contact")
    by_lid = mode is not None and mode.attrs.get("addressing_mode") == LID
    children = [Node("contact", {"type": "in" if account else "out"}, contact.data)]
    if account is None:
        return Node("user", {"jid": Jid("".join(filter(str.isdigit, number)), USER)}, children)
    if asked.child("lid") is not None:
        children.append(Node("lid", {"val": account.lid_jid}))
    if by_lid:
        return Node("user", {"jid": account.lid_jid, "pn_jid": account.jid}, children)
    return Node("user", {"jid": account.jid}, children)


def _privacy(stream: Stream, query: Node) -> Answer:
    if query.attrs.get("type") == "set":
        return []
    return [Node("privacy", {}, [Node("category", {"name": name, "value": "all"}) for name in _PRIVACY])]


def _devices(stream: Stream, query: Node) -> Answer:
    removed, linking = query.child("remove-companion-device"), query.child("link_code_companion_reg")
    if removed is not None and stream.companion is not None:
        unlink(stream.companion.account, stream.companion)
    if linking is not None and stream.pairing is not None:
        return link_code.take(stream.network, stream, stream.pairing, linking)
    return []


def unlink(account: Account, companion: Companion) -> None:
    """The companion no longer belongs to the phone; a later login of it fails with 401."""
    account.companions.pop(companion.device, None)
    account.bell.ring()


def _media(stream: Stream, query: Node) -> Answer:
    return [stream.network.media.describe(stream.companion.account)] if stream.companion is not None else []


_ANSWERS: dict[str, Callable[[Stream, Node], Answer]] = {
    "encrypt": _encrypt,
    "usync": _usync,
    "privacy": _privacy,
    "md": _devices,
    "w:profile:picture": profiles.answer_picture,
    "w:mex": profiles.answer_graph,
    "blocklist": blocklist.answer,
    "w:g2": group_queries.answer,
    "w:m": _media,
    "w:sync:app:state": app_state.answer,
}
