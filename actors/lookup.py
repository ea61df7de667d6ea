"""Finds one message of an instance in its log. Most are asked for soon after they came: the newest are looked at first."""

from typing import Protocol

from chatbot_erp.eventstore.events import EVENT_NAMES, MessageReceived, MessageSent
from chatbot_erp.eventstore.store import Recorded

FIRST_STEP = 4096
"""Positions of the log that are looked through at first; each further step is twice as wide."""

PAGE = 1000
_TYPES = frozenset({EVENT_NAMES[MessageReceived], EVENT_NAMES[MessageSent]})


class Log(Protocol):
    """The part of the store that is read here."""

    def head(self) -> int: ...

    def read(
        self, *, after: int = 0, limit: int = 100, stream: str | None = None, types: frozenset[str], until: int | None
    ) -> list[Recorded]: ...


def find_message(log: Log, stream: str, message_id: str, *, steps: int = 64) -> MessageReceived | MessageSent | None:
    """What was received or sent under this id, the newest first, looking back so many steps."""
    until, width = log.head(), FIRST_STEP
    for _ in range(steps):
        if until <= 0:
            break
        after = max(0, until - width)
        found = _last(log, stream, message_id, after, until)
        if found is not None:
            return found
        until, width = after, width * 2
    return None


def find_received(log: Log, stream: str, message_id: str) -> MessageReceived | None:
    """What was received under this id."""
    found = find_message(log, stream, message_id)
    return found if isinstance(found, MessageReceived) else None


def _last(log: Log, stream: str, message_id: str, after: int, until: int) -> MessageReceived | MessageSent | None:
    found: MessageReceived | MessageSent | None = None
    while records := log.read(after=after, limit=PAGE, stream=stream, types=_TYPES, until=until):
        for record in records:
            match record.event:
                case (MessageReceived(message_id=id_) | MessageSent(message_id=id_)) as event if id_ == message_id:
                    found = event
        after = records[-1].position
    return found
