"""Pre-key bundles on the wire: what somebody needs to begin a Signal session with a device.

Source: whatsmeow's prekeys.go and retry.go, read from the other side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatbot_erp.sandbox.jid import Jid
from chatbot_erp.sandbox.keys import DJB
from chatbot_erp.sandbox.nodes import Node
from chatbot_erp.sandbox.ratchet import Bundle

if TYPE_CHECKING:
    from chatbot_erp.sandbox.network import NetworkState


def bundle_of(network: NetworkState, jid: Jid) -> Node:
    """What somebody needs to write to one device; nodeToPreKeyBundle in whatsmeow reads it."""
    account = network.find(jid)
    if account is not None and jid.device == 0:
        identity = account.identity
        return _user_keys(
            jid,
            identity.registration_id,
            identity.key.public,
            (identity.signed_pre_key_id, identity.signed_pre_key.public, account.signed_pre_key_signature),
        )
    companion = account.companions.get(jid.device) if account is not None else None
    if companion is None or not companion.signed_pre_key[1]:
        return Node("user", {"jid": jid}, [Node("error", {"code": "404", "text": "item-not-found"})])
    bundle = companion.bundle()
    pre_key = None if bundle.pre_key is None else (bundle.pre_key_id or 0, bundle.pre_key)
    return _user_keys(jid, companion.registration_id, companion.identity, companion.signed_pre_key, pre_key)


def _user_keys(
    jid: Jid,
    registration_id: int,
    identity: bytes,
    signed: tuple[int, bytes, bytes],
    pre_key: tuple[int, bytes] | None = None,
) -> Node:
    children = [
        Node("registration", {}, registration_id.to_bytes(4, "big")),
        Node("type", {}, DJB),
        Node("identity", {}, identity),
    ]
    if pre_key is not None:
        children.append(write_key("key", *pre_key))
    children.append(write_key("skey", *signed))
    return Node("user", {"jid": jid}, children)


def write_key(tag: str, key_id: int, public: bytes, signature: bytes | None = None) -> Node:
    """A pre-key as clients read it; a signed one has a signature."""
    children = [Node("id", {}, key_id.to_bytes(3, "big")), Node("value", {}, public)]
    if signature is not None:
        children.append(Node("signature", {}, signature))
    return Node(tag, {}, children)


def read_key(node: Node) -> tuple[int, bytes, bytes]:
    """The id, the key and (of a signed one) the signature."""
    value, signature = node.child("value"), node.child("signature")
    return (
        integer(node.child("id")),
        value.data if value is not None else b"",
        signature.data if signature is not None else b"",
    )


def integer(node: Node | None) -> int:
    """A number that was written as big-endian bytes."""
    return int.from_bytes(node.data, "big") if node is not None else 0


def bundle_in(receipt: Node) -> Bundle | None:
    """From its second request on a companion encloses fresh keys (whatsmeow, retry.go)."""
    keys, registration = receipt.child("keys"), receipt.child("registration")
    if keys is None or registration is None:
        return None
    identity, key, signed = keys.child("identity"), keys.child("key"), keys.child("skey")
    if identity is None or key is None or signed is None:
        return None
    return Bundle(
        registration_id=int.from_bytes(registration.data, "big"),
        identity=identity.data,
        signed_pre_key_id=integer(signed.child("id")),
        signed_pre_key=_bytes(signed, "value"),
        pre_key_id=integer(key.child("id")),
        pre_key=_bytes(key, "value"),
    )


def _bytes(node: Node, tag: str) -> bytes:
    child = node.child(tag)
    return child.data if child is not None else b""
