"""A webhook world: a real store, receivers, and numbers that deliver to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
