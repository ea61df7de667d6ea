"""The shell of an instance over a real event store, with everything else around it held by the test."""

from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

import msgspec
import pykka

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.commands import CreateInstance, Observed, SendMessage
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.house import House, Switchboard
from chatbot_erp.actors.instance_actor import InstanceActor
from chatbot_erp.actors.state import State, evolve
from chatbot_erp.actors.webhooks import Webhooks
from chatbot_erp.eventstore.events import InstanceConnected, InstanceCreated, Status
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PATIENCE_S = 60


class Ear(pykka.ThreadingActor):
    """Stands where the supervisor or a webhook actor would, and remembers what it was told."""

    def __init__(self, told: "Queue[Any]") -> None:
        super().__init__()
        self._told = told

    def on_receive(self, message: Any) -> None:
        self._told.put(message)


class FakeHost:
    """Takes orders."""

    def __init__(self) -> None:
        self.orders: Queue[frames.Order] = Queue()
        self.passed: list[frames.Order] = []

    def order(self, order: frames.Order, /) -> None:
        self.orders.put(order)

    def next(self, kind: type[Any]) -> Any:
        """The next order of this kind; others are passed over."""
        while True:
            order = self.orders.get(timeout=PATIENCE_S)
            if isinstance(order, kind):
                return order
            self.passed.append(order)


class World:
    """One instance, `i`, named `shop`."""

    def __init__(self, directory: Path, config: Config | None = None) -> None:
        self.store = EventStore.open(directory)
        self.vault = Vault.open(directory)
        self.alarms = Alarms().start()
        self.supervisor_heard: Queue[Any] = Queue()
        self.supervisor = Ear.start(self.supervisor_heard)
        self.webhook_heard: Queue[Any] = Queue()
        self.webhook = Ear.start(self.webhook_heard)
        self.webhooks = Webhooks(lambda endpoint: self.webhook)
        self.host = FakeHost()
        self.showing = Event()
        self.shown = Event()
        self.house = House(
            config=config or Config(data_dir=directory),
            store=self.store,
            vault=self.vault,
            directory=Directory(),
            alarms=self.alarms,
            supervisor=self.supervisor,
            switchboard=Switchboard(),
            now=lambda: NOW,
            show_qr=self._show,
        )
        self.house.switchboard.plug("i", self.host)
        self.actor: Any = InstanceActor.start("i", self.house, self.webhooks, None, 0)
        self.house.directory.enter("i", "shop", self.actor)
        self.actor.ask(CreateInstance(name="shop", webhook_url="http://127.0.0.1:9/", session_from=None))

    def _show(self, name: str, text: str) -> None:
        self.showing.set()
        assert self.shown.wait(PATIENCE_S)

    def tell(self, observation: frames.Observation, number: int = 0, generation: int = 1) -> None:
        observed = Observed(generation=generation, observation=observation, at=NOW)
        self.actor.tell(tidings.Heard(observed=observed, number=number, oldest=1, host=self.host))

    def send(self, command: SendMessage) -> Future[Any]:
        """A message whose caller waits for its verdict."""
        caller: Future[Any] = Future()
        self.actor.tell(tidings.Deliver(command=command, caller=caller))
        return caller

    def connect(self) -> None:
        self.tell(frames.SocketConnected(jid="1@s.whatsapp.net", lid=None, push_name="Shop"))

    def types(self) -> list[str]:
        return [record.type for record in self.store.read(limit=1000)]

    def parked(self) -> list[Any]:
        folder = self.house.config.data_dir / "parked"
        return [msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))]

    def close(self) -> None:
        self.shown.set()
        for ref in (self.actor, self.webhook, self.supervisor):
            ref.stop()
        self.alarms.stop()
        self.vault.close()
        self.store.close()


def connected_state() -> State:
    """An instance that is CONNECTED."""
    state: State = None
    for event in (
        InstanceCreated(name="shop", webhook_url="http://example.test/", session_from=None),
        InstanceConnected(previous=Status.INITIALIZING, jid="1@s.whatsapp.net", lid=None, push_name="Shop"),
    ):
        state = evolve(state, event, NOW)
    return state


def received(message_id: str, *, text: str = "Oi") -> frames.SocketReceived:
    return frames.SocketReceived(
        message_id=message_id,
        jid="7@lid",
        jid_alt=None,
        participant=None,
        push_name="Maria",
        kind="text",
        text=text,
        sent_at=NOW,
        raw="{}",
    )
