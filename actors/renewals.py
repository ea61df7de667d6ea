"""Socket processes hear until when their manager may speak for its numbers, however busy the rest of the house is."""

import contextlib
import math
from collections.abc import Callable
from threading import Lock
from typing import Protocol
from weakref import WeakSet

from chatbot_erp.actors import frames
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.house import HostGone

RENEW_EVERY_S = 0.5


class Host(Protocol):
    """The part of a host process that is needed."""

    def order(self, order: frames.Renew, /) -> None:
        """Raises `HostGone`."""


class Renewals:
    """Any thread may call. Where no other node can take over there is nothing to tell."""

    def __init__(self, alarms: Alarms, leased_until: Callable[[], float]) -> None:
        """`leased_until` as the store's."""
        self._alarms = alarms
        self._until = leased_until
        self._hosts: WeakSet[Host] = WeakSet()
        self._door = Lock()

    def add(self, host: Host) -> None:
        """Tell a new host at once, before it has a number, and then again and again."""
        with self._door:
            self._hosts.add(host)
        self._tell(host)

    def go_on(self) -> None:
        """Tell all hosts, now and every half a second."""
        with self._door:
            hosts = list(self._hosts)
        for host in hosts:
            self._tell(host)
        self._alarms.set(RENEW_EVERY_S, self.go_on)

    def _tell(self, host: Host) -> None:
        if (until := self._until()) < math.inf:
            with contextlib.suppress(HostGone):
                host.order(frames.Renew(until=until))
