"""What became of each message, folded from the log: the same answer for a caller, the command line and an auditor."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from chatbot_erp.eventstore.events import (
    Ack,
    Event,
    MessageAccepted,
    MessageAcknowledged,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageUndecryptable,
)
from chatbot_erp.eventstore.store import Recorded


class Fate(StrEnum):
    """How far a message has come."""

    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RECEIVED = "received"
    UNDECRYPTABLE = "undecryptable"
    REVOKED = "revoked"


BY_ACK = {
    Ack.ERROR: Fate.FAILED,
    Ack.SENT: Fate.SENT,
    Ack.DELIVERED: Fate.DELIVERED,
    Ack.READ: Fate.READ,
    Ack.PLAYED: Fate.PLAYED,
}

BY_EVENT: dict[type[Event], Fate] = {
    MessageAccepted: Fate.ACCEPTED,
    MessageSent: Fate.SENT,
    MessageFailed: Fate.FAILED,
    MessageOutcomeUnknown: Fate.UNKNOWN,
    MessageReceived: Fate.RECEIVED,
    MessageUndecryptable: Fate.UNDECRYPTABLE,
    MessageRevoked: Fate.REVOKED,
}


def fate_of(event: Event) -> Fate | None:
    """How far a message has come by this event alone; None where it is about none."""
    match event:
        case MessageAcknowledged(ack=ack):
            return BY_ACK[ack]
        case _:
            return BY_EVENT.get(type(event))


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One message, sent or received. Its `jid` is the chat, or the number as the caller wrote it until that is known."""

    command_id: str | None
    message_id: str | None
    jid: str
    fate: Fate
    ack: Ack | None
    reason: str | None
    at: datetime
    """When its fate last changed."""


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened to a message. `participant` is whose device says so, where the chat is a group."""

    fate: Fate
    at: datetime
    participant: str | None = None


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is now, and what has happened to it, in order."""

    message: Message
    steps: tuple[Step, ...]


class Fates:
    """The messages of one stream; give it the stream's events in order."""

    def __init__(self) -> None:
        self._messages: dict[str, Message] = {}
        self._keys: dict[str, str] = {}

    def take(self, record: Recorded) -> None:
        """Fold the next event."""
        event, at = record.event, record.recorded_at
        match event:
            case MessageAccepted(command_id=key, number=number):
                self._put(key, jid=number, fate=Fate.ACCEPTED, at=at, command_id=key)
            case MessageSent(command_id=key, message_id=message_id, jid=jid):
                self._keys[message_id] = key
                early = self._messages.pop(message_id, None)
                self._put(key, jid=jid, fate=Fate.SENT, at=at, command_id=key, message_id=message_id, ack=Ack.SENT)
                if early is not None and early.ack is not None:
                    self._acknowledge(message_id, jid, early.ack, early.at)
            case MessageFailed(command_id=key, reason=reason):
                self._end(key, Fate.FAILED, reason, at)
            case MessageOutcomeUnknown(command_id=key, reason=reason):
                self._end(key, Fate.UNKNOWN, reason, at)
            case MessageAcknowledged(message_id=message_id, jid=jid, ack=ack):
                self._acknowledge(message_id, jid, ack, at)
            case MessageReceived(message_id=message_id, jid=jid):
                self._put(message_id, jid=jid, fate=Fate.RECEIVED, at=at, message_id=message_id)
            case MessageRevoked(message_id=message_id, jid=jid):
                self._put(message_id, jid=jid, fate=Fate.REVOKED, at=at, message_id=message_id)
            case MessageUndecryptable(message_id=message_id, jid=jid):
                self._put(message_id, jid=jid, fate=Fate.UNDECRYPTABLE, at=at, message_id=message_id)
            case _:
                pass

    def all(self) -> list[Message]:
        """In the order in which they began."""
        return list(self._messages.values())

    def find(self, message_id: str) -> Message | None:
        """By WhatsApp's message id, or by the id of the command that sent it."""
        return self._messages.get(self._keys.get(message_id, message_id))

    def _put(
        self,
        key: str,
        *,
        jid: str,
        fate: Fate,
        at: datetime,
        command_id: str | None = None,
        message_id: str | None = None,
        ack: Ack | None = None,
    ) -> None:
        self._messages[key] = Message(
            command_id=command_id, message_id=message_id, jid=jid, fate=fate, ack=ack, reason=None, at=at
        )

    def _end(self, key: str, fate: Fate, reason: str, at: datetime) -> None:
        if known := self._messages.get(key):
            self._messages[key] = msgspec.structs.replace(known, fate=fate, reason=reason, at=at)

    def _acknowledge(self, message_id: str, jid: str, ack: Ack, at: datetime) -> None:
        """Receipts may come out of order: a message that was read is not undelivered by a late receipt."""
        key = self._keys.get(message_id, message_id)
        known = self._messages.get(key)
        if known is None:
            self._put(key, jid=jid, fate=BY_ACK[ack], at=at, message_id=message_id, ack=ack)
        elif known.ack is None or ack is Ack.ERROR or ack > known.ack:
            self._messages[key] = msgspec.structs.replace(known, fate=BY_ACK[ack], ack=ack, at=at)


def story(records: Iterable[Recorded], message_id: str) -> Story | None:
    """What became of a message, named as in `Fates.find`, from all records about it, in order; None: there is none."""
    fates = Fates()
    steps = []
    for record in records:
        fates.take(record)
        if (step := step_of(record)) is not None:
            steps.append(step)
    message = fates.find(message_id)
    return None if message is None else Story(message=message, steps=tuple(steps))


def step_of(record: Recorded) -> Step | None:
    """What a record tells of its message, in the word for a fate."""
    fate = fate_of(record.event)
    if fate is None:
        return None
    participant = record.event.participant if isinstance(record.event, MessageAcknowledged) else None
    return Step(fate=fate, at=record.recorded_at, participant=participant)
