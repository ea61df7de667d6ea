"""A node that waits for its turn: it lets the others know that it is there, and knows who works meanwhile."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Protocol

import structlog

from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.lease import Node

log = structlog.get_logger()

BEAT_S = 0.5


class Members(Protocol):
    """The part of the store's members that is needed here. Every method may raise a `StoreError`."""

    def see(self, node: Node, /) -> None: ...
    def holder(self) -> Node | None: ...


class Standby:
    """Runs from `start` to `stop`."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._leader: Node | None = None
        self._changed: Callable[[], None] = lambda: None
        self._ending = Event()
        self._thread = Thread()

    def start(self, node: Node) -> None:
        self._thread = Thread(target=self._run, args=(node,), name="standby", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        self._ending.set()
        self._thread.join()

    def leader(self) -> str | None:
        """The address of the other node that works, as of half a second ago; None where none does."""
        leader = self._leader
        return leader.url if leader is not None else None

    def heed(self, changed: Callable[[], None]) -> None:
        """Have this called, on a thread of this object, when another node works than before, or none."""
        self._changed = changed

    def _run(self, node: Node) -> None:
        while not self._ending.is_set():
            try:
                self._heed(self._look(node))
            except Exception as ex:
                # Without this thread nobody would hear of the next leader.
                log.error("a look at the other nodes failed", action="nodes_unseen", exc_info=ex)
            self._ending.wait(BEAT_S)
        self._leader = None
        self._changed()

    def _heed(self, leader: Node | None) -> None:
        if leader != self._leader:
            self._leader = leader
            name = leader.name if leader is not None else None
            log.info("this node stands by", action="standing_by", leader=name)
            self._changed()

    def _look(self, node: Node) -> Node | None:
        try:
            self._members.see(node)
            holder = self._members.holder()
        except StoreError as ex:
            log.debug("the other nodes are not seen", action="nodes_unseen", error=str(ex))
            return self._leader
        # This one has just taken over, where it is the holder: nothing is forwarded to itself.
        return holder if holder is not None and holder.name != node.name else None
