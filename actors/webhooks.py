"""The delivery actors of one instance: one for each endpoint, started, told and let go together."""

import contextlib
from collections.abc import Callable, Collection
from threading import Lock
from typing import Any

import pykka

from chatbot_erp.actors.webhook_mail import Finish, RetryNow, Wake

Ref = pykka.ActorRef[Any]


class Webhooks:
    """Any thread may call; nothing waits for an actor."""

    def __init__(self, start: Callable[[str], Ref]) -> None:
        self._start = start
        self._lock = Lock()
        self._actors: dict[str, Ref] = {}
        self._finishing = False
        self._ended = False

    def adjust(self, endpoints: Collection[str]) -> None:
        """Have exactly these delivered to."""
        with self._lock:
            if self._ended:
                return
            for gone in self._actors.keys() - set(endpoints):
                self._actors.pop(gone).stop(block=False)
            for new in set(endpoints) - self._actors.keys():
                self._begin(new)
        self.wake()

    def wake(self) -> None:
        """Something new waits."""
        for actor in self.refs():
            tell(actor, Wake())

    def retry(self, endpoint: str) -> None:
        """The settings of an endpoint have changed, or it works again."""
        if actor := self._actors.get(endpoint):
            tell(actor, RetryNow())

    def restart(self, endpoint: str) -> bool:
        """A new actor in place of one that died; whether it was known."""
        with self._lock:
            if self._ended or endpoint not in self._actors:
                return False
            self._begin(endpoint)
            return True

    def finish(self) -> None:
        """The instance is removed: what waits is delivered, then each actor says so."""
        self._finishing = True
        for actor in self.refs():
            tell(actor, Finish())

    def drained(self, endpoint: str) -> bool:
        """Nothing is left for this endpoint; whether that was the last one."""
        with self._lock:
            if actor := self._actors.pop(endpoint, None):
                actor.stop(block=False)
            return not self._actors

    def stop(self) -> None:
        """Let all end with their present attempt; does not wait. No other is started any more."""
        with self._lock:
            self._ended = True
        for actor in self.refs():
            actor.stop(block=False)

    def refs(self) -> tuple[Ref, ...]:
        """The actors that there are now."""
        with self._lock:
            return tuple(self._actors.values())

    def _begin(self, endpoint: str) -> None:
        self._actors[endpoint] = actor = self._start(endpoint)
        if self._finishing:
            tell(actor, Finish())


def tell(actor: Ref, message: object) -> None:
    """Tell an actor that may just have died: its successor looks for itself."""
    with contextlib.suppress(pykka.ActorDeadError):
        actor.tell(message)
