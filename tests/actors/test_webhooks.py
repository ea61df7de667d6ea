"""When the delivery actors of an instance are replaced."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pykka
import pytest

from chatbot_erp.actors.supervision import FIRST_DELAY_S, INTENSITY, LONGEST_DELAY_S
from chatbot_erp.actors.webhook_mail import RetryNow, Wake
from chatbot_erp.actors.webhooks import Ref, Webhooks
from chatbot_erp.eventstore.records import MAIN
from waiting import wait_until

PATIENCE_S = 60.0


class Deliverer(pykka.ThreadingActor):
    use_daemon_thread = True
    retries = 0

    def on_receive(self, message: object) -> Any:
        if isinstance(message, RetryNow):
            self.retries += 1
        return self.retries


@pytest.fixture
def started() -> Iterator[list[Ref]]:
    actors: list[Ref] = []
    yield actors
    for actor in actors:
        actor.stop()


@pytest.fixture
def webhooks(started: list[Ref]) -> Webhooks:
    def start(_: str) -> Any:
        started.append(Deliverer.start())
        return started[-1]

    webhooks = Webhooks(start)
    webhooks.adjust([MAIN])
    return webhooks


def test_the_first_successor_comes_at_once_the_next_ones_later_and_in_the_end_every_five_minutes(
    webhooks: Webhooks,
) -> None:
    delays = [webhooks.failed(MAIN) for _ in range(INTENSITY[0] + 1)]
    assert delays[0] == 0.0
    for times, delay in enumerate(delays[1:-1]):
        assert delay is not None
        assert 0.0 <= delay <= FIRST_DELAY_S * 2**times
    assert delays[-1] == LONGEST_DELAY_S


def test_an_endpoint_that_was_made_anew_has_not_failed_yet(webhooks: Webhooks) -> None:
    for _ in range(INTENSITY[0]):
        webhooks.failed(MAIN)
    webhooks.adjust([])
    assert webhooks.failed(MAIN) is None
    webhooks.adjust([MAIN])
    assert webhooks.failed(MAIN) == 0.0


def test_only_a_dead_actor_has_a_successor(webhooks: Webhooks, started: list[Ref]) -> None:
    assert not webhooks.restart(MAIN)
    started[0].stop()
    assert webhooks.restart(MAIN)
    assert not webhooks.restart(MAIN)
    started[1].ask(Wake())
    assert len(started) == 2


def test_what_is_to_be_tried_again_while_no_actor_lives_is_so_by_its_successor(
    webhooks: Webhooks, started: list[Ref]
) -> None:
    started[0].stop()
    webhooks.retry(MAIN)
    assert webhooks.restart(MAIN)
    assert started[1].ask(Wake()) == 1


def test_deliveries_have_ended_when_the_last_verdicts_are_told(started: list[Ref]) -> None:
    stopping, told = Event(), Event()

    class Slow(Deliverer):
        def on_stop(self) -> None:
            stopping.set()
            assert told.wait(PATIENCE_S)

    def start(_: str) -> Any:
        started.append(Slow.start())
        return started[-1]

    webhooks = Webhooks(start)
    webhooks.adjust([MAIN])
    webhooks.stop()
    assert stopping.wait(PATIENCE_S)
    assert started[-1].actor_stopped.is_set()
    assert not webhooks.have_ended()
    told.set()
    wait_until(webhooks.have_ended)
