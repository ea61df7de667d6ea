"""Curve25519: key pairs, shared secrets and the signatures that Signal makes with the same keys (XEdDSA)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from pyaileys.crypto.curve25519_signature import curve25519_sign

# The type byte that Signal writes before a Curve25519 public key.
DJB = b"\x05"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and the 32 bytes of its public half."""

    private: X25519PrivateKey
    public: bytes

    @classmethod
    def generate(cls) -> KeyPair:
        private = X25519PrivateKey.generate()
        return cls(private, private.public_key().public_bytes_raw())

    def shared(self, public: bytes) -> bytes:
        """The secret shared with the owner of `public` (32 bytes, or 33 with Signal's type byte)."""
        return self.private.exchange(X25519PublicKey.from_public_bytes(public[-32:]))

    def sign(self, message: bytes) -> bytes:
        """Some 3 ms in pure Python: once for a key or a pairing, never for a message."""
        signature: bytes = curve25519_sign(self.private.private_bytes_raw(), message)
        return signature


def hkdf(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869). One-shot HMACs: the `cryptography` class costs several times as much per message."""
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    out = block = b""
    for counter in range(1, -(-length // hashlib.sha256().digest_size) + 1):
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        out += block
    return out[:length]
