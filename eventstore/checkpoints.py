"""Signed statements of how the chain stood at a position.

The chain alone cannot show that its newest part was rewritten with new hashes. Whoever keeps a checkpoint can: the
rewritten log no longer has the signed hash at that position. The signature is Ed25519 over the UTF-8 bytes of `text`.
"""

import os
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.database import sync_directory
from chatbot_erp.eventstore.errors import LogCorrupt

FILE = "checkpoint.key"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of `key` says: at `position` the chain's hash was `hash`. Hashes, keys and signatures are hex."""

    position: int
    hash: str
    at: datetime
    """When the event at `position` was recorded."""
    key: str
    """The public key, 32 bytes."""
    signature: str

    def text(self) -> str:
        """What is signed: three lines, each with an LF."""
        return signed_text(self.position, self.hash, self.at)

    def is_genuine(self) -> bool:
        """Whether the owner of `key` signed exactly this."""
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))
            key.verify(bytes.fromhex(self.signature), self.text().encode())
        except (InvalidSignature, ValueError):
            return False
        return True


def signed_text(position: int, chain_hash: str, at: datetime) -> str:
    """The signed statement."""
    return f"chatbot-erp checkpoint 1\n{position} {chain_hash}\n{moment(at)}\n"


def from_row(row: tuple[int, bytes, str, bytes, bytes]) -> Checkpoint:
    """A row of the table `checkpoints`. Raises ValueError for what is no moment."""
    position, chain_hash, at, key, signature = row
    return Checkpoint(
        position=position,
        hash=chain_hash.hex(),
        at=datetime.fromisoformat(at),
        key=key.hex(),
        signature=signature.hex(),
    )


class Signer:
    """Holds the private key of one log."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key().public_bytes_raw()

    @classmethod
    def open(cls, directory: Path) -> "Signer":
        """The key of `directory`, made at the first start (mode 0600). Raises OSError, LogCorrupt."""
        path = directory / FILE
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            private = Ed25519PrivateKey.generate()
            _write(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            return cls(private)
        try:
            loaded = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            loaded = None
        if not isinstance(loaded, Ed25519PrivateKey):
            raise LogCorrupt(f"{path} holds no Ed25519 key; put it right, or move it away and a new one is made.")
        return cls(loaded)

    def place(self, directory: Path) -> str:
        """By which the directory of the key is known again; a copy of it is another one. Raises OSError."""
        return f"{self._public.hex()}/{(directory / FILE).stat().st_ino}"

    def row(self, position: int, chain_hash: bytes, at: datetime) -> tuple[int, bytes, str, bytes, bytes]:
        """A signed row for the table `checkpoints`."""
        signature = self._private.sign(signed_text(position, chain_hash.hex(), at).encode())
        return position, chain_hash, moment(at), self._public, signature


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a half-written key would stop every later start."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)
