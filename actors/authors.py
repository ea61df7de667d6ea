"""Whose message it is, and so whose word about it counts. Pure.

WhatsApp's server carries what anybody says about any message id; it is for a device to compare who says it. It takes
a message for the one that is meant where chat, writer and id are the same.
"""

from typing import assert_never

import msgspec

from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.events import (
    MessageAcknowledged,
    MessageEdited,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageUndecryptable,
)

Written = MessageReceived | MessageUndecryptable
Change = MessageEdited | MessageRevoked
OF_PEOPLE = frozenset({"", "lid"})
"""The servers in canonical addresses of people: of a number, and of a LID."""

Names = tuple[str, ...]
"""Canonical addresses of one chat or person: its number, its LID, or both. None: nobody knows, or it was erased."""


class Origin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a message stands, and who wrote it. `is_own`: this number did."""

    chat: Names
    writer: Names = ()
    is_own: bool = False


def origin(event: Written | MessageSent | Change) -> Origin:
    """Where something was said, and by whom."""
    match event:
        case MessageSent(jid=jid):
            return Origin(chat=names(jid), is_own=True)
        case _ if event.participant is None:
            chat = names(event.jid, event.jid_alt)
            return Origin(chat=chat, writer=chat)
        case _:
            return Origin(chat=names(event.jid), writer=names(event.participant, event.jid_alt))


def counts(message: Origin, said: Written | Change | MessageAcknowledged) -> bool:
    """Whether this is about the message, and from somebody who has a say in it.

    A copy and an edit come from its writer; a revocation from its writer, or an admin of its group; a receipt from the
    other side of the chat in which this number wrote.
    """
    match said:
        case MessageAcknowledged(jid=jid):
            return message.is_own and may_be_one(message.chat, names(jid))
        case MessageRevoked(by_admin=True, participant=str()):
            return may_be_one(message.chat, origin(said).chat)
        case MessageReceived() | MessageUndecryptable() | MessageEdited() | MessageRevoked():
            by = origin(said)
            is_there = may_be_one(message.chat, by.chat)
            return is_there and not message.is_own and may_be_one(message.writer, by.writer)
        case _:
            assert_never(said)


def may_be_one(some: Names, others: Names) -> bool:
    """Whether these can be names of one chat or person: they share a name, or are a person's number and LID.

    Those two cannot be compared where nobody has said which belongs to which.
    """
    if not some or not others or not set(some).isdisjoint(others):
        return True
    kinds, other_kinds = set(map(_server, some)), set(map(_server, others))
    return kinds | other_kinds <= OF_PEOPLE and kinds.isdisjoint(other_kinds)


def names(*jids: str | None) -> Names:
    """What somebody or some chat is compared by."""
    return tuple(name for jid in jids if jid and (name := canonical(jid)))


def _server(jid: str) -> str:
    return jid.partition("@")[2]
