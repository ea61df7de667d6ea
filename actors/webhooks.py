"""The delivery actors of one instance: one for each endpoint, started, told and let go together."""

import contextlib
import random
import time
from collections.abc import Callable, Collection
from threading import Lock
from typing import Any

import pykka

from chatbot_erp.actors.supervision import Healing, plan, recovered
from chatbot_erp.actors.webhook_mail import Finish, Ping, RetryNow, Wake
from chatbot_erp.actors.webhook_news import Bulletin

Ref = pykka.ActorRef[Any]


class Webhooks:
    """Any thread may call; nothing waits for an actor."""

    def __init__(self, start: Callable[[str], Ref]) -> None:
        self._start = start
        self._lock = Lock()
        self._actors: dict[str, Ref] = {}
        self._healing: dict[str, Healing] = {}
        self._owed: set[str] = set()
        """Endpoints whose actor was dead, or hung, when it was to try again."""
        self._hung: set[str] = set()
        """Endpoints whose actor nobody waits for any more."""
        self._finishing = False
        self._ended = False
        self._endings: list[pykka.Future[bool]] = []

    def adjust(self, endpoints: Collection[str]) -> None:
        """Have exactly these delivered to."""
        with self._lock:
            if self._ended:
                return
            for gone in self._actors.keys() - set(endpoints):
                self._actors.pop(gone).stop(block=False)
                self._healing.pop(gone, None)
                self._hung.discard(gone)
            for new in set(endpoints) - self._actors.keys():
                self._begin(new)
        self.wake()

    def wake(self, bulletin: Bulletin | None = None) -> None:
        """Something new waits; with a bulletin it is this, and nothing else since the last one."""
        with self._lock:
            actors = tuple(self._actors.items())
        for endpoint, actor in actors:
            tell(actor, Wake(bulletin.of(endpoint) if bulletin is not None else None))

    def retry(self, endpoint: str) -> None:
        """The settings of an endpoint have changed, or it works again."""
        with self._lock:
            actor = self._actors.get(endpoint)
            if actor is not None and not self._works(endpoint, actor):
                self._owed.add(endpoint)
        if actor is not None:
            tell(actor, RetryNow())

    def ping(self) -> dict[str, str]:
        """Have each that works give a sign of life; their urns and endpoints."""
        with self._lock:
            working = [(endpoint, actor) for endpoint, actor in self._actors.items() if self._works(endpoint, actor)]
        for _, actor in working:
            tell(actor, Ping())
        return {actor.actor_urn: endpoint for endpoint, actor in working}

    def give_up(self, endpoint: str) -> None:
        """This actor hangs: it ends when it can. What it was about to tell may be told twice, with the same id."""
        with self._lock:
            if actor := self._actors.get(endpoint):
                actor.stop(block=False)
                self._hung.add(endpoint)

    def failed(self, endpoint: str) -> float | None:
        """An actor died, or was given up. Seconds until `restart` is due, as for an instance's actor; None if it was not known."""
        with self._lock:
            if self._ended or endpoint not in self._actors:
                return None
            now, former = time.monotonic(), self._healing.get(endpoint, Healing())
            decided = plan("actor_failed", former, now=now, draw=random.random())
            delay_s = decided.delay_s or 0.0
            self._healing[endpoint] = recovered(decided.healing, now=now + delay_s)
            return delay_s

    def restart(self, endpoint: str) -> bool:
        """A new actor in place of one that died or hangs; whether there was one. It may have a successor already."""
        with self._lock:
            former = self._actors.get(endpoint)
            if self._ended or former is None or self._works(endpoint, former):
                return False
            self._begin(endpoint)
            if endpoint in self._owed:
                self._owed.discard(endpoint)
                tell(self._actors[endpoint], RetryNow())
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
        """Let all end with their present attempt; does not wait. No other is started until `resume`."""
        with self._lock:
            if self._ended:
                return  # only the first stop is answered when they have told what they had to tell
            self._ended = True
        self._endings = [actor.stop(block=False) for actor in self.refs()]

    def resume(self) -> None:
        """Those that were stopped have ended: others are begun by the next `adjust`."""
        with self._lock:
            self._ended, self._endings, self._actors = False, [], {}

    def have_ended(self, until: float = 0.0) -> bool:
        """Whether all that were stopped have told what they had to tell; they are waited for until this monotonic time."""
        return all(is_over(ending, max(0.0, until - time.monotonic())) for ending in self._endings)

    def refs(self) -> tuple[Ref, ...]:
        """The actors that there are now."""
        with self._lock:
            return tuple(self._actors.values())

    def _works(self, endpoint: str, actor: Ref) -> bool:
        return endpoint not in self._hung and actor.is_alive()

    def _begin(self, endpoint: str) -> None:
        self._hung.discard(endpoint)
        self._actors[endpoint] = actor = self._start(endpoint)
        if self._finishing:
            tell(actor, Finish())


def is_over(ending: pykka.Future[bool], patience_s: float) -> bool:
    """Whether an actor has ended, by the answer to its `stop`; `actor_stopped` is set before it has said its last words."""
    try:
        ending.get(timeout=patience_s)
    except pykka.Timeout:
        return False
    return True


def tell(actor: Ref, message: object) -> None:
    """Tell an actor that may just have died: its successor looks for itself."""
    with contextlib.suppress(pykka.ActorDeadError):
        actor.tell(message)
