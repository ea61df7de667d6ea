"""The shell of an instance over a real event store, with everything else around it held by the test."""

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

import pykka
import pytest

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.commands import CreateInstance, Observed, SendText
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.errors import InstanceNotOperational, OutcomeUnknown
from chatbot_erp.actors.house import House, Switchboard
from chatbot_erp.actors.instance_actor import InstanceActor
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PATIENCE_S = 10


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

    def order(self, order: frames.Order, /) -> None:
        self.orders.put(order)

    def next(self, kind: type[frames.Frame]) -> Any:
        """The next order of this kind; others are passed over."""
        while True:
            order = self.orders.get(timeout=PATIENCE_S)
            if isinstance(order, kind):
                return order


class World:
    """One instance, `i`, named `shop`."""

    def __init__(self, directory: Path) -> None:
        self.store = EventStore.open(directory)
        self.vault = Vault.open(directory)
        self.alarms = Alarms().start()
        self.supervisor_heard: Queue[Any] = Queue()
        self.supervisor = Ear.start(self.supervisor_heard)
        self.webhook = Ear.start(Queue())
        self.host = FakeHost()
        self.showing = Event()
        self.shown = Event()
        self.house = House(
            config=Config(data_dir=directory),
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
        self.actor: Any = InstanceActor.start("i", self.house, self.webhook, None, 0)
        self.house.directory.enter("i", "shop", self.actor)
        self.actor.ask(CreateInstance(name="shop", webhook_url="http://127.0.0.1:9/", session_from=None))

    def _show(self, name: str, text: str) -> None:
        self.showing.set()
        assert self.shown.wait(PATIENCE_S)

    def tell(self, observation: frames.Observation, number: int = 0, generation: int = 1) -> None:
        observed = Observed(generation=generation, observation=observation, at=NOW)
        self.actor.tell(tidings.Heard(observed=observed, number=number, host=self.host))

    def connect(self) -> None:
        self.tell(frames.SocketConnected(jid="1@s.whatsapp.net", lid=None, push_name="Shop"))

    def types(self) -> list[str]:
        return [record.type for record in self.store.read(limit=1000)]

    def close(self) -> None:
        for ref in (self.actor, self.webhook, self.supervisor):
            ref.stop()
        self.alarms.stop()
        self.vault.close()
        self.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.shown.set()
    world.close()


def received(message_id: str) -> frames.SocketReceived:
    return frames.SocketReceived(
        message_id=message_id,
        jid="7@lid",
        jid_alt=None,
        participant=None,
        push_name="Maria",
        kind="text",
        text="Oi",
        sent_at=NOW,
        raw="{}",
    )


def sent(command_id: str) -> frames.SocketSent:
    return frames.SocketSent(command_id=command_id, message_id="m", jid="551@s.whatsapp.net", sent_at=NOW, text="Olá")


def test_what_came_while_the_actor_was_busy_is_stored_together_and_confirmed_once(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    for number in range(1, 11):
        world.tell(received(f"m{number}"), number)
    world.shown.set()
    assert world.host.next(frames.Confirm).number == 10
    assert world.types().count("message.received") == 10


def test_what_was_staged_is_stored_even_if_the_next_command_is_refused(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    world.tell(received("m1"), 1)
    refused = world.actor.ask(SendText(command_id="c", number="551", text="Olá"), block=False)
    world.shown.set()
    with pytest.raises(InstanceNotOperational):
        refused.get(timeout=PATIENCE_S)
    assert world.host.next(frames.Confirm).number == 1


def test_a_word_said_again_is_stored_once(world: World) -> None:
    world.tell(received("m1"), 1)
    world.tell(received("m1"), 1)
    world.tell(received("m2"), 2)
    while world.host.next(frames.Confirm).number != 2:
        pass
    assert world.types().count("message.received") == 2


def test_a_send_is_on_record_before_it_is_transmitted_and_answered_after_it_is_recorded(world: World) -> None:
    world.connect()
    caller: Future[Any] = world.actor.ask(SendText(command_id="c", number="551", text="Olá"))
    order = world.host.next(frames.Transmit)
    assert (order.command_id, order.to, order.text) == ("c", "551", "Olá")
    assert world.types()[-1] == "message.accepted"
    world.tell(sent("c"), 1)
    assert caller.result(PATIENCE_S).message_id == "m"
    assert world.types()[-2:] == ["message.sent", "instance.degraded"]


def test_a_send_without_a_host_is_reported_as_not_sent(world: World) -> None:
    world.connect()
    world.house.switchboard.unplug("i")
    caller: Future[Any] = world.actor.ask(SendText(command_id="c", number="551", text="Olá"))
    assert caller.result(PATIENCE_S).reason == "not_connected"


def test_nobody_waits_for_an_actor_that_has_stopped(world: World) -> None:
    world.connect()
    caller: Future[Any] = world.actor.ask(SendText(command_id="c", number="551", text="Olá"))
    world.actor.stop()
    with pytest.raises(OutcomeUnknown):
        caller.result(PATIENCE_S)


def test_a_stream_that_moved_on_stops_the_actor_rather_than_let_it_guess(world: World) -> None:
    other: Any = InstanceActor.start("i", world.house, world.webhook, None, 0)
    with pytest.raises(Exception, match="at version 1, not at 0"):
        other.ask(CreateInstance(name="shop", webhook_url="http://127.0.0.1:9/", session_from=None))
    while not isinstance(world.supervisor_heard.get(timeout=PATIENCE_S), tidings.ActorFailed):
        pass
    assert other.actor_stopped.wait(PATIENCE_S)
