"""The supervisor with real actors and a real store, over socket hosts that the test plays."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Queue
from threading import Event, Semaphore
from typing import Any, cast

import pykka

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.alarms import Alarm, Alarms
from chatbot_erp.actors.assembly import pass_on
from chatbot_erp.actors.commands import CreateInstance, SendMessage
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.directory import Directory, InstanceView
from chatbot_erp.actors.hosts import SocketHosts
from chatbot_erp.actors.house import House, Switchboard
from chatbot_erp.actors.journal import JournalBroken
from chatbot_erp.actors.sessions import Sessions
from chatbot_erp.actors.supervisor_actor import STAND_EVERY_LOOKS, SupervisorActor
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.events import Event as Happening
from chatbot_erp.eventstore.events import Status
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.vault import Vault
from waiting import wait_until

PATIENCE_S = 60.0


class FakeHost:
    """A socket host that obeys nothing by itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0
        self.last_alive = time.monotonic()
        self.vitals: frames.Alive | None = None
        self.orders: Queue[frames.Order] = Queue()
        self.killed, self.given_up = Event(), Event()

    def order(self, order: frames.Order, /) -> None:
        self.orders.put(order)

    def next(self, kind: type[Any]) -> Any:
        while True:
            order = self.orders.get(timeout=PATIENCE_S)
            if isinstance(order, kind):
                return order

    def kill(self) -> None:
        self.killed.set()

    def give_up(self) -> None:
        self.given_up.set()

    def end(self, timeout_s: float, spooling_s: float) -> bool:
        return True


def end_soon() -> tidings.EndAll:
    """The end, for which everybody has a moment."""
    until = time.monotonic() + 5.0
    return tidings.EndAll(hosts_until=until, actors_until=until)


class LongAlarms(Alarms):
    """What is set for an hour or more is kept, for the test to ring before its time."""

    def __init__(self) -> None:
        super().__init__()
        self.long: list[Callable[[], None]] = []

    def set(self, delay_s: float, callback: Callable[[], None]) -> Alarm:
        if delay_s > 3000:
            self.long.append(callback)
        return super().set(delay_s, callback)


class MuteStore:
    """The real one, except that it does not say whether it has stored an event of the kind `mute_on`.

    The first to ask for deliveries while `hang` is set has to wait for it; so has one of the kind `slow_on` for the event beside
    it. One of the kind `lose` never gets to the disk, and nobody is told. So many `refusals` later it says what is settled.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.mute_on: type[Happening] | None = None
        self.slow_on: tuple[type[Happening], Event] | None = None
        self.slowed = Semaphore(0)
        self.lose: type[Happening] | None = None
        self.refusals = 0
        self.hang: Event | None = None
        self.hanging = Event()

    def append(self, stream: str, expected_version: int, events: Sequence[NewEvent], *, snapshot: bytes) -> Any:
        if self.lose is not None and any(isinstance(new.event, self.lose) for new in events):
            self.lose = None
            return Future()
        if self.slow_on is not None and any(isinstance(new.event, self.slow_on[0]) for new in events):
            self.slowed.release()
            assert self.slow_on[1].wait(PATIENCE_S)
        appended = self._store.append(stream, expected_version, events, snapshot=snapshot)
        if self.mute_on is not None and any(isinstance(new.event, self.mute_on) for new in events):
            self.mute_on = None
            appended.result(PATIENCE_S)
            raise JournalBroken("on purpose")
        return appended

    def deliveries(self, *arguments: Any, **named: Any) -> Any:
        hang, self.hang = self.hang, None
        if hang is not None:
            self.hanging.set()
            assert hang.wait(PATIENCE_S)
        return self._store.deliveries(*arguments, **named)

    def settled(self) -> Future[None]:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("io", "on purpose")
        return self._store.settled()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class World:
    def __init__(self, directory: Path, **knobs: Any) -> None:
        self.store = EventStore.open(directory)
        self.mute = MuteStore(self.store)
        self.vault = Vault.open(directory)
        self.alarms = LongAlarms().start()
        self.born: Queue[FakeHost] = Queue()
        self.barren = False
        self.ready = Event()
        self.ready.set()
        self.questions = 0
        """How often it was asked whether a host can be had."""
        self.keep_names: Callable[[Path], None] = lambda session: None
        """Called with each session file that is to be erased."""
        self.webhook_url = "http://127.0.0.1:9/"
        self.may_show = Event()
        self.may_show.set()
        self.showing = Event()
        self.is_ending = False
        self.config = Config(data_dir=directory, **knobs)
        self.supervisor: Any = SupervisorActor.start(self.build)
        house: Any = self.supervisor.ask(tidings.Introduce())
        self.house: House = house

    def build(self, supervisor: pykka.ActorRef[Any]) -> tuple[House, SocketHosts]:
        """What a supervisor works with."""
        switchboard = Switchboard()
        house = House(
            config=self.config,
            store=cast(EventStore, self.mute),
            vault=self.vault,
            directory=Directory(),
            alarms=self.alarms,
            supervisor=supervisor,
            switchboard=switchboard,
            is_ending=lambda: self.is_ending,
            show_qr=self._show,
        )
        sessions = Sessions(self.config.data_dir / "sessions", part_with=lambda session: self.keep_names(session))
        return house, SocketHosts(
            sessions=sessions,
            numbers_per_host=2,
            ping=False,
            switchboard=switchboard,
            spawn=self._spawn,
            ready=self._is_ready,
        )

    def _show(self, name: str, text: str) -> None:
        self.showing.set()
        assert self.may_show.wait(PATIENCE_S)

    def _is_ready(self) -> bool:
        self.questions += 1
        return self.ready.is_set()

    def _spawn(self, name: str) -> Any:
        if self.barren:
            raise OSError("no more processes")
        host = FakeHost(name)
        self.born.put(host)
        return host

    def create(self, name: str) -> FakeHost:
        """A new number, and the host that was born for its pairing."""
        actor = self.supervisor.ask(tidings.StartInstance(instance=name, name=name))
        actor.ask(CreateInstance(name=name, webhook_url=self.webhook_url, session_from=None))
        return self.born.get(timeout=PATIENCE_S)

    def session(self, name: str) -> Path:
        """The session that the library has made for it."""
        path = self.config.data_dir / "sessions" / f"{name}.db"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        return path

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
        return wait_until(
            lambda: view if wanted(view := self.house.directory.view(name)) else None,
            describe=lambda: self.house.directory.view(name),
        )

    def look_thoroughly(self) -> None:
        for _ in range(STAND_EVERY_LOOKS):
            self.supervisor.tell(tidings.Look())
        self.supervisor.ask(tidings.Introduce())

    def log_causes(self, name: str) -> list[str]:
        return [r.event.cause for r in self.store.read(stream=name, types={"instance.restarted"}, limit=100)]  # type: ignore[attr-defined]

    def close(self) -> None:
        self.may_show.set()
        self.supervisor.ask(end_soon())
        self.supervisor.stop()
        self.alarms.stop()
        self.vault.close()
        self.store.close()
