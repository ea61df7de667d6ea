"""What became of each message, folded from the log: the same answer for a caller, the command line and an auditor."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from chatbot_erp.actors.authors import Origin, Written, counts, may_be_one, names, origin
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
    """How far a message has come by this event alone; None where it says nothing new of any."""
    match event:
        case MessageAcknowledged(ack=Ack.ERROR):
            return None  # the failure before it has said so
        case MessageAcknowledged(ack=ack):
            return BY_ACK[ack]
        case _:
            return BY_EVENT.get(type(event))


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One message, sent or received."""

    command_id: Annotated[str | None, Meta(description="The id that its send got; null for what was received.")]
    message_id: Annotated[str | None, Meta(description="WhatsApp's id; null until the server has the message.")]
    jid: Annotated[str, Meta(description="The chat, or the number as the caller wrote it until that is known.")]
    fate: Annotated[Fate, Meta(description="How far it has come; in a group the farthest that anybody has.")]
    ack: Annotated[Ack | None, Meta(description="The acknowledgement, 0 error to 4 played; null before there is one.")]
    reason: Annotated[
        str | None,
        Meta(description="The log's word for why it was not sent or is unknown; else null."),
    ]
    at: Annotated[datetime, Meta(description="When `fate` last changed.")]


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened to a message."""

    fate: Annotated[Fate, Meta(description="How far it came by this.")]
    at: Annotated[datetime, Meta(description="When it was put on record.")]
    participant: Annotated[
        str | None, Meta(description="Whose device says so, where the chat is a group; else null.")
    ] = None


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is now, and what has happened to it, in order."""

    message: Message
    steps: tuple[Step, ...]


class Fates:
    """The messages of one stream; give it the stream's events in order.

    Others may use an id that is taken: who asks by an id gets the first message, as nobody can know an id before that.
    """

    def __init__(self) -> None:
        self._messages: dict[int, Message] = {}
        self._origins: dict[int, Origin] = {}
        self._named: dict[str, list[int]] = {}
        """By WhatsApp's id or the command's: the messages, in the order in which they began."""
        self._begun = 0
        self._joined: dict[int, int] = {}
        """What was known from receipts alone → the message that it was found to be."""

    def take(self, record: Recorded) -> int | None:
        """Fold the next event. The number of its message; None: it is of none, or of somebody who has no say in it."""
        event, at = record.event, record.recorded_at
        match event:
            case MessageAccepted(command_id=name, number=number):
                return self._begin(name, jid=number, fate=Fate.ACCEPTED, at=at, command_id=name)
            case MessageSent():
                return self._send(event, at)
            case MessageFailed(command_id=name, reason=reason):
                return self._end(name, Fate.FAILED, reason, at)
            case MessageOutcomeUnknown(command_id=name, reason=reason):
                return self._end(name, Fate.UNKNOWN, reason, at)
            case MessageAcknowledged():
                return self._acknowledge(event, at)
            case MessageReceived() | MessageUndecryptable():
                return self._receive(event, BY_EVENT[type(event)], at)
            case MessageRevoked():
                return self._revoke(event, at)
            case _:
                return None

    def all(self) -> list[Message]:
        """In the order in which they began."""
        return list(self._messages.values())

    def find(self, message_id: str) -> Message | None:
        """By WhatsApp's message id, or by the id of the command that sent it."""
        number = self.number(message_id)
        return None if number is None else self._messages[number]

    def number(self, message_id: str) -> int | None:
        """As `find`, the number of the message."""
        return next(iter(self._named.get(message_id, ())), None)

    def is_now(self, told: int, number: int | None) -> bool:
        """Whether what `take` told of a message is of this one, as far as is known by now."""
        return self._joined.get(told, told) == number

    def _begin(
        self,
        name: str,
        *,
        jid: str,
        fate: Fate,
        at: datetime,
        command_id: str | None = None,
        message_id: str | None = None,
        ack: Ack | None = None,
    ) -> int:
        self._begun += 1
        self._named.setdefault(name, []).append(self._begun)
        self._messages[self._begun] = Message(
            command_id=command_id, message_id=message_id, jid=jid, fate=fate, ack=ack, reason=None, at=at
        )
        return self._begun

    def _change(self, number: int, at: datetime, **changes: Any) -> None:
        self._messages[number] = msgspec.structs.replace(self._messages[number], at=at, **changes)

    def _send(self, event: MessageSent, at: datetime) -> int:
        early = self._without_origin(event.message_id)
        known = self._named.get(event.command_id, ())
        number = known[0] if known else self._begin(event.command_id, jid=event.jid, fate=Fate.SENT, at=at)
        self._messages[number] = Message(
            command_id=event.command_id,
            message_id=event.message_id,
            jid=event.jid,
            fate=Fate.SENT,
            ack=Ack.SENT,
            reason=None,
            at=at,
        )
        self._origins[number] = origin(event)
        self._named.setdefault(event.message_id, []).append(number)
        if early is not None:
            told, known_before = early
            if known_before.ack is not None and may_be_one(names(event.jid), names(known_before.jid)):
                self._joined[told] = number
                self._reach(number, known_before.ack, known_before.at)
        return number

    def _without_origin(self, message_id: str) -> tuple[int, Message] | None:
        """Take away what is known from receipts alone: now there is a message, or a receipt that was not for it."""
        numbers = self._named.get(message_id, [])
        for number in numbers:
            if number not in self._origins and self._messages[number].command_id is None:
                numbers.remove(number)
                return number, self._messages.pop(number)
        return None

    def _end(self, name: str, fate: Fate, reason: str, at: datetime) -> int | None:
        number = self.number(name)
        if number is not None:
            self._change(number, at, fate=fate, reason=reason)
        return number

    def _acknowledge(self, event: MessageAcknowledged, at: datetime) -> int | None:
        if not self._named.get(event.message_id):
            fate, name = BY_ACK[event.ack], event.message_id
            return self._begin(name, jid=event.jid, fate=fate, at=at, message_id=name, ack=event.ack)
        number = self._meant(event)
        if number is not None:
            self._reach(number, event.ack, at)
        return number

    def _reach(self, number: int, ack: Ack, at: datetime) -> None:
        """Receipts may come out of order: a message that was read is not undelivered by a late receipt."""
        known = self._messages[number]
        if known.ack is None or ack is Ack.ERROR or ack > known.ack:
            gone = known.fate is Fate.REVOKED
            self._change(number, known.at if gone else at, fate=known.fate if gone else BY_ACK[ack], ack=ack)

    def _receive(self, event: Written, fate: Fate, at: datetime) -> int:
        """A copy that comes late changes nothing, unless it is the first that can be read."""
        self._without_origin(event.message_id)
        number = self._meant(event)
        if number is None:
            number = self._begin(event.message_id, jid=event.jid, fate=fate, at=at, message_id=event.message_id)
            self._origins[number] = origin(event)
        elif self._messages[number].fate is Fate.UNDECRYPTABLE:
            self._change(number, at, fate=fate)
        return number

    def _revoke(self, event: MessageRevoked, at: datetime) -> int | None:
        name = event.message_id
        if not self._named.get(name):
            number = self._begin(name, jid=event.jid, fate=Fate.REVOKED, at=at, message_id=name)
            by = origin(event)
            self._origins[number] = Origin(chat=by.chat) if event.by_admin else by
            return number
        meant = self._meant(event)
        if meant is not None:
            self._change(meant, at, fate=Fate.REVOKED)
        return meant

    def _meant(self, event: Written | MessageRevoked | MessageAcknowledged) -> int | None:
        """The message of this id that this is about; what is known from receipts alone may be any."""
        for number in self._named.get(event.message_id, ()):
            known = self._origins.get(number)
            if known is None or counts(known, event):
                return number
        return None


def story(records: Iterable[Recorded], message_id: str) -> Story | None:
    """What became of a message, named as in `Fates.find`, from all records about it, in order; None: there is none."""
    fates = Fates()
    told = []
    for record in records:
        number, step = fates.take(record), step_of(record)
        if number is not None and step is not None:
            told.append((number, step))
    message, meant = fates.find(message_id), fates.number(message_id)
    steps = tuple(step for number, step in told if fates.is_now(number, meant))
    return None if message is None else Story(message=message, steps=steps)


def step_of(record: Recorded) -> Step | None:
    """What a record tells of its message, in the word for a fate."""
    fate = fate_of(record.event)
    if fate is None:
        return None
    participant = record.event.participant if isinstance(record.event, MessageAcknowledged) else None
    return Step(fate=fate, at=record.recorded_at, participant=participant)
