"""Votes in polls, which only those who have the poll can read.

Whoever asks puts a secret into the poll; a vote names the hashes of its options, encrypted under a key derived from that
secret, the poll's id and the addresses of who asked and who answers (whatsmeow, msgsecret.go generateMsgSecretKey,
EncryptPollVote and HashPollOptions).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatbot_erp.sandbox.contents import Content, Poll
from chatbot_erp.sandbox.control import InboxMessage
from chatbot_erp.sandbox.keys import hkdf
from chatbot_erp.sandbox.wire import proto


def vote(poll: InboxMessage, voter: str, options: Sequence[str]) -> Any:
    """The message with which `voter` (a JID) chooses these options, or takes its choice back when there are none."""
    if poll.content.poll is None:
        raise ValueError(f"{poll.id} is a {poll.kind}, not a poll.")
    choice = proto.Message.PollVoteMessage(selectedOptions=[_hash(option) for option in options])
    key, context = _key(poll.content.poll.secret, poll.id, poll.sender_jid, voter)
    message, iv = proto.Message(), secrets.token_bytes(12)
    update = message.pollUpdateMessage
    creation = update.pollCreationMessageKey
    creation.id, creation.fromMe, creation.remoteJid = poll.id, False, poll.group or poll.sender_jid
    if poll.group:
        creation.participant = poll.sender_jid
    update.vote.encIv = iv
    update.vote.encPayload = AESGCM(key).encrypt(iv, choice.SerializeToString(), context)
    update.senderTimestampMs = int(time.time() * 1000)
    return message


def counted(content: Content, raw: bytes, known: tuple[Poll, str] | None, voter: str) -> Content:
    """A vote with the options that were chosen, if the poll and who asked are known and the vote can be decrypted."""
    if known is None:
        return content
    poll, asker = known
    update = proto.Message.FromString(raw).pollUpdateMessage
    key, context = _key(poll.secret, content.target, asker, voter)
    try:
        plaintext = AESGCM(key).decrypt(update.vote.encIv, update.vote.encPayload, context)
    except InvalidTag:
        return content
    chosen = set(proto.Message.PollVoteMessage.FromString(plaintext).selectedOptions)
    return msgspec.structs.replace(content, votes=tuple(option for option in poll.options if _hash(option) in chosen))


def _hash(option: str) -> bytes:
    return hashlib.sha256(option.encode()).digest()


def _key(secret: bytes, poll_id: str, asker: str, voter: str) -> tuple[bytes, bytes]:
    info = f"{poll_id}{asker}{voter}Poll Vote".encode()
    return hkdf(secret, salt=b"", info=info, length=32), f"{poll_id}\0{voter}".encode()
