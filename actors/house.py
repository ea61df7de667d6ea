"""What the actors share: collaborators that are safe to use from any of their threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Protocol

import pykka

from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.frames import Order
from chatbot_erp.actors.inquiries import Inquiries
from chatbot_erp.actors.latencies import Latencies
from chatbot_erp.actors.tallies import Pulse, Tallies
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault


class HostGone(Exception):
    """Raised when an order cannot reach a socket host any more; the order was not carried out."""


class Host(Protocol):
    """Where the socket of an instance lives, as far as its actor is concerned."""

    def order(self, order: Order, /) -> None:
        """Hand over an order, in order, without waiting for it. Raises `HostGone`."""


class Switchboard:
    """Which host carries an instance now. The supervisor plugs; actors call."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._hosts: dict[str, Host] = {}

    def plug(self, instance: str, host: Host) -> None:
        with self._lock:
            self._hosts[instance] = host

    def unplug(self, instance: str) -> None:
        with self._lock:
            self._hosts.pop(instance, None)

    def order(self, instance: str, order: Order) -> None:
        """Hand an order to the instance's host. Raises `HostGone`, also where there is none."""
        host = self._hosts.get(instance)
        if host is None:
            raise HostGone(instance)
        host.order(order)


def utc_now() -> datetime:
    return datetime.now(UTC)


def hide_qr(name: str, text: str) -> None:
    """Where nobody looks at a terminal, a QR is shown to callers with the key only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything an actor may reach. `supervisor` is only ever told, never asked, by those below it.

    `is_ending` is true as soon as this process was told to end: nothing long is begun any more.
    """

    config: Config
    store: EventStore
    vault: Vault
    directory: Directory
    alarms: Alarms
    supervisor: pykka.ActorRef[Any]
    switchboard: Switchboard = field(default_factory=Switchboard)
    tallies: Tallies = field(default_factory=Tallies)
    latencies: Latencies = field(default_factory=Latencies)
    inquiries: Inquiries = field(default_factory=Inquiries)
    pulse: Pulse = field(default_factory=Pulse)
    spools: Lock = field(default_factory=Lock)
    """Whoever has it may touch what is spooled: one who reads it into the log, or hands it over, or erases of it."""
    is_ending: Callable[[], bool] = lambda: False
    now: Callable[[], datetime] = utc_now
    show_qr: Callable[[str, str], None] = hide_qr
