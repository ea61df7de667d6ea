"""What is said of other messages: compared with what the log has of them, before anything is decided about it."""

import hashlib
from typing import Any

import msgspec
import structlog

from chatbot_erp.actors import frames
from chatbot_erp.actors.authors import counts, origin
from chatbot_erp.actors.commands import Command, Observed
from chatbot_erp.actors.instance import said_of
from chatbot_erp.actors.lookup import Find, find_all, find_message
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import MessageReceived, MessageSent
from chatbot_erp.eventstore.store import EventStore

log = structlog.get_logger()


class Hearsay:
    """Of one instance. Where the log cannot be read, what is said is taken as it is."""

    def __init__(self, instance: str, store: EventStore) -> None:
        self._id = instance
        self._store = store

    def in_words(self, command: Command) -> Command:
        """The same; a vote in a poll with the words of what it is for."""
        match command:
            case Observed(observation=frames.SocketReceived(kind="poll_vote") as vote):
                return msgspec.structs.replace(command, observation=in_words(vote, self._find))
            case _:
                return command

    def is_forged(self, command: Command) -> bool:
        """Whether it changes a message of the log that is another's: no phone shows that. What is unknown is believed."""
        match command:
            case Observed(observation=frames.SocketSawEdit() | frames.SocketSawRevocation() as seen):
                change = said_of(seen)
            case _:
                return False
        try:
            known = [origin(event) for event in find_all(self._store, self._id, seen.message_id)]
        except StoreError as ex:
            log.warning("a message was not found", action="change_unchecked", instance=self._id, error=str(ex))
            return False
        return bool(known) and not any(counts(each, change) for each in known)

    def _find(self, message_id: str) -> MessageReceived | MessageSent | None:
        try:
            return find_message(self._store, self._id, message_id)
        except StoreError as ex:
            log.warning("a poll was not found", action="poll_missed", instance=self._id, error=str(ex))
            return None


def needs_what_was_staged(observed: Observed) -> bool:
    """Whether it is about something else that may have come a moment ago: a vote, an edit, a revocation."""
    match observed.observation:
        case frames.SocketReceived(kind="poll_vote") | frames.SocketSawEdit() | frames.SocketSawRevocation():
            return True
        case _:
            return False


def in_words(vote: frames.SocketReceived, find: Find) -> frames.SocketReceived:
    """A vote, which comes with checksums only, with the words of each option; without them where its poll is not found."""
    said: dict[str, Any] = msgspec.json.decode(vote.content)
    if not said.get("options"):
        return vote
    poll = find(said["message"]["messageId"])
    if poll is None or poll.kind != "poll":
        return vote
    offered: list[str] = msgspec.json.decode(poll.content).get("options", [])
    words = {hashlib.sha256(option.encode()).hexdigest(): option for option in offered}
    chosen = [words[option] for option in said["options"] if option in words]
    return msgspec.structs.replace(vote, content=msgspec.json.encode({**said, "chosen": chosen}).decode())
