"""What tests of actors share: a real store, the world of one instance, and one of receivers with numbers and postmen."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.actors import webhook, webhook_actor
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.webhook_address import Deny
from chatbot_erp.actors.webhook_post import TLS, Postman
from chatbot_erp.eventstore.store import EventStore
from instance_world import World
from receiver import Receiver
from scripted_receiver import Hire, Listen, Peer, Script
from webhook_world import Begin, Desk, Number


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data", media_keep_days=30)


@pytest.fixture
def store(config: Config) -> Iterator[EventStore]:
    with EventStore.open(config.data_dir) as store:
        yield store


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Of one instance."""
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with EventStore.open(tmp_path) as store:
        yield Desk(store)


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    running = Alarms().start()
    yield running
    running.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture
def begin(desk: Desk, alarms: Alarms, receiver: Receiver) -> Iterator[Begin]:
    """Start a number that delivers to a path of the receiver."""
    numbers: list[Number] = []

    def start(path: str = "/webhook", *, settings: dict[str, Any] | None = None, **config: Any) -> Number:
        numbers.append(Number(desk, alarms, receiver.url(path), settings or {}, **config))
        return numbers[-1]

    yield start
    for number in numbers:
        number.stop()


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails waits for ten minutes: no retry comes between, however slow the machine is."""
    monkeypatch.setattr(webhook, "OFFSETS_S", (600,))


@pytest.fixture
def patient(long_waits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails waits for ten minutes, and anything new is a reason to try again before that."""
    monkeypatch.setattr(webhook_actor, "PROBE_AFTER_S", 0.0)


@pytest.fixture
def listen() -> Iterator[Listen]:
    peers: list[Peer] = []

    def start(script: Script) -> Peer:
        peers.append(Peer(script))
        return peers[-1]

    yield start
    for peer in peers:
        peer.stop()


@pytest.fixture
def hire() -> Iterator[Hire]:
    """Postmen who close their connections after the test."""
    postmen: list[Postman] = []

    def start(*deny: str, timeout_s: float = 5, tls: ssl.SSLContext = TLS) -> Postman:
        postmen.append(Postman(timeout_s=timeout_s, deny=Deny.of(deny), tls=tls))
        return postmen[-1]

    yield start
    for postman in postmen:
        postman.close()


@pytest.fixture
def postman(hire: Hire) -> Postman:
    """One who is in a hurry."""
    return hire(timeout_s=0.6)
