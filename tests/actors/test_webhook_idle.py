"""What an endpoint costs, and sees to, while nothing may be posted there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from chatbot_erp.actors import webhook_actor, webhook_backlog
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.webhook_mail import LookAgain, Ping, Wake
from chatbot_erp.eventstore.records import MAIN
from receiver import Receiver
from waiting import wait_until
from webhook_world import Begin, Desk, Number, at_least, texts


class Delays:
    """Alarms that never ring, and know for when they were set."""

    def __init__(self) -> None:
        self.set_for: list[float] = []

    def set(self, delay_s: float, _: Callable[[], None]) -> "Delays":
        self.set_for.append(delay_s)
        return self

    def cancel(self) -> None:
        """Nothing is there to be cancelled."""


@pytest.mark.usefixtures("long_waits")
@pytest.mark.parametrize("order", ["instance", "chat"])
def test_new_events_behind_one_that_waits_cost_no_reading(
    begin: Begin, desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr("chatbot_erp.actors.webhook_holds.BREAKER_AFTER", 1)
    receiver.answer = lambda _: 500
    number = begin(settings={"order": order})
    number.hear("a")
    at_least(receiver, 1)
    number.actor.ask(Ping(), timeout=60)
    before = desk.readings
    for text in "bcdef":
        number.hear(text)
        number.actor.ask(Ping(), timeout=60)
    assert desk.readings == before
    assert texts(receiver) == ["a"]


@pytest.mark.usefixtures("patient")
def test_a_clock_that_is_set_makes_no_storm_of_readings_by_chat(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock the event is due, by what has passed since it failed it is not."""
    monkeypatch.setattr("chatbot_erp.actors.webhook_actor.PROBE_AFTER_S", 60.0)
    receiver.answer = lambda _: 500
    delays = Delays()
    number = Number(desk, cast(Alarms, delays), receiver.url(), {"order": "chat"})
    try:
        number.hear("a")
        wait_until(lambda: len(number.attempts()) == 1)
        (failed,) = number.attempts()
        past = datetime.now(UTC) - timedelta(hours=1)
        desk.store.record_attempt(number.id, MAIN, 1, failed, past, about=None).result(60)
        number.actor.ask(Ping(), timeout=60)
        delays.set_for.clear()
        number.actor.tell(LookAgain())
        wait_until(lambda: delays.set_for != [])
        assert min(delays.set_for) > 300
    finally:
        number.stop()


def test_a_log_that_takes_no_verdicts_is_not_asked_without_a_pause_by_chat(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what failed may be tried again meanwhile: nothing is posted before verdicts are in the log."""
    monkeypatch.setattr(webhook_backlog, "UNSETTLED_AT_MOST", 1)
    receiver.answer = lambda told: 500 if told.payload["message"]["text"] == "a" else 200
    delays = Delays()
    number = Number(desk, cast(Alarms, delays), receiver.url(), {"order": "chat", "paused": True})
    try:
        number.writing.clear()
        number.hear("a", chat="a@lid")
        number.hear("b", chat="b@lid")
        number.change(paused=False)
        at_least(receiver, 2)
        wait_until(lambda: number.attempts() != [])
        a_while = timedelta(seconds=0.2)
        wait_until(lambda: desk.store.next_due(number.id, MAIN, after=datetime.now(UTC) - a_while) is None)
        number.actor.ask(Ping(), timeout=60)
        delays.set_for.clear()
        number.actor.tell(LookAgain())
        wait_until(lambda: delays.set_for != [])
        assert min(delays.set_for) >= webhook_actor.SETTLING_S
        assert texts(receiver) == ["a", "b"]
    finally:
        number.stop()


def test_a_pause_has_no_verdict_reported_for_ever(
    begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_backlog, "REMIND_AFTER_S", 0.0)
    number = begin()
    number.writing.clear()
    number.hear("a")
    wait_until(lambda: number.reports > 0)
    number.change(paused=True)
    number.actor.ask(Ping(), timeout=60)
    number.writing.set()
    number.settled(1)
    number.actor.tell(LookAgain())
    number.actor.ask(Ping(), timeout=60)
    before = number.reports
    for _ in range(5):
        number.actor.tell(LookAgain())
        number.actor.ask(Ping(), timeout=60)
    assert number.reports == before
    assert texts(receiver) == ["a"]


@pytest.mark.usefixtures("long_waits")
@pytest.mark.parametrize("order", ["instance", "chat"])
def test_a_verdict_that_got_lost_is_reported_again_though_the_receiver_is_down_since(
    begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(webhook_backlog, "REMIND_AFTER_S", 0.0)
    monkeypatch.setattr("chatbot_erp.actors.webhook_holds.BREAKER_AFTER", 1)
    receiver.answer = lambda told: 500 if told.payload["message"]["text"] == "b" else 200
    number = begin(settings={"order": order})
    number.lives += 1  # verdicts of this life reach nobody
    number.hear("a", "b")
    wait_until(lambda: len(number.attempts()) == 2)
    number.actor.ask(Ping(), timeout=60)
    number.lives -= 1
    number.actor.tell(Wake())
    number.settled(1)
    assert texts(receiver) == ["a", "b"]
