"""The settings that a phone shares with its companions: here, the name its owner goes by.

A companion may not show itself online before it knows that name, and gets it nowhere else. It is told the key by a
message from the phone, then asks for all collections of settings; the one that is not empty has one patch, whose MACs
and hash it checks (whatsmeow, appstate/: encode.go EncodePatch, hash.go, lthash/, keys.go; message.go
handleAppStateSyncKeyShare; appstate.go fetchAppStatePatches).
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING

from chatbot_erp.sandbox.keys import hkdf
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.ratchet import cbc_encrypt
from chatbot_erp.sandbox.wire import proto

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account
    from chatbot_erp.sandbox.stream import Stream

_COLLECTION = "critical_block"
_VERSION = 1
_SET = b"\x01"


class AppState:
    """One account's settings, and the key to them."""

    def __init__(self) -> None:
        self._key_id = secrets.token_bytes(6)
        self._key = secrets.token_bytes(32)
        self._patch: bytes | None = None

    def key_share(self) -> bytes:
        """The message that gives a companion the key."""
        message = proto.Message()
        message.protocolMessage.type = proto.Message.ProtocolMessage.Type.APP_STATE_SYNC_KEY_SHARE
        shared = message.protocolMessage.appStateSyncKeyShare.keys.add()
        shared.keyId.keyId, shared.keyData.keyData = self._key_id, self._key
        shared.keyData.timestamp = int(time.time() * 1000)
        shared.keyData.fingerprint.rawId = 1
        out: bytes = message.SerializeToString()
        return out

    def patch(self, name: str) -> bytes:
        """The settings, encrypted: as they were when a companion first asked."""
        if self._patch is None:
            self._patch = self._encode(name)
        return self._patch

    def _encode(self, name: str) -> bytes:
        keys = hkdf(self._key, salt=b"", info=b"WhatsApp Mutation Keys", length=160)
        index_key, cipher_key, value_key, snapshot_key, patch_key = (keys[at : at + 32] for at in range(0, 160, 32))
        action = proto.SyncActionData(index=json.dumps(["setting_pushName"]).encode(), version=1, padding=b"")
        action.value.timestamp = int(time.time() * 1000)
        action.value.pushNameSetting.name = name
        iv = secrets.token_bytes(16)
        content = iv + cbc_encrypt(cipher_key, iv, action.SerializeToString())
        length = (len(self._key_id) + 1).to_bytes(8, "big")
        value_mac = hmac.digest(value_key, _SET + self._key_id + content + length, "sha512")[:32]

        where = _VERSION.to_bytes(8, "big") + _COLLECTION.encode()
        # The hash of a collection is the sum of its values' hashes; with one value, that one's.
        total = hkdf(value_mac, salt=b"", info=b"WhatsApp Patch Integrity", length=128)
        snapshot_mac = hmac.digest(snapshot_key, total + where, "sha256")
        patch = proto.SyncdPatch(snapshotMac=snapshot_mac)
        patch.version.version, patch.keyId.id = _VERSION, self._key_id
        patch.patchMac = hmac.digest(patch_key, snapshot_mac + value_mac + where, "sha256")
        mutation = patch.mutations.add(operation=proto.SyncdMutation.SyncdOperation.SET)
        mutation.record.index.blob = hmac.digest(index_key, action.index, "sha256")
        mutation.record.value.blob = content + value_mac
        mutation.record.keyId.id = self._key_id
        out: bytes = patch.SerializeToString()
        return out


def answer(stream: Stream, query: Node) -> list[Node]:
    """Answer a companion that asks for collections; what it wants to change itself is not taken."""
    sync = query.child("sync")
    if sync is None or stream.companion is None:
        return []
    account = stream.companion.account
    return [Node("sync", {}, [_collection(account, asked) for asked in sync.children])]


def _collection(account: Account, asked: Node) -> Node:
    name, known = asked.text("name"), int(asked.text("version") or 0)
    if name != _COLLECTION:
        return Node("collection", {"name": name, "version": str(known)})
    attrs: dict[str, Value] = {"name": name, "version": str(_VERSION)}
    if known >= _VERSION:
        return Node("collection", attrs)
    return Node("collection", attrs, [Node("patches", {}, [Node("patch", {}, account.app_state.patch(account.name))])])
