"""Sender keys, with which a message to a group is encrypted once for everybody.

Each device has, for each group, a chain of its own: it tells every other device the chain's present link, in a
`SenderKeyDistributionMessage` that travels within an ordinary encrypted letter, and from then on all can follow.
Source: libsignal's groups/ and whatsmeow's send.go (sendGroup) and message.go (decryptGroupMsg).

As in ratchet.py, keys of skipped messages are not kept and signatures of others are not checked.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from chatbot_erp.sandbox.keys import DJB, KeyPair, hkdf
from chatbot_erp.sandbox.ratchet import CannotDecrypt, cbc_decrypt, cbc_encrypt
from chatbot_erp.sandbox.wire import proto

_VERSION = b"\x33"
_SIGNATURE_SIZE = 64


@dataclass(slots=True)
class _Chain:
    key_id: int
    key: bytes
    iteration: int = 0

    def step_to(self, iteration: int) -> None:
        for _ in range(iteration - self.iteration):
            self.key = hmac.digest(self.key, b"\x02", "sha256")
        self.iteration = iteration

    def message_keys(self) -> tuple[bytes, bytes]:
        seed = hmac.digest(self.key, b"\x01", "sha256")
        derived = hkdf(seed, salt=b"", info=b"WhisperGroup", length=48)
        return derived[:16], derived[16:]


class SendingChain:
    """What one phone writes to one group with, and which devices know it."""

    def __init__(self) -> None:
        self._chain = _Chain(secrets.randbelow(1 << 31), secrets.token_bytes(32))
        self._signing = KeyPair.generate()
        self.known_to: set[tuple[str, int]] = set()

    def distribution(self, group: str) -> bytes:
        """A `Message` that tells a device the chain as it is now."""
        told: bytes = proto.SenderKeyDistributionMessage(
            id=self._chain.key_id,
            iteration=self._chain.iteration,
            chainKey=self._chain.key,
            signingKey=DJB + self._signing.public,
        ).SerializeToString()
        message = proto.Message()
        message.senderKeyDistributionMessage.groupId = group
        message.senderKeyDistributionMessage.axolotlSenderKeyDistributionMessage = _VERSION + told
        out: bytes = message.SerializeToString()
        return out

    def encrypt(self, plaintext: bytes) -> bytes:
        """One ciphertext for all who know the chain."""
        iv, key = self._chain.message_keys()
        body: bytes = proto.SenderKeyMessage(
            id=self._chain.key_id, iteration=self._chain.iteration, ciphertext=cbc_encrypt(key, iv, plaintext)
        ).SerializeToString()
        self._chain.step_to(self._chain.iteration + 1)
        return _VERSION + body + self._signing.sign(_VERSION + body)


class SenderKeys:
    """All chains that one phone knows."""

    def __init__(self) -> None:
        self._own: dict[str, SendingChain] = {}
        self._others: dict[tuple[str, str, int], _Chain] = {}

    def own(self, group: str) -> SendingChain:
        """The chain for writing to a group, begun when it is first asked for."""
        return self._own.setdefault(group, SendingChain())

    def renew(self, group: str) -> None:
        """Somebody has left: what is written from now on shall be nothing to them."""
        self._own.pop(group, None)

    def learn(self, group: str, sender: tuple[str, int], message: bytes) -> None:
        """Take the chain out of a `Message`, if there is one in it."""
        parsed = proto.Message.FromString(message)
        if parsed.HasField("senderKeyDistributionMessage"):
            told = parsed.senderKeyDistributionMessage.axolotlSenderKeyDistributionMessage
            chain = proto.SenderKeyDistributionMessage.FromString(told[1:])
            self._others[group, *sender] = _Chain(chain.id, chain.chainKey, chain.iteration)

    def decrypt(self, group: str, sender: tuple[str, int], ciphertext: bytes) -> bytes:
        """The plaintext. Raises `CannotDecrypt` where the sender's chain is not known, or is further on."""
        message = proto.SenderKeyMessage.FromString(ciphertext[1:-_SIGNATURE_SIZE])
        chain = self._others.get((group, *sender))
        if chain is None or chain.key_id != message.id or message.iteration < chain.iteration:
            raise CannotDecrypt("no sender key opens the message")
        chain.step_to(message.iteration)
        iv, key = chain.message_keys()
        plaintext = cbc_decrypt(key, iv, message.ciphertext)
        chain.step_to(message.iteration + 1)
        return plaintext

    def forget(self, lid: str) -> None:
        """Lose the chains of all devices of an account."""
        self._others = {key: chain for key, chain in self._others.items() if key[1] != lid}
