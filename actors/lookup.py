"""Finds one message of an instance in its log, and tells what became of it."""

from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from typing import Protocol

from chatbot_erp.actors.authors import Written
from chatbot_erp.actors.fates import Story, story
from chatbot_erp.eventstore.events import EVENT_NAMES, MessageReceived, MessageSent, MessageUndecryptable
from chatbot_erp.eventstore.store import Recorded

Find = Callable[[str], MessageReceived | MessageSent | None]
"""The message of this id, sent or received."""

_SAID = frozenset(EVENT_NAMES[kind] for kind in (MessageReceived, MessageUndecryptable, MessageSent))


class Log(Protocol):
    """The part of the store that is read here."""

    def about(self, stream: str, message: str, *, types: Collection[str] = ()) -> list[Recorded]: ...


def find_all(log: Log, stream: str, message_id: str) -> Iterator[Written | MessageSent]:
    """What came or was sent under this id, the oldest first; others may use an id that is taken."""
    for record in log.about(stream, message_id, types=_SAID):
        match record.event:
            case (MessageReceived() | MessageUndecryptable() | MessageSent()) as event if (
                event.message_id == message_id
            ):
                yield event


def find_message(log: Log, stream: str, message_id: str) -> MessageReceived | MessageSent | None:
    """What was first received or sent under this id: whoever uses it again has seen it."""
    found = find_all(log, stream, message_id)
    return next((event for event in found if not isinstance(event, MessageUndecryptable)), None)


def find_received(log: Log, stream: str, message_id: str) -> MessageReceived | None:
    """What was received under this id."""
    found = find_message(log, stream, message_id)
    return found if isinstance(found, MessageReceived) else None


def find_story(log: Log, stream: str, message_id: str) -> Story | None:
    """What became of a message: `message_id` is WhatsApp's, or the id of the command that sent it."""
    records = {record.position: record for record in log.about(stream, message_id)}
    for sent in [record.event for record in records.values() if isinstance(record.event, MessageSent)]:
        other = sent.command_id if sent.message_id == message_id else sent.message_id
        records |= {record.position: record for record in log.about(stream, other)}
    return story(sorted(records.values(), key=attrgetter("position")), message_id)
