"""A manager in the test's own process, for what nobody can do to it from outside: its actors fail or hang.

Its socket hosts are processes as ever, with the real library in them.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pykka

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.assembly import Surroundings, open_house
from chatbot_erp.actors.commands import Observed
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.manager import Manager
from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.trust import trust_root_key
from stores import STORES
from waiting import wait_until

PATIENCE_S = 90.0

T = TypeVar("T")


class Tarpit:
    """A socket host that never takes an order: whoever gives it one hangs until `release`."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._released = threading.Event()

    def order(self, order: frames.Order, /) -> None:
        self.entered.set()
        self._released.wait()

    def release(self) -> None:
        self._released.set()


@dataclass(frozen=True, slots=True)
class InnerNumber:
    """A connected number whose actor is within reach."""

    manager: Manager
    name: str
    id: str
    phone: Phone

    @property
    def actor(self) -> pykka.ActorRef[Any]:
        actor = self.manager.directory.actor(self.id)
        assert actor is not None
        return actor

    def wait(self, wanted: Callable[[InstanceView], Any]) -> InstanceView:
        return wait_until(
            lambda: view if wanted(view := self.manager.directory.view(self.name)) else None,
            describe=lambda: self.manager.directory.view(self.name),
        )

    def await_successor(self, former: pykka.ActorRef[Any]) -> None:
        """Wait until another actor is in the place of this one."""
        wait_until(lambda: self.actor != former)

    def hang(self) -> Tarpit:
        """Have its actor hang in mid-work."""
        tarpit = Tarpit()
        receipt = frames.SocketSawReceipt(message_ids=("none",), jid="0@s.whatsapp.net", participant=None, ack=2)
        observed = Observed(generation=0, observation=receipt, at=utc_now())
        self.actor.tell(tidings.Heard(observed=observed, number=1, oldest=1, host=tarpit))
        assert tarpit.entered.wait(PATIENCE_S)
        return tarpit


@contextmanager
def inner_house(
    data_dir: Path,
    network: Network,
    *,
    numbers_per_host: int = 1,
    proxy_url: str | None = None,
    in_files: bool = False,
) -> Iterator[Manager]:
    """Everything but HTTP. `proxy_url` is a proxy that leads to the network's own; `in_files`: the sessions, if no log is."""
    environment = network.environment()
    if proxy_url is not None:
        environment["HTTPS_PROXY"] = proxy_url
    surroundings = Surroundings(environment=environment, prelude=partial(trust_root_key, network.root_key))
    database = STORES.database_of(data_dir)
    config = Config(
        data_dir=data_dir,
        database=database,
        sessions="files" if database is None or in_files else "database",
        sanity_ping=False,
        numbers_per_host=numbers_per_host,
    )
    with open_house(config, surroundings) as manager:
        yield manager


def admit(manager: Manager, name: str, phone: Phone, webhook_url: str) -> InnerNumber:
    """A new number, connected."""
    number = InnerNumber(manager, name, manager.create(name, webhook_url).view.id, phone)
    view = number.wait(lambda view: view.qr)
    assert view.qr is not None
    phone.scan(view.qr.text)
    number.wait(lambda view: view.status in OPERATIONAL)
    return number
