"""A webhook world: a real store, receivers, and numbers that deliver to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.actors import webhook, webhook_actor
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.eventstore.store import EventStore
from receiver import Receiver
from webhook_world import Begin, Desk, Number


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
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails waits for ten minutes, and anything new is a reason to try again before that."""
    monkeypatch.setattr(webhook_actor, "PROBE_AFTER_S", 0.0)
    monkeypatch.setattr(webhook, "OFFSETS_S", (600,))
