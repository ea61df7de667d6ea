"""Signal sessions, as a phone keeps them: X3DH to begin, the double ratchet to go on.

Source: the Signal specifications "X3DH" and "The Double Ratchet Algorithm", with libsignal's version 3 details: the
labels below, an 8-byte MAC over both identities, protobuf envelopes behind a version byte.

Why not a library: pyaileys has one, but it serialises the whole session to protobuf at every message. Here a session
is a plain object, a message costs some ten HMACs, and a Diffie-Hellman only when the direction turns.

Two things are left out on purpose. Keys of skipped messages are not kept: the stream is in order, and a
message that went elsewhere is never shown later. The other side's signatures are not checked: the network made or
relayed them itself.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from chatbot_erp.sandbox.keys import DJB, KeyPair, hkdf
from chatbot_erp.sandbox.wire import proto

_VERSION = b"\x33"
_MAC_SIZE = 8
_CHAINS_KEPT = 5
_SESSIONS_KEPT = 5


class CannotDecrypt(Exception):
    """Raised when no session with that device opens the message."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What one device is to Signal: its long-term key, its signed pre-key and its registration id."""

    key: KeyPair
    signed_pre_key: KeyPair
    registration_id: int
    signed_pre_key_id: int = 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a device has published so that others can begin a session while it is away."""

    registration_id: int
    identity: bytes
    signed_pre_key_id: int
    signed_pre_key: bytes
    pre_key_id: int | None = None
    pre_key: bytes | None = None


@dataclass(slots=True)
class _Session:
    local: bytes
    remote: bytes
    base_key: bytes
    root: bytes
    ratchet: KeyPair
    sending: bytes
    sent: int = 0
    sent_before: int = 0
    # Chains of the other side by their ratchet key: [chain key, next counter].
    receiving: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    # Until the other side has answered, each message repeats how the session began.
    opening: tuple[int, int, int | None] | None = None


class Sessions:
    """A phone's sessions with one device: the current one and a few before it, for messages that crossed."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._sessions: list[_Session] = []

    @property
    def ready(self) -> bool:
        return bool(self._sessions)

    def open(self, bundle: Bundle) -> None:
        """Begin a session with a device that has not written yet (X3DH, the side of Alice)."""
        me, base, ratchet = self._identity, KeyPair.generate(), KeyPair.generate()
        secret = b"\xff" * 32 + me.key.shared(bundle.signed_pre_key)
        secret += base.shared(bundle.identity) + base.shared(bundle.signed_pre_key)
        if bundle.pre_key is not None:
            secret += base.shared(bundle.pre_key)
        root, receiving = _begin(secret)
        root, sending = _turn(root, ratchet.shared(bundle.signed_pre_key))
        session = _Session(
            local=DJB + me.key.public,
            remote=DJB + bundle.identity[-32:],
            base_key=DJB + base.public,
            root=root,
            ratchet=ratchet,
            sending=sending,
            receiving={DJB + bundle.signed_pre_key[-32:]: (receiving, 0)},
            opening=(bundle.registration_id, bundle.signed_pre_key_id, bundle.pre_key_id),
        )
        self._use(session)

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """The type ("msg", or "pkmsg" while the session is unanswered) and the ciphertext."""
        session = self._sessions[0]
        cipher_key, mac_key, iv = _message_keys(session.sending)
        body: bytes = proto.SignalMessage(
            ratchetKey=DJB + session.ratchet.public,
            counter=session.sent,
            previousCounter=session.sent_before,
            ciphertext=cbc_encrypt(cipher_key, iv, plaintext),
        ).SerializeToString()
        session.sending = _next(session.sending)
        session.sent += 1
        message = _VERSION + body + _mac(mac_key, session.local, session.remote, _VERSION + body)
        if session.opening is None:
            return "msg", message
        _, signed_pre_key_id, pre_key_id = session.opening
        wrapped: bytes = proto.PreKeySignalMessage(
            registrationId=self._identity.registration_id,
            preKeyId=pre_key_id,
            signedPreKeyId=signed_pre_key_id,
            baseKey=session.base_key,
            identityKey=session.local,
            message=message,
        ).SerializeToString()
        return "pkmsg", _VERSION + wrapped

    def decrypt(self, kind: str, ciphertext: bytes) -> bytes:
        """The plaintext. A message that opens in no session changes nothing."""
        if kind == "pkmsg":
            opening = proto.PreKeySignalMessage.FromString(ciphertext[1:])
            ciphertext = opening.message
            known = next((s for s in self._sessions if s.base_key == opening.baseKey), None)
            if known is None:
                answered = self._answer(opening)
                plaintext = _open(answered, ciphertext)
                if plaintext is None:
                    raise CannotDecrypt("the message does not fit the session it opens")
                self._use(answered)
                return plaintext
        for session in self._sessions:
            plaintext = _open(session, ciphertext)
            if plaintext is not None:
                session.opening = None
                if session is not self._sessions[0]:
                    self._use(session)
                return plaintext
        raise CannotDecrypt("no session opens the message")

    def _use(self, session: _Session) -> None:
        others = [other for other in self._sessions if other is not session]
        self._sessions = [session, *others[: _SESSIONS_KEPT - 1]]

    def _answer(self, opening: proto.PreKeySignalMessage) -> _Session:
        """The session that the other side has begun (X3DH, the side of Bob). Phones publish no one-time keys."""
        me = self._identity
        secret = b"\xff" * 32 + me.signed_pre_key.shared(opening.identityKey)
        secret += me.key.shared(opening.baseKey) + me.signed_pre_key.shared(opening.baseKey)
        root, sending = _begin(secret)
        return _Session(
            local=DJB + me.key.public,
            remote=opening.identityKey,
            base_key=opening.baseKey,
            root=root,
            ratchet=me.signed_pre_key,
            sending=sending,
        )


def damage(kind: str, ciphertext: bytes) -> bytes:
    """The same message with a wrong MAC: it looks right and no session opens it."""
    if kind == "msg":
        return ciphertext[:-1] + bytes((ciphertext[-1] ^ 1,))
    opening = proto.PreKeySignalMessage.FromString(ciphertext[1:])
    opening.message = damage("msg", opening.message)
    body: bytes = opening.SerializeToString()
    return ciphertext[:1] + body


def _open(session: _Session, message: bytes) -> bytes | None:
    """Decrypt within one session and step it on, or leave it as it is and return None."""
    body, mac = message[1:-_MAC_SIZE], message[-_MAC_SIZE:]
    signal = proto.SignalMessage.FromString(body)
    theirs: bytes = signal.ratchetKey
    turned: tuple[bytes, bytes] | None = None
    known = session.receiving.get(theirs)
    if known is None:
        turned = _turn(session.root, session.ratchet.shared(theirs))
        known = turned[1], 0
    chain, counter = known
    if signal.counter < counter:
        return None
    for _ in range(signal.counter - counter):
        chain = _next(chain)
    cipher_key, mac_key, iv = _message_keys(chain)
    if not hmac.compare_digest(mac, _mac(mac_key, session.remote, session.local, message[:1] + body)):
        return None
    if turned is not None:
        session.ratchet = KeyPair.generate()
        session.root, session.sending = _turn(turned[0], session.ratchet.shared(theirs))
        session.sent_before, session.sent = max(session.sent - 1, 0), 0
        if len(session.receiving) >= _CHAINS_KEPT:
            del session.receiving[next(iter(session.receiving))]
    session.receiving[theirs] = _next(chain), signal.counter + 1
    return cbc_decrypt(cipher_key, iv, signal.ciphertext)


def _begin(secret: bytes) -> tuple[bytes, bytes]:
    derived = hkdf(secret, salt=b"", info=b"WhisperText", length=64)
    return derived[:32], derived[32:]


def _turn(root: bytes, shared: bytes) -> tuple[bytes, bytes]:
    derived = hkdf(shared, salt=root, info=b"WhisperRatchet", length=64)
    return derived[:32], derived[32:]


def _next(chain: bytes) -> bytes:
    return hmac.digest(chain, b"\x02", "sha256")


def _message_keys(chain: bytes) -> tuple[bytes, bytes, bytes]:
    derived = hkdf(hmac.digest(chain, b"\x01", "sha256"), salt=b"", info=b"WhisperMessageKeys", length=80)
    return derived[:32], derived[32:64], derived[64:]


def _mac(key: bytes, sender: bytes, receiver: bytes, framed: bytes) -> bytes:
    return hmac.digest(key, sender + receiver + framed, "sha256")[:_MAC_SIZE]


def cbc_encrypt(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    fill = 16 - len(plaintext) % 16
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return encryptor.update(plaintext + bytes((fill,)) * fill) + encryptor.finalize()


def cbc_decrypt(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    plaintext = decryptor.update(ciphertext) + decryptor.finalize()
    return plaintext[: -plaintext[-1]]
