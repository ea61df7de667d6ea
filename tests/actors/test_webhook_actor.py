"""Deliveries of instances to real receivers on 127.0.0.1, over the real store."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from chatbot_erp.actors import webhook_actor, webhook_backlog, webhook_dial
from chatbot_erp.actors.webhook import signing_key
from chatbot_erp.actors.webhook_credentials import Keys
from chatbot_erp.actors.webhook_mail import Finish, Ping, RetryNow, Wake
from chatbot_erp.eventstore.events import InstanceDisconnected, Status, WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import ERASED
from chatbot_erp.eventstore.subjects import Subjects
from receiver import Receiver
from waiting import wait_until
from webhook_world import NEW_SECRET, SECRET, Begin, Desk, at_least, message, texts


def test_what_happens_is_told_in_order_signed_and_settled(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    wanted = [f"m{n}" for n in range(200)]
    for text in wanted:
        number.hear(text)
    number.append(InstanceDisconnected(previous=Status.CONNECTED, reason="dropped"))
    number.actor.tell(Wake())
    verdicts = number.settled(201)
    deliveries = receiver.deliveries()
    assert [delivery.payload["sequence"] for delivery in deliveries] == list(range(1, 202))
    assert [delivery.payload["message"]["text"] for delivery in deliveries[:200]] == wanted
    assert verdicts == [WebhookDelivered(sequence=n, attempts=1, http_status=200) for n in range(1, 202)]
    for delivery in deliveries:
        headers = dict(delivery.headers)
        standardwebhooks.Webhook(SECRET).verify(delivery.body, headers)
        svix.webhooks.Webhook(SECRET).verify(delivery.body, headers)
        assert headers["webhook-id"] == delivery.id
        assert (headers["X-Instance-Id"], headers["X-Instance-Name"]) == (number.id, "empresa_x")
    wait_until(lambda: len(number.attempts()) == 201)
    first = number.attempts()[0]
    assert (first.sequence, first.http_status, first.error) == (1, 200, "")
    assert receiver.url().startswith(f"http://{first.address}/")


def test_a_failed_event_is_told_again_with_the_same_id_and_bytes_and_those_behind_it_wait(
    begin: Begin, receiver: Receiver
) -> None:
    moments: list[float] = []

    def answer(_: object) -> int:
        moments.append(time.monotonic())
        return 500 if len(moments) == 1 else 204

    receiver.answer = answer
    number = begin()
    number.hear("a", "b", "c")
    verdicts = number.settled(3)
    assert texts(receiver) == ["a", "a", "b", "c"]
    first, second = receiver.deliveries()[:2]
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(first.headers["webhook-timestamp"]) < int(second.headers["webhook-timestamp"])
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert moments[1] - moments[0] >= 1.0
    assert verdicts[0] == WebhookDelivered(sequence=1, attempts=2, http_status=204)
    assert [(each.sequence, each.error) for each in number.attempts()][:2] == [(1, "http_500"), (1, "")]


@pytest.mark.usefixtures("long_waits")
def test_a_dead_receiver_with_a_long_backlog_gets_one_probe_and_then_everything_in_order(
    begin: Begin, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 503
    number = begin()
    wanted = [f"m{n}" for n in range(500)]
    number.append(*(message(text) for text in wanted))
    for _ in range(50):
        number.actor.tell(Wake())
    number.actor.ask(Ping(), timeout=60)
    at_least(receiver, 1)
    assert texts(receiver) == ["m0"]
    receiver.answer = lambda _: 200
    number.actor.tell(RetryNow())
    number.settled(500)
    assert texts(receiver) == ["m0", *wanted]


def test_a_new_life_goes_on_with_the_retries_of_the_last_one(begin: Begin, receiver: Receiver) -> None:
    moments: list[float] = []

    def answer(_: object) -> int:
        moments.append(time.monotonic())
        return 500 if len(moments) == 1 else 200

    receiver.answer = answer
    number = begin()
    number.hear("a")
    at_least(receiver, 1)
    wait_until(lambda: len(number.attempts()) == 1)
    number.die()
    number.live()
    number.hear("b")
    assert number.settled(2)[0] == WebhookDelivered(sequence=1, attempts=2, http_status=200)
    assert moments[1] - moments[0] >= 1.0, "the time of the retry is kept, whatever comes in"
    assert texts(receiver) == ["a", "a", "b"]
    assert len({delivery.body for delivery in receiver.deliveries()[:2]}) == 1


def test_what_was_delivered_but_not_settled_at_a_crash_is_told_again_with_the_same_id(
    begin: Begin, receiver: Receiver
) -> None:
    number = begin()
    number.lives += 1  # verdicts of this life reach nobody
    number.hear("a", "b")
    at_least(receiver, 2)
    number.lives -= 1
    number.die()
    number.live()
    number.settled(2)
    assert texts(receiver) == ["a", "b", "a", "b"]
    assert [delivery.id for delivery in receiver.deliveries()[:2]] == [each.id for each in receiver.deliveries()[2:]]


def test_nothing_is_told_twice_while_its_verdict_is_on_the_way(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    number.writing.clear()
    wanted = [f"m{n}" for n in range(100)]
    for text in wanted:
        number.hear(text)
    at_least(receiver, 100)
    number.actor.tell(RetryNow())
    number.actor.ask(Ping(), timeout=60)
    number.writing.set()
    number.settled(100)
    assert texts(receiver) == wanted


def test_a_log_that_takes_no_verdicts_stops_the_deliveries_at_a_bound(
    begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_backlog, "UNSETTLED_AT_MOST", 64)
    number = begin()
    number.writing.clear()
    number.hear(*(f"m{n}" for n in range(300)))
    at_least(receiver, 64)
    number.actor.ask(Ping(), timeout=60)
    number.actor.ask(Ping(), timeout=60)
    assert len(receiver.deliveries()) == 64
    number.writing.set()
    number.settled(300)
    assert texts(receiver) == [f"m{n}" for n in range(300)]


def test_a_verdict_that_got_lost_is_reported_again(
    begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_backlog, "REMIND_AFTER_S", 0.1)
    monkeypatch.setattr(webhook_actor, "QUIET_S", 0.1)
    number = begin()
    number.lives += 1
    number.hear("a")
    at_least(receiver, 1)
    number.actor.ask(Ping(), timeout=60)
    number.lives -= 1
    number.settled(1)
    assert texts(receiver) == ["a"]


def test_a_slow_receiver_delays_nobody_else(begin: Begin, receiver: Receiver) -> None:
    release = threading.Event()

    def answer(delivery: Any) -> int:
        if delivery.path == "/slow":
            release.wait(60)
        return 200

    receiver.answer = answer
    slow, quick = begin("/slow"), begin("/quick")
    slow.hear("a")
    for n in range(50):
        quick.hear(f"m{n}")
    quick.settled(50)
    assert slow.verdicts == []
    release.set()
    slow.settled(1)


def held(receiver: Receiver) -> tuple[threading.Event, threading.Event]:
    """It answers, with 200, when the second of these is set; the first says that something has come."""
    begun, release = threading.Event(), threading.Event()

    def answer(_: object) -> int:
        begun.set()
        release.wait(120)
        return 200

    receiver.answer = answer
    return begun, release


def test_a_stop_ends_with_the_attempt_that_runs(begin: Begin, receiver: Receiver) -> None:
    begun, release = held(receiver)
    number = begin(webhook_timeout_s=0.5)
    number.hear("a", "b")
    assert begun.wait(60)
    number.actor.tell(Wake())
    number.actor.stop(block=True, timeout=60)
    assert not number.actor.is_alive()
    release.set()


def test_any_number_of_wake_ups_is_one_while_a_receiver_is_slow(begin: Begin, receiver: Receiver) -> None:
    begun, release = held(receiver)
    number = begin(webhook_timeout_s=120.0)
    number.hear("a")
    assert begun.wait(60)
    for _ in range(10_000):
        number.actor.tell(Wake())
    inbox: Any = number.actor.actor_inbox
    assert inbox.qsize() == 1
    release.set()
    number.settled(1)


def test_being_pinged_between_two_attempts_interrupts_no_backlog(begin: Begin, receiver: Receiver) -> None:
    begun, release = held(receiver)
    number = begin(webhook_timeout_s=120.0)
    number.hear("a", "b", "c")
    assert begun.wait(60)
    pong = number.actor.ask(Ping(), block=False)
    release.set()
    pong.get(timeout=60)
    number.settled(3)


@pytest.mark.usefixtures("long_waits")
def test_a_backlog_of_ten_thousand_is_never_in_memory(desk: Desk, begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    number = begin()
    number.append(*(message(f"m{n}") for n in range(10_000)))
    number.actor.tell(Wake())
    at_least(receiver, 1)
    for _ in range(100):
        number.hear("more")
    number.actor.ask(Ping(), timeout=60)
    assert len(receiver.deliveries()) == 1
    assert desk.most_read <= webhook_backlog.BATCH


def test_a_removed_instance_says_when_nothing_is_left(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    number.hear("a", "b")
    number.actor.tell(Finish())
    assert number.drained.get(timeout=60) == number.id
    assert len(number.verdicts) == 2
    assert texts(receiver) == ["a", "b"]
    number.actor.tell(Wake())
    number.actor.ask(Ping(), timeout=60)
    assert number.drained.empty()


def test_during_a_rotation_both_secrets_verify_until_the_old_ones_time_is_over(
    begin: Begin, receiver: Receiver
) -> None:
    number = begin()
    later = datetime.now(UTC) + timedelta(hours=1)
    new, old = signing_key(NEW_SECRET), signing_key(SECRET)
    number.keys = Keys(new=new, old=old, old_until=later)
    number.hear("a")
    number.settled(1)
    number.keys = Keys(new=new, old=old, old_until=datetime.now(UTC))
    number.actor.tell(RetryNow())
    number.hear("b")
    number.settled(2)
    both, only_new = receiver.deliveries()
    for verifier in (standardwebhooks.Webhook, svix.webhooks.Webhook):
        for secret in (SECRET, NEW_SECRET):
            verifier(secret).verify(both.body, dict(both.headers))
        verifier(NEW_SECRET).verify(only_new.body, dict(only_new.headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(only_new.body, dict(only_new.headers))


def test_what_was_erased_while_it_waited_is_not_told_though_it_was_in_memory(
    begin: Begin, desk: Desk, receiver: Receiver
) -> None:
    began, goes_on = held(receiver)
    number = begin(webhook_timeout_s=120.0)
    number.append(message("his first"), message("her secret", "2@s.whatsapp.net"), message("his last"))
    number.actor.tell(Wake())
    assert began.wait(60)
    subjects = Subjects(desk.store)
    subjects.destroy(subjects.begin(["2"], datetime.now(UTC)), ["2"], datetime.now(UTC))
    goes_on.set()
    number.settled(3)
    assert texts(receiver) == ["his first", "his last"]
    assert number.verdicts[1] == WebhookAbandoned(sequence=2, attempts=0, error=ERASED)
    assert desk.store.dead_letters(number.id, limit=9) == []


def test_what_is_erased_while_a_name_server_is_waited_for_does_not_leave(
    begin: Begin, desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = threading.Event(), threading.Event()

    def look_up(host: str, port: int) -> list[tuple[int, object]]:
        asked.set()
        assert answers.wait(60)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    monkeypatch.setattr(webhook_dial, "look_up", look_up)
    number = begin(webhook_timeout_s=60.0)
    number.change(url=receiver.url("/webhook").replace("127.0.0.1", "slow.example"))
    number.hear("her secret", chat="2@s.whatsapp.net")
    assert asked.wait(60)
    subjects = Subjects(desk.store)
    subjects.finish(subjects.destroy(subjects.begin(["2"], datetime.now(UTC)), ["2"], datetime.now(UTC)))
    answers.set()
    number.hear("his")
    number.settled(2)
    assert texts(receiver) == ["his"]
    assert number.verdicts[0] == WebhookAbandoned(sequence=1, attempts=0, error=ERASED)
