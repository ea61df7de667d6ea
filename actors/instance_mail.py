"""A mailbox that is bounded where it can fill up: callers' requests. What the house itself has to say always has room.

What sockets say is bounded by their hosts, which hold a socket up while too much of it is unconfirmed.
"""

from queue import Queue
from threading import Event
from typing import Any

import pykka

from chatbot_erp.actors.commands import ConfigurePacing, RemoveInstance, RestartInstance
from chatbot_erp.actors.endpoint import (
    ConfigureEndpoint,
    DisableEndpoint,
    EnableEndpoint,
    NoteRotation,
    RemoveEndpoint,
    TellAgain,
)
from chatbot_erp.actors.errors import Unavailable
from chatbot_erp.actors.tidings import (
    Accept,
    AskMedia,
    AskPairingCode,
    AskRoom,
    Deliver,
    Ping,
    RestartWanted,
    StartInstance,
)

ROOM = 64
"""So many requests may wait for one actor. It takes thousands a second; those that wait longer wait for a sick disk."""

ROOM_FOR_REMOVALS = 8
"""So many more, for removals only: nobody who goes on asking keeps an instance from being removed."""

REQUESTS = (
    Deliver,
    Accept,
    ConfigurePacing,
    AskPairingCode,
    AskMedia,
    AskRoom,
    StartInstance,
    RestartWanted,
    RemoveInstance,
    ConfigureEndpoint,
    RemoveEndpoint,
    EnableEndpoint,
    NoteRotation,
    TellAgain,
)


def is_request(message: object) -> bool:
    """Whether a caller asked for it. That a receiver is gone is said by the house."""
    return isinstance(message, REQUESTS) or (isinstance(message, DisableEndpoint) and message.reason == "requested")


class Mailbox(Queue[Any]):
    """First come, first served, except that a `Ping` overtakes. A request too many is refused with `Unavailable`.

    A restart is told once for all who want it while it waits.
    """

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.ended = Event()
        """Set by its owner when that has said its last words."""
        self._requests = 0
        self._restarts: set[RestartInstance] = set()

    def _put(self, item: Any) -> None:
        if isinstance(item.message, Ping):
            self.queue.appendleft(item)
            return
        if is_request(item.message):
            if self._requests >= ROOM + isinstance(item.message, RemoveInstance) * ROOM_FOR_REMOVALS:
                raise Unavailable("Too many requests wait for this instance already.")
            self._requests += 1
        if isinstance(item.message, RestartInstance) and item.reply_to is None:
            if item.message in self._restarts:
                return
            self._restarts.add(item.message)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        if is_request(item.message):
            self._requests -= 1
        if isinstance(item.message, RestartInstance):
            self._restarts.discard(item.message)
        return item

    def left(self) -> list[Deliver]:
        """The messages to be sent that nobody has taken."""
        with self.mutex:
            return [item.message for item in self.queue if isinstance(item.message, Deliver)]


def ended(actor: pykka.ActorRef[Any]) -> Event:
    """Set when an instance's actor has written its last words, which it does after `actor_stopped` is set."""
    inbox = actor.actor_inbox
    assert isinstance(inbox, Mailbox)
    return inbox.ended
