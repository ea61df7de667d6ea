"""The supervisor with real actors and a real store, over socket hosts that the test plays."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from queue import Empty, Queue
from threading import Event
from typing import Any

import pykka
import pytest

from chatbot_erp.actors import frames, hosts, lives, supervision, tidings
from chatbot_erp.actors.alarms import Alarm, Alarms
from chatbot_erp.actors.commands import CreateInstance, Observed, SendMessage
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.directory import Directory, InstanceView
from chatbot_erp.actors.endpoint import ConfigureEndpoint
from chatbot_erp.actors.host_process import HostDeath
from chatbot_erp.actors.hosts import SocketHosts
from chatbot_erp.actors.house import House, Switchboard, utc_now
from chatbot_erp.actors.serve import pass_on
from chatbot_erp.actors.sessions import Sessions
from chatbot_erp.actors.supervision import INTENSITY
from chatbot_erp.actors.supervisor_actor import STAND_EVERY_LOOKS, SupervisorActor
from chatbot_erp.actors.webhook_actor import WebhookActor
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.events import Status
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault
from receiver import Delivery, Receiver

PATIENCE_S = 60.0


class FakeHost:
    """A socket host that obeys nothing by itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0
        self.last_alive = time.monotonic()
        self.vitals: frames.Alive | None = None
        self.orders: Queue[frames.Order] = Queue()
        self.killed = Event()

    def order(self, order: frames.Order, /) -> None:
        self.orders.put(order)

    def next(self, kind: type[Any]) -> Any:
        while True:
            order = self.orders.get(timeout=PATIENCE_S)
            if isinstance(order, kind):
                return order

    def kill(self) -> None:
        self.killed.set()

    def end(self, timeout_s: float) -> bool:
        return True


class LongAlarms(Alarms):
    """What is set for an hour or more is kept, for the test to ring before its time."""

    def __init__(self) -> None:
        super().__init__()
        self.long: list[Callable[[], None]] = []

    def set(self, delay_s: float, callback: Callable[[], None]) -> Alarm:
        if delay_s > 3000:
            self.long.append(callback)
        return super().set(delay_s, callback)


class World:
    def __init__(self, directory: Path, **knobs: Any) -> None:
        self.store = EventStore.open(directory)
        self.vault = Vault.open(directory)
        self.alarms = LongAlarms().start()
        self.born: Queue[FakeHost] = Queue()
        self.barren = False
        self.may_show = Event()
        self.may_show.set()
        self.showing = Event()
        self.config = Config(data_dir=directory, **knobs)
        self.supervisor: Any = SupervisorActor.start(self._build)
        house: Any = self.supervisor.ask(tidings.Introduce())
        self.house: House = house

    def _build(self, supervisor: pykka.ActorRef[Any]) -> tuple[House, SocketHosts]:
        switchboard = Switchboard()
        house = House(
            config=self.config,
            store=self.store,
            vault=self.vault,
            directory=Directory(),
            alarms=self.alarms,
            supervisor=supervisor,
            switchboard=switchboard,
            show_qr=self._show,
        )
        sessions = Sessions(self.config.data_dir / "sessions")
        return house, SocketHosts(
            sessions=sessions, numbers_per_host=2, ping=False, switchboard=switchboard, spawn=self._spawn
        )

    def _show(self, name: str, text: str) -> None:
        self.showing.set()
        assert self.may_show.wait(PATIENCE_S)

    def _spawn(self, name: str) -> Any:
        if self.barren:
            raise OSError("no more processes")
        host = FakeHost(name)
        self.born.put(host)
        return host

    def create(self, name: str) -> FakeHost:
        """A new number, and the host that was born for its pairing."""
        actor = self.supervisor.ask(tidings.StartInstance(instance=name, name=name))
        actor.ask(CreateInstance(name=name, webhook_url="http://127.0.0.1:9/", session_from=None))
        return self.born.get(timeout=PATIENCE_S)

    def say(self, host: FakeHost, instance: str, generation: int, seen: frames.Observation, number: int = 0) -> None:
        said = frames.Said(instance=instance, generation=generation, number=number, observation=seen)
        pass_on(self.house, host, said)  # type: ignore[arg-type]

    def connect(self, name: str, host: FakeHost | None = None) -> FakeHost:
        """A paired and connected number, and its host: this one, or one that is born for it."""
        pairing = self.create(name)
        self.say(pairing, name, 1, frames.SocketPaired(jid=f"{name}@s.whatsapp.net", lid=None))
        pairing.next(frames.CloseSocket)
        self.say(pairing, name, 1, frames.SocketClosed())
        return self.open(name, 2, host)

    def open(self, name: str, generation: int, host: FakeHost | None = None) -> FakeHost:
        """The host, or the next one, opens this generation and is connected."""
        host = host or self.born.get(timeout=PATIENCE_S)
        assert host.next(frames.OpenSocket).generation == generation
        self.say(host, name, generation, frames.SocketConnected(jid="1@s.whatsapp.net", lid=None, push_name=""))
        self.wait(name, lambda view: view.status is Status.CONNECTED)
        return host

    def send(self, name: str, command_id: str) -> None:
        """Returns when it is accepted."""
        actor = self.house.directory.actor(name)
        assert actor is not None
        command = SendMessage(command_id=command_id, number="551", content=Text(text="Olá"))
        actor.ask(tidings.Deliver(command=command, caller=Future()))

    def wait(self, name: str, wanted: Any) -> InstanceView:
        deadline = time.monotonic() + PATIENCE_S
        while not wanted(view := self.house.directory.view(name)):
            assert time.monotonic() < deadline, view
            time.sleep(0.005)
        return view

    def look_thoroughly(self) -> None:
        for _ in range(STAND_EVERY_LOOKS):
            self.supervisor.tell(tidings.Look())
        self.supervisor.ask(tidings.Introduce())

    def log_causes(self, name: str) -> list[str]:
        return [r.event.cause for r in self.store.read(stream=name, types={"instance.restarted"}, limit=100)]  # type: ignore[attr-defined]

    def close(self) -> None:
        self.may_show.set()
        self.supervisor.ask(tidings.EndAll(patience_s=5.0))
        self.supervisor.stop()
        self.alarms.stop()
        self.vault.close()
        self.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_new_socket_waits_until_the_old_one_has_let_go_of_the_session(world: World) -> None:
    host = world.connect("a")
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    world.supervisor.ask(tidings.Introduce())
    world.wait("a", lambda view: view.restarts == 2)
    world.supervisor.ask(tidings.Introduce())
    with pytest.raises(Empty):
        host.orders.get_nowait()
    world.say(host, "a", 2, frames.SocketClosed())
    assert host.next(frames.OpenSocket).generation == 4


def test_an_actor_that_fails_is_replaced_and_goes_on_with_its_socket(world: World) -> None:
    host = world.connect("a")
    failing = world.house.directory.actor("a")
    assert failing is not None
    failing.tell("nonsense")
    host.next(frames.Repeat)
    assert world.house.directory.actor("a") != failing
    assert world.house.directory.view("a").status is Status.CONNECTED
    assert world.log_causes("a") == ["paired"]
    assert world.house.tallies.read()[("actors_replaced", "actor_failed")] == 1


def test_a_delivery_actor_that_fails_is_replaced_at_once_but_not_again_and_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "INTENSITY", (1, 300.0))
    others = set(pykka.ActorRegistry.get_by_class(WebhookActor))
    world.create("a")
    (failing,) = set(pykka.ActorRegistry.get_by_class(WebhookActor)) - others
    failing.tell("nonsense")
    world.wait("a", lambda _: ("actors_replaced", "webhook_failed") in world.house.tallies.read())
    (successor,) = set(pykka.ActorRegistry.get_by_class(WebhookActor)) - others
    successor.tell("nonsense")
    assert successor.actor_stopped.wait(PATIENCE_S)
    world.supervisor.tell(tidings.WebhookFailed(instance="a", endpoint=MAIN))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.tallies.read()[("actors_replaced", "webhook_failed")] == 1


def test_an_actor_that_always_fails_is_not_replaced_for_ever_until_somebody_asks(world: World) -> None:
    host = world.connect("a")
    for _ in range(INTENSITY[0]):
        failing = world.house.directory.actor("a")
        assert failing is not None
        failing.tell("nonsense")
        host.next(frames.Repeat)
    failing = world.house.directory.actor("a")
    assert failing is not None
    failing.tell("nonsense")
    assert failing.actor_stopped.wait(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while ("quarantines", "actor_failed") not in world.house.tallies.read():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)


def test_an_actor_that_fails_now_and_then_over_a_connection_that_stands_is_forgiven(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "HEALTHY_AFTER_S", 0.0)
    host = world.connect("a")
    for _ in range(INTENSITY[0] + 1):
        failing = world.house.directory.actor("a")
        assert failing is not None
        failing.tell("nonsense")
        host.next(frames.Repeat)
    assert ("quarantines", "actor_failed") not in world.house.tallies.read()


def test_an_actor_that_hangs_is_replaced_and_its_late_words_are_not_believed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "STUCK_S", 0.0)
    host = world.create("a")
    world.may_show.clear()
    world.say(host, "a", 1, frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    hanging = world.house.directory.actor("a")
    world.look_thoroughly()
    world.look_thoroughly()
    host.next(frames.Repeat)
    assert world.house.directory.actor("a") != hanging
    assert world.house.tallies.read()[("actors_replaced", "actor_stuck")] == 1
    world.supervisor.tell(tidings.ActorFailed(instance="a", urn=hanging.actor_urn if hanging else ""))
    world.supervisor.ask(tidings.Introduce())
    world.may_show.set()
    monkeypatch.undo()
    world.say(host, "a", 1, frames.SocketPaired(jid="1@s.whatsapp.net", lid=None))
    world.wait("a", lambda view: view.status is Status.INITIALIZING)
    assert ("actors_replaced", "actor_failed") not in world.house.tallies.read()


def test_an_actor_that_answers_its_heartbeat_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "STUCK_S", 0.0)
    world.connect("a")
    actor = world.house.directory.actor("a")
    assert actor is not None
    for _ in range(5):
        world.look_thoroughly()
        actor.ask(tidings.Introduce())
        world.supervisor.ask(tidings.Introduce())
    assert world.house.directory.actor("a") == actor


def test_a_number_that_is_banned_for_a_time_is_left_alone_until_then_whatever_happens_around_it(world: World) -> None:
    host = world.connect("a")
    until = utc_now() + timedelta(hours=1)
    world.say(host, "a", 2, frames.SocketEnded(cause="temporarily_banned", retry_at=until))
    host.next(frames.CloseSocket)
    world.say(host, "a", 2, frames.SocketClosed())
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    failing = world.house.directory.actor("a")
    assert failing is not None
    failing.tell("nonsense")
    world.wait("a", lambda _: world.house.directory.actor("a") not in (None, failing))
    # The word of an older plan, which was on its way when the ban came.
    world.supervisor.tell(tidings.RestartDue(instance="a", number=0))
    world.supervisor.ask(tidings.Introduce())
    view = world.house.directory.view("a")
    assert (view.reason, view.retry_at) == ("temporarily_banned", until)
    assert world.log_causes("a") == ["paired"]
    assert world.born.empty()


def test_a_ban_outlasts_the_recycling_of_its_host(world: World) -> None:
    host = world.connect("a")
    world.connect("b", host)
    until = utc_now() + timedelta(hours=1)
    world.say(host, "a", 2, frames.SocketEnded(cause="temporarily_banned", retry_at=until))
    assert host.next(frames.CloseSocket).instance == "a"
    world.say(host, "a", 2, frames.SocketClosed())
    host.vitals = frames.Alive(rss_bytes=world.config.host_memory_bytes + 1, descriptors=1)
    world.supervisor.tell(tidings.Look())
    assert host.next(frames.CloseSocket).instance == "b"
    world.say(host, "b", 2, frames.SocketClosed())
    other = world.open("b", 3)
    host.next(frames.EndHost)
    world.supervisor.tell(HostDeath(name=host.name, exit_code=0, signal=None, stderr_tail=""))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.directory.view("a").retry_at == until
    (ring,) = world.alarms.long
    ring()
    world.open("a", 3, other)
    assert world.log_causes("a") == ["paired", "temporarily_banned"]


def test_what_the_old_receiver_says_late_does_not_disable_the_new_one(tmp_path: Path) -> None:
    asked, moved = Event(), Event()

    def answer(told: Delivery) -> int:
        asked.set()
        return 410 if told.path == "/old" and moved.wait(60) else 200

    world = World(tmp_path, webhook_timeout_s=300.0)
    with Receiver(answer) as receiver:
        host = world.create("a")
        Credentials(world.vault, "a", MAIN).make()
        actor: Any = world.house.directory.actor("a")
        actor.ask(ConfigureEndpoint(endpoint=MAIN, url=receiver.url("/old")))
        world.say(host, "a", 1, frames.SocketOfferedQr(qr="secret", valid_s=60))
        assert asked.wait(60)
        actor.ask(ConfigureEndpoint(endpoint=MAIN, url=receiver.url("/new")))
        moved.set()
        receiver.wait_for(lambda told: told["event"] == "instance.status", path="/new")
        actor.ask(tidings.Introduce())
        (endpoint,) = world.house.directory.endpoints("a")
    world.close()
    assert endpoint.disabled is None


def test_where_no_process_can_be_had_it_is_tried_again(world: World) -> None:
    host = world.connect("a")
    world.barren = True
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.wait("a", lambda view: (view.status, view.reason) == (Status.DISCONNECTED, "socket_failed"))
    world.barren = False
    generation = world.born.get(timeout=PATIENCE_S).next(frames.OpenSocket).generation
    assert generation >= 4


def test_the_supervisor_survives_what_it_cannot_handle(world: World) -> None:
    world.supervisor.tell("nonsense")
    world.connect("a")
    assert world.house.tallies.read()[("supervisor_stumbles", "")] == 1


def test_a_host_that_dies_takes_its_numbers_to_another(world: World) -> None:
    host = world.connect("a")
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.open("a", 3)
    assert world.log_causes("a") == ["paired", "host_died"]
    assert world.house.tallies.read()[("hosts_lost", "host_died")] == 1


def test_what_was_in_mid_send_in_a_socket_that_was_being_closed_is_in_doubt_when_its_host_dies(world: World) -> None:
    host = world.connect("a")
    world.send("a", "before")
    host.next(frames.Transmit)
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.open("a", 3)
    world.send("a", "after")
    assert world.house.directory.view("a").pending == ("after",)
    (unknown,) = world.store.read(stream="a", types={"message.outcome_unknown"}, limit=100)
    assert (unknown.event.command_id, unknown.event.reason) == ("before", "host_died")  # type: ignore[attr-defined]
    assert world.log_causes("a") == ["paired", "requested"], "the loss itself is nothing new"
    assert ("hosts_lost", "host_died") not in world.house.tallies.read()


def test_who_does_not_answer_in_time_keeps_nobody_from_being_brought_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chatbot_erp.actors import supervisor_actor

    world.connect("b", world.connect("a"))
    for name in "ab":
        former = world.house.directory.actor(name)
        assert former is not None
        former.stop()
    monkeypatch.setattr(lives, "RESTORE_PATIENCE_S", 0.0)
    monkeypatch.setattr(supervisor_actor, "RESTORE_PATIENCE_S", 0.0)
    assert world.supervisor.ask(tidings.Restore()) == 2
    for name in "ab":
        world.wait(name, lambda view: view.status is Status.CONNECTED)
    world.supervisor.ask(tidings.Resume())
    for name in "ab":
        world.wait(name, lambda view: view.status is Status.INITIALIZING)
        assert world.log_causes(name) == ["paired", "manager_started"]


def test_a_host_that_says_nothing_is_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host = world.connect("a")
    monkeypatch.setattr(hosts, "SILENCE_S", -1.0)
    world.supervisor.tell(tidings.Look())
    assert host.killed.wait(PATIENCE_S)
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.wait("a", lambda view: view.status is not Status.CONNECTED)
    world.open("a", 3)
    assert world.log_causes("a") == ["paired", "host_hung"]


def test_a_manager_that_was_held_up_itself_kills_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a suspended machine or a swapped-out process the words of the hosts are there, but nobody has read them."""
    host = world.connect("a")
    host.last_alive -= 100
    monkeypatch.setattr(hosts, "LATE_S", -1.0)
    world.supervisor.tell(tidings.Look())
    world.supervisor.ask(tidings.Introduce())
    assert not host.killed.is_set()


def test_a_loss_whose_word_was_lost_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The actor that failed had a restart in its mailbox."""
    from chatbot_erp.actors import supervisor_actor

    host = world.connect("a")
    world.say(host, "a", 2, frames.SocketEnded(cause="stream_replaced"))
    world.wait("a", lambda view: view.status is Status.INVALID)
    host.next(frames.CloseSocket)
    world.say(host, "a", 2, frames.SocketClosed())
    monkeypatch.setattr(supervisor_actor, "LOST_PATIENCE_S", 0.0)
    world.look_thoroughly()
    assert world.log_causes("a") == ["paired"], "nobody heals the incurable"
    actor = world.house.directory.actor("a")
    assert actor is not None
    lost = Observed(generation=2, observation=frames.SocketEnded(cause="refused"), at=utc_now())
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host = world.born.get(timeout=PATIENCE_S)
    actor.tell(
        tidings.Heard(
            observed=Observed(generation=3, observation=lost.observation, at=utc_now()), number=0, oldest=0, host=host
        )
    )
    world.wait("a", lambda view: view.reason == "refused")
    world.supervisor.tell(tidings.SocketHealthy(instance="a"))
    world.look_thoroughly()
    host.next(frames.CloseSocket)
    assert "refused" in world.log_causes("a")
