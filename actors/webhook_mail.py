"""What a webhook actor is told, and the mailbox that keeps it."""

from queue import Queue
from typing import Any

import msgspec

from chatbot_erp.actors.webhook_news import News


class Wake(msgspec.Struct, frozen=True):
    """Something new waits in the store. Any number may be told: those not taken yet are one.

    `news` says what it is; without, the actor looks for itself.
    """

    news: News | None = None


class GoOn(msgspec.Struct, frozen=True):
    """The actor's own word: more can be done, after the other mail. One at a time, as `Wake`."""


class LookAgain(msgspec.Struct, frozen=True):
    """The actor's own alarm: a retry is due, or something was to be seen to later."""


class RetryNow(msgspec.Struct, frozen=True):
    """The settings have changed, or somebody says that the receiver works again: nothing waits for its time any more."""


class Ping(msgspec.Struct, frozen=True):
    """The heartbeat: answered as soon as the attempt that runs has ended."""


class Finish(msgspec.Struct, frozen=True):
    """The instance is removed: deliver what waits, then say `drained`."""


class Mailbox(Queue[Any]):
    """Keeps one call to work at a time, so that a slow receiver does not fill it; `urgent` counts all other mail."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._call: Any = None
        self.urgent = 0

    def _put(self, item: Any) -> None:
        if is_call(item):
            if self._call is not None:
                self._call.message = joined(self._call.message, item.message)
                return
            self._call = item
        else:
            self.urgent += 1
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        if item is self._call:
            self._call = None
        else:
            self.urgent -= 1
        return item


def is_call(item: Any) -> bool:
    """Whether a letter only says that there is something to do, and nobody waits for an answer."""
    return isinstance(item.message, Wake | GoOn) and item.reply_to is None


def joined(first: Wake | GoOn, second: Wake | GoOn) -> Wake | GoOn:
    """Both calls as one."""
    match first, second:
        case Wake(news=News() as news), Wake(news=News() as later):
            return Wake(news.joined(later))
        case Wake(), Wake():
            return Wake()
        case _:
            return first if isinstance(first, Wake) else second
