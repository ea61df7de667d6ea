"""What an instance's actor owes the hosts: the word that what they said is stored, so that they may forget it."""

import structlog

from chatbot_erp.actors.frames import Confirm
from chatbot_erp.actors.house import Host, HostGone

log = structlog.get_logger()


class Confirmations:
    """Confirming is cumulative, per host: one confirmation a batch is enough. Used by one actor, in its thread."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._heard: tuple[Host, int] | None = None
        self._stored: tuple[Host, int] | None = None

    def is_news(self, host: Host, number: int) -> bool:
        """Whether this was not taken in already; it counts as taken in from now on."""
        if self._heard is not None and self._heard[0] is host and number <= self._heard[1]:
            return False
        self._heard = (host, number)
        return True

    def lost(self) -> None:
        """What was taken in could not be stored: the host says it again."""
        self._heard = None

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
        try:
            host.order(Confirm(instance=self._instance, number=number))
        except HostGone:
            log.debug("host gone before its confirmation", action="confirm_missed", instance=self._instance)
