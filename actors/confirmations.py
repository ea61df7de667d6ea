"""What an instance's actor owes the hosts: the word that what they said is stored, so that they may forget it."""

from weakref import WeakKeyDictionary, WeakSet

import structlog

from chatbot_erp.actors.frames import Confirm, Repeat
from chatbot_erp.actors.house import Host, HostGone

log = structlog.get_logger()


class Confirmations:
    """Used by one actor, in its thread.

    Confirming is cumulative, per host: one confirmation a batch is enough, and what was not taken in must never be
    passed over, for a confirmation of the next would have the host forget it. After a loss, and in a new actor, words
    are on their way that were said before the host was asked to repeat what came before them.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._heard: WeakKeyDictionary[Host, int] = WeakKeyDictionary()
        self._asked: WeakSet[Host] = WeakSet()
        self._stored: tuple[Host, int] | None = None

    def is_next(self, host: Host, number: int, oldest: int) -> bool:
        """Whether this is the word that follows what was taken in; it counts as taken in from now on.

        Where words before it are missing, from `oldest` on, the host is asked to say all of them again.
        """
        expected = max(oldest, self._heard.get(host, 0) + 1)
        if number > expected and host not in self._asked:
            self._asked.add(host)
            self._order(host, Repeat(instance=self._instance))
        if number != expected:
            return False
        self._heard[host] = number
        self._asked.discard(host)
        return True

    def lost(self) -> None:
        """What was taken in could not be stored: the host says it again."""
        self._heard.clear()
        self._asked.clear()

    def stored(self, host: Host, number: int) -> None:
        """Everything of this host up to this number is stored."""
        if self._stored is not None and self._stored[0] is not host:
            self.send()
        self._stored = (host, number)

    def send(self) -> None:
        """Tell the host, if there is something to tell."""
        if self._stored is None:
            return
        host, number = self._stored
        self._stored = None
        self._order(host, Confirm(instance=self._instance, number=number))

    def _order(self, host: Host, order: Confirm | Repeat) -> None:
        try:
            host.order(order)
        except HostGone:
            log.debug("a host was gone before its order", action="confirm_missed", instance=self._instance)
