"""The Noise channel between a client and the server: Noise_XX_25519_AESGCM_SHA256, the server's side.

Source: the Noise specification and whatsmeow's socket/noisehandshake.go and handshake.go. The header of the stream is
hashed in first; the server's encrypted payload is a chain of two certificates, whose root the client has
pinned (WACertPubKey): see `trust.py`.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatbot_erp.sandbox.keys import KeyPair, hkdf
from chatbot_erp.sandbox.wire import proto

_PATTERN = b"Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"
_YEAR_S = 365 * 24 * 3600


class ServerIdentity:
    """The keys of this network's server and the certificates that vouch for them."""

    def __init__(self) -> None:
        root, intermediate = KeyPair.generate(), KeyPair.generate()
        self.root_key = root.public
        self.static = KeyPair.generate()
        chain = proto.CertChain()
        _certify(chain.intermediate, key=intermediate.public, serial=1, issuer_serial=0, issuer=root)
        _certify(chain.leaf, key=self.static.public, serial=2, issuer_serial=1, issuer=intermediate)
        self.certificates: bytes = chain.SerializeToString()


def _certify(certificate: Any, *, key: bytes, serial: int, issuer_serial: int, issuer: KeyPair) -> None:
    now = int(time.time())
    certificate.details = proto.CertChain.NoiseCertificate.Details(
        serial=serial, issuerSerial=issuer_serial, key=key, notBefore=now - _YEAR_S, notAfter=now + _YEAR_S
    ).SerializeToString()
    certificate.signature = issuer.sign(certificate.details)


class Channel:
    """Encryption after the handshake: a key and a counter each way, no associated data."""

    def __init__(self, ours: bytes, theirs: bytes) -> None:
        self._ours, self._theirs = AESGCM(ours), AESGCM(theirs)
        self._sent = self._received = 0

    def encrypt(self, plaintext: bytes) -> bytes:
        nonce = self._sent.to_bytes(12, "big")
        self._sent += 1
        return self._ours.encrypt(nonce, plaintext, None)

    def decrypt(self, ciphertext: bytes) -> bytes:
        nonce = self._received.to_bytes(12, "big")
        self._received += 1
        return self._theirs.decrypt(nonce, ciphertext, None)


class Handshake:
    """One client's handshake: `hello` answers its first frame, `finish` reads its second."""

    def __init__(self, identity: ServerIdentity, header: bytes) -> None:
        self._identity = identity
        self._ephemeral = KeyPair.generate()
        self._hash = self._salt = self._key = _PATTERN
        self._counter = 0
        self._mix_hash(header)

    def hello(self, frame: bytes) -> bytes:
        """Answer the client's ephemeral key with ours, our static key and its certificates."""
        theirs: bytes = proto.HandshakeMessage.FromString(frame).clientHello.ephemeral
        self._mix_hash(theirs)
        self._mix_hash(self._ephemeral.public)
        self._mix_key(self._ephemeral.shared(theirs))
        static = self._encrypt(self._identity.static.public)
        self._mix_key(self._identity.static.shared(theirs))
        payload = self._encrypt(self._identity.certificates)
        reply = proto.HandshakeMessage()
        reply.serverHello.ephemeral = self._ephemeral.public
        reply.serverHello.static = static
        reply.serverHello.payload = payload
        out: bytes = reply.SerializeToString()
        return out

    def finish(self, frame: bytes) -> tuple[bytes, Any, Channel]:
        """The client's static key, its ClientPayload (who it is and what it wants) and the channel."""
        finish = proto.HandshakeMessage.FromString(frame).clientFinish
        static = self._decrypt(finish.static)
        self._mix_key(self._ephemeral.shared(static))
        payload = proto.ClientPayload.FromString(self._decrypt(finish.payload))
        keys = hkdf(b"", salt=self._salt, info=b"", length=64)
        return static, payload, Channel(ours=keys[32:], theirs=keys[:32])

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_key(self, shared: bytes) -> None:
        derived = hkdf(shared, salt=self._salt, info=b"", length=64)
        self._salt, self._key = derived[:32], derived[32:]
        self._counter = 0

    def _encrypt(self, plaintext: bytes) -> bytes:
        out = AESGCM(self._key).encrypt(self._nonce(), plaintext, self._hash)
        self._mix_hash(out)
        return out

    def _decrypt(self, ciphertext: bytes) -> bytes:
        out = AESGCM(self._key).decrypt(self._nonce(), ciphertext, self._hash)
        self._mix_hash(ciphertext)
        return out

    def _nonce(self) -> bytes:
        nonce = self._counter.to_bytes(12, "big")
        self._counter += 1
        return nonce
