"""Linking by an eight-character code instead of a camera.

Source: whatsmeow's pair-code.go, read from the phone's side. The code is a password: with it both sides encrypt
the public keys of a Diffie-Hellman (PBKDF2, AES-CTR), so that whoever does not know it cannot stand in between. The
companion then sends its keys under the shared secret, and the link goes on as after a QR code.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from chatbot_erp.sandbox.control import Linked
from chatbot_erp.sandbox.jid import SERVER_JID, parse_jid
from chatbot_erp.sandbox.keys import KeyPair, hkdf
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.pairing import Pairing, PairingFailed

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account
    from chatbot_erp.sandbox.network import NetworkState
    from chatbot_erp.sandbox.stream import Stream

_TAG = "link_code_companion_reg"
_ROUNDS = 1 << 17
_WRONG_CODE = "That is not the code the companion shows."


class ShownCode:
    """A companion shows a code, and waits for a phone that knows it."""

    def __init__(self, stream: Stream, pairing: Pairing, wrapped_key: bytes) -> None:
        self.stream = stream
        self.pairing = pairing
        self.reference = secrets.token_urlsafe(16).encode()
        self.wrapped_key = wrapped_key
        self._finish: asyncio.Future[Node] | None = None

    async def enter(self, account: Account, code: str) -> asyncio.Future[Linked]:
        """A phone tries a code. The future is done when the companion has accepted the link."""
        if self._finish is not None:
            raise PairingFailed("A phone is entering a code for this companion already.")
        loop = asyncio.get_running_loop()
        self._finish = loop.create_future()
        try:
            # PBKDF2 is slow on purpose, and others are waiting for this loop.
            theirs = await loop.run_in_executor(None, _unwrap, code, self.wrapped_key)
            ephemeral = KeyPair.generate()
            ours = await loop.run_in_executor(None, _wrap, code, ephemeral.public)
            self.stream.send(self._hello(account, ours))
            finish = await self._finish
            return self.pairing.offer(account, self._adv_secret(account, ephemeral.shared(theirs), finish))
        finally:
            self._finish = None

    def take_finish(self, finish: Node) -> None:
        """The companion has answered with its keys."""
        if self._finish is not None and not self._finish.done():
            self._finish.set_result(finish)

    def abandon(self) -> None:
        """The companion is gone."""
        if self._finish is not None and not self._finish.done():
            self._finish.set_exception(PairingFailed("The companion hung up before it was linked."))

    def _hello(self, account: Account, wrapped_key: bytes) -> Node:
        attrs: dict[str, Value] = {
            "from": SERVER_JID,
            "type": _TAG,
            "id": self.stream.next_id(),
            "t": str(int(time.time())),
        }
        children = [
            Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped_key),
            Node("primary_identity_pub", {}, account.identity.key.public),
            Node("link_code_pairing_ref", {}, self.reference),
        ]
        return Node("notification", attrs, [Node(_TAG, {"stage": "primary_hello"}, children)])

    def _adv_secret(self, account: Account, shared: bytes, finish: Node) -> bytes:
        bundle = finish.child("link_code_pairing_wrapped_key_bundle")
        sealed = bundle.data if bundle is not None else b""
        key = hkdf(shared, salt=sealed[:32], info=b"link_code_pairing_key_bundle_encryption_key", length=32)
        try:
            opened = AESGCM(key).decrypt(sealed[32:44], sealed[44:], None)
        except (InvalidTag, ValueError):
            raise PairingFailed(_WRONG_CODE) from None
        companion, phone, random = opened[:32], opened[32:64], opened[64:]
        if companion != self.pairing.identity or phone != account.identity.key.public:
            raise PairingFailed("The keys the companion sent are not those of this link.")
        secret = shared + account.identity.key.shared(companion) + random
        return hkdf(secret, salt=b"", info=b"adv_secret", length=32)


def take(network: NetworkState, stream: Stream, pairing: Pairing, query: Node) -> list[Node]:
    """One step of the companion's side."""
    number = parse_jid(query.text("jid")).user
    shown = network.codes.get(number)
    if query.attrs.get("stage") == "companion_hello":
        key = query.child("link_code_pairing_wrapped_companion_ephemeral_pub")
        shown = network.codes[number] = ShownCode(stream, pairing, key.data if key is not None else b"")
        return [Node(_TAG, {"stage": "companion_hello"}, [Node("link_code_pairing_ref", {}, shown.reference)])]
    if shown is not None and shown.stream is stream:
        shown.take_finish(query)
    return []


async def enter(network: NetworkState, account: Account, code: str) -> asyncio.Future[Linked]:
    """Type a code into a phone: "ABCD-EFGH", with or without the hyphen."""
    shown = next((s for number, s in network.codes.items() if network.look_up(number) is account), None)
    if shown is None:
        raise PairingFailed(f"No companion shows a pairing code for {account.number}.")
    return await shown.enter(account, code.strip().replace("-", "").upper())


def _wrap(code: str, public: bytes) -> bytes:
    salt, nonce = secrets.token_bytes(32), secrets.token_bytes(16)
    return salt + nonce + _ctr(code, salt, nonce, public)


def _unwrap(code: str, wrapped: bytes) -> bytes:
    if len(wrapped) != 80:
        raise PairingFailed("The companion sent no key with its code.")
    return _ctr(code, wrapped[:32], wrapped[32:48], wrapped[48:])


def _ctr(code: str, salt: bytes, nonce: bytes, data: bytes) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", code.encode(), salt, _ROUNDS, 32)
    cipher = Cipher(AES(key), CTR(nonce)).encryptor()
    return cipher.update(data) + cipher.finalize()
