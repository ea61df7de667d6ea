"""What a webhook actor is told, and the mailbox that keeps it."""

from queue import Queue
from typing import Any

import msgspec


class Wake(msgspec.Struct, frozen=True):
    """Something new waits in the store. Any number may be told: those not taken yet are one."""


class LookAgain(msgspec.Struct, frozen=True):
    """The actor's own alarm: a retry is due, or something was to be seen to later."""


class RetryNow(msgspec.Struct, frozen=True):
    """The settings have changed, or somebody says that the receiver works again: nothing waits for its time any more."""


class Ping(msgspec.Struct, frozen=True):
    """The heartbeat: answered as soon as the attempt that runs has ended."""


class Finish(msgspec.Struct, frozen=True):
    """The instance is removed: deliver what waits, then say `drained`."""


class Mailbox(Queue[Any]):
    """Keeps one `Wake` at a time, so that a slow receiver does not fill it; `urgent` counts all other mail."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.woken = False
        self.urgent = 0

    def _put(self, item: Any) -> None:
        if isinstance(item.message, Wake) and item.reply_to is None:
            if self.woken:
                return
            self.woken = True
        else:
            self.urgent += 1
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        if isinstance(item.message, Wake) and item.reply_to is None:
            self.woken = False
        else:
            self.urgent -= 1
        return item
