"""Receivers that fail, vanish or may not be reached, and a store that is sick: rows 12 to 17 of the fault matrix."""

import threading
import time
from queue import SimpleQueue

import msgspec
import pykka
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chatbot_erp.actors import webhook_actor
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.webhook_actor import WebhookActor
from chatbot_erp.actors.webhook_credentials import Keys
from chatbot_erp.actors.webhook_mail import Finish, Ping, RetryNow, Wake
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.events import PingSent, WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import MAIN, Delivery
from receiver import Receiver
from waiting import wait_until
from webhook_world import Begin, Desk, at_least, message, texts


def test_gone_disables_at_once_and_only_this_receiver(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda delivery: 410 if delivery.path == "/gone" else 200
    gone, other = begin("/gone"), begin("/there")
    gone.hear("a", "b")
    assert gone.disabled.get(timeout=60) == "gone"
    gone.hear("c")
    other.hear("x", "y")
    other.settled(2)
    with pytest.raises(TimeoutError):
        receiver.wait_for(lambda _: True, path="/gone", count=2, timeout_s=0.3)
    receiver.answer = lambda _: 200
    gone.actor.tell(RetryNow())
    gone.settled(3)
    assert texts(receiver, "/gone") == ["a", "a", "b", "c"]
    assert gone.disabled.empty()


def test_gone_is_remembered_by_the_next_life(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 410
    number = begin()
    number.hear("a")
    number.disabled.get(timeout=60)
    wait_until(lambda: len(number.attempts()) == 1)
    number.die()
    number.live()
    number.hear("b")
    number.actor.ask(Ping(), timeout=60)
    assert texts(receiver) == ["a"]


@pytest.mark.usefixtures("long_waits")
def test_a_new_url_takes_effect_at_once_for_what_waits(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda delivery: 500 if delivery.path == "/old" else 200
    number = begin("/old")
    number.hear("a", "b")
    receiver.wait_for(lambda _: True, path="/old", count=1)
    number.change(url=receiver.url("/new"))
    number.settled(2)
    assert texts(receiver, "/new") == ["a", "b"]


def test_what_was_retried_for_as_long_as_allowed_is_abandoned_and_the_next_one_told(
    begin: Begin, receiver: Receiver
) -> None:
    receiver.answer = lambda delivery: 500 if delivery.payload["message"]["text"] == "a" else 200
    number = begin(webhook_retry_for_s=0.0)
    number.hear("a", "b")
    assert number.settled(2) == [
        WebhookAbandoned(sequence=1, attempts=1, error="http_500"),
        WebhookDelivered(sequence=2, attempts=1, http_status=200),
    ]


def test_the_last_attempt_is_at_the_end_of_the_time_allowed(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    number = begin(webhook_retry_for_s=0.3)
    number.hear("a")
    assert number.settled(1) == [WebhookAbandoned(sequence=1, attempts=2, error="http_500")]


def test_an_event_that_cannot_be_told_is_abandoned_and_the_next_one_told(
    desk: Desk, begin: Begin, receiver: Receiver
) -> None:
    def disguise(delivery: Delivery) -> Delivery:
        if delivery.sequence != 2:
            return delivery
        return msgspec.structs.replace(
            delivery, record=msgspec.structs.replace(delivery.record, event=PingSent(message_id="x"))
        )

    desk.disguise = disguise
    number = begin()
    number.append(message("a"), message("x"), message("b"))
    number.actor.tell(Wake())
    assert number.settled(3)[1] == WebhookAbandoned(sequence=2, attempts=0, error="unreadable")
    assert texts(receiver) == ["a", "b"]
    assert [each.error for each in number.attempts()] == ["", "unreadable", ""]


def test_a_removed_instance_whose_receiver_is_gone_abandons_what_waits(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 410
    number = begin()
    number.hear("a", "b")
    number.disabled.get(timeout=60)
    number.actor.tell(Finish())
    assert number.drained.get(timeout=60) == number.id
    assert [type(verdict) for verdict in number.verdicts] == [WebhookAbandoned, WebhookAbandoned]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("order", ["instance", "chat"])
@pytest.mark.parametrize("dies", [False, True], ids=["in this life", "in the next"])
def test_something_new_is_a_reason_to_try_again_what_failed(
    begin: Begin, receiver: Receiver, order: str, dies: bool
) -> None:
    receiver.answer = lambda _: 500
    number = begin(settings={"order": order})
    number.hear("a")
    wait_until(lambda: len(number.attempts()) == 1)
    if dies:
        number.die()
        number.live()
    number.actor.ask(Ping(), timeout=60)
    assert texts(receiver) == ["a"]
    receiver.answer = lambda _: 200
    number.hear("b")
    number.settled(2)
    assert texts(receiver) == ["a", "a", "b"]


def test_a_receiver_that_names_a_time_is_left_in_peace_until_then(
    begin: Begin, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_actor, "PROBE_AFTER_S", 0.0)
    moments: SimpleQueue[float] = SimpleQueue()
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        moments.put(time.monotonic())
        asked.append(request)
        return Response(status=200) if len(asked) > 1 else Response(status=429, headers={"Retry-After": "2"})

    httpserver.expect_request("/webhook").respond_with_handler(answer)
    number = begin()
    number.change(url=httpserver.url_for("/webhook"))
    number.hear("a")
    first = moments.get(timeout=60)
    number.actor.ask(Ping(), timeout=60)
    number.hear("b")
    assert moments.get(timeout=60) - first >= 2.0
    number.settled(2)


def test_a_store_that_cannot_be_read_is_asked_again(
    desk: Desk, begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_actor, "STORE_PAUSE_S", 0.05)
    number = begin()
    desk.refuse = StoreUnavailable("locked", "on purpose")
    number.hear("a")
    number.actor.ask(Ping(), timeout=60)
    desk.refuse = None
    number.settled(1)
    assert texts(receiver) == ["a"]


@pytest.mark.usefixtures("long_waits")
def test_a_store_that_takes_no_attempts_makes_no_storm(
    desk: Desk, begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = begin()

    def answer(_: object) -> int:
        desk.refuse = StoreUnavailable("full", "on purpose")
        return 500

    receiver.answer = answer
    number.hear("a")
    at_least(receiver, 1)
    number.actor.ask(Ping(), timeout=60)
    desk.refuse = None
    for _ in range(20):
        number.actor.tell(Wake())
        number.actor.ask(Ping(), timeout=60)
    assert len(receiver.deliveries()) == 1
    receiver.answer = lambda _: 200
    monkeypatch.setattr(webhook_actor, "PROBE_AFTER_S", 0.0)
    number.actor.tell(Wake())
    assert number.settled(1) == [WebhookDelivered(sequence=1, attempts=2, http_status=200)]


def test_a_denied_receiver_is_never_reached(begin: Begin, receiver: Receiver) -> None:
    number = begin(webhook_deny=("private",), webhook_retry_for_s=0.0)
    number.hear("a")
    assert number.settled(1) == [WebhookAbandoned(sequence=1, attempts=1, error="denied_address")]
    wait_until(lambda: len(number.attempts()) == 1)
    assert (number.attempts()[0].address, number.attempts()[0].answer) == ("", "")
    assert receiver.deliveries() == []


def test_a_number_without_a_secret_tells_nobody(begin: Begin, receiver: Receiver) -> None:
    number = begin(webhook_retry_for_s=0.0)
    number.keys = Keys(new=None)
    number.hear("a")
    assert number.settled(1) == [WebhookAbandoned(sequence=1, attempts=1, error="no_secret")]
    assert receiver.deliveries() == []


def test_an_error_nobody_foresaw_is_said_to_the_one_above(desk: Desk, alarms: Alarms) -> None:
    died = threading.Event()
    actor = WebhookActor.start(
        "i",
        "n",
        MAIN,
        store=desk,
        alarms=alarms,
        config=Config(),
        settings=lambda: None,
        keys=lambda: Keys(new=None),
        report=lambda told: None,
        drained=lambda: None,
        disabled=lambda reason, since: None,
        failed=died.set,
    )
    actor.tell("nonsense")
    assert died.wait(60)
    with pytest.raises(pykka.ActorDeadError):
        actor.ask(Wake(), timeout=60)
