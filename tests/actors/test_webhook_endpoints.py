"""What an endpoint's settings do to its deliveries: order, pause, filter, headers; and being told again."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chatbot_erp.actors import webhook_holds
from chatbot_erp.actors.webhook_mail import Finish, Ping, Wake
from chatbot_erp.eventstore.events import EndpointReplayed, WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import ERASED, MAIN
from chatbot_erp.eventstore.store import Attempt, Redelivery
from chatbot_erp.eventstore.subjects import Subjects
from receiver import Receiver
from waiting import wait_until
from webhook_world import Begin, Desk, Number, at_least, texts

BY_CHAT = {"order": "chat"}


def again(number: Number, *sequences: int) -> None:
    """Have these told once more."""
    records = {record.sequence: record for record in number.desk.store.read(stream=number.id, limit=1000)}
    redeliveries = tuple(
        Redelivery(endpoint=MAIN, sequence=sequence, position=records[sequence].position, chat=1)
        for sequence in sequences
    )
    replayed = EndpointReplayed(endpoint=MAIN, after=0, until=9, events=(), dead=False, count=len(sequences))
    number.append(replayed, again=redeliveries)
    number.actor.tell(Wake())


def text_of(delivery: Any) -> str:
    return str(delivery.payload["message"]["text"])


def test_by_chat_a_failing_chat_holds_up_nobody_but_itself(begin: Begin, receiver: Receiver) -> None:
    well = threading.Event()
    receiver.answer = lambda each: 200 if well.is_set() or not text_of(each).startswith("bad") else 500
    number = begin(settings=BY_CHAT)
    number.hear("bad 1", "bad 2", chat="bad@lid")
    number.hear(*(f"good {n}" for n in range(100)), chat="good@lid")
    number.settled(100)
    assert [text for text in texts(receiver) if text.startswith("good")] == [f"good {n}" for n in range(100)]
    assert "bad 2" not in texts(receiver)
    well.set()
    number.settled(102)
    told = [text for text in texts(receiver) if text.startswith("bad")]
    assert (set(told[:-2]), told[-2:]) == ({"bad 1"}, ["bad 1", "bad 2"])


def test_what_is_asked_for_again_before_its_verdict_is_in_the_log_is_told_again(
    begin: Begin, receiver: Receiver
) -> None:
    number = begin()
    number.writing.clear()
    number.hear("a")
    at_least(receiver, 1)
    again(number, 1)
    number.writing.set()
    number.settled(2)
    assert texts(receiver) == ["a", "a"]
    assert number.desk.store.standing(number.id).waiting == 0


@pytest.mark.usefixtures("long_waits")
def test_a_held_chat_is_passed_over_by_the_next_life_too(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda each: 500 if text_of(each) == "bad" else 200
    number = begin(settings=BY_CHAT)
    number.hear("bad", chat="bad@lid")
    wait_until(lambda: len(number.attempts()) == 1)
    number.die()
    number.live()
    number.hear("good", chat="good@lid")
    number.settled(1)
    assert texts(receiver) == ["bad", "good"]
    receiver.answer = lambda _: 200
    number.change()
    number.settled(2)


def test_a_chat_with_more_waiting_than_is_read_at_once_holds_up_nobody_else(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda each: 500 if text_of(each) == "bad 0" else 200
    number = begin(settings=BY_CHAT)
    number.hear(*(f"bad {n}" for n in range(200)), chat="bad@lid")
    number.hear("good", chat="good@lid")
    number.settled(1)
    assert set(texts(receiver)) == {"bad 0", "good"}


@pytest.mark.usefixtures("long_waits")
def test_by_chat_a_receiver_that_is_down_is_not_asked_for_every_chat(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    number = begin(settings=BY_CHAT)
    for n in range(50):
        number.hear(f"m{n}", chat=f"{n}@lid")
    at_least(receiver, webhook_holds.BREAKER_AFTER)
    number.actor.ask(Ping(), timeout=60)
    assert len(receiver.deliveries()) == webhook_holds.BREAKER_AFTER
    receiver.answer = lambda _: 200
    number.change()
    number.settled(50)
    assert set(texts(receiver)) == {f"m{n}" for n in range(50)}


def test_by_chat_a_removed_instance_is_drained_only_when_its_held_chats_are_too(
    begin: Begin, receiver: Receiver
) -> None:
    receiver.answer = lambda each: 500 if text_of(each) == "bad" else 200
    number = begin(settings=BY_CHAT, webhook_retry_for_s=0.6)
    number.hear("bad", chat="bad@lid")
    number.hear("good", chat="good@lid")
    number.actor.tell(Finish())
    assert number.drained.get(timeout=60) == number.id
    wait_until(lambda: len(number.verdicts) == 2)
    assert {type(verdict) for verdict in number.verdicts} == {WebhookAbandoned, WebhookDelivered}


def test_what_happens_during_a_pause_waits(begin: Begin, receiver: Receiver) -> None:
    number = begin(settings={"paused": True})
    number.hear("a", "b")
    number.actor.ask(Ping(), timeout=60)
    assert receiver.deliveries() == []
    number.change(paused=False)
    number.settled(2)
    assert texts(receiver) == ["a", "b"]


@pytest.mark.parametrize(
    ("settings", "error"),
    [({"paused": True}, "paused"), ({"disabled": "gone"}, "disabled"), ({"paused": True, "order": "chat"}, "paused")],
)
def test_a_removed_instance_posts_nothing_to_an_endpoint_that_is_closed_and_gives_up_what_waits(
    begin: Begin, receiver: Receiver, settings: dict[str, Any], error: str
) -> None:
    number = begin(settings=settings)
    number.hear("a", "b")
    number.actor.tell(Finish())
    assert number.drained.get(timeout=60) == number.id
    assert number.verdicts == [WebhookAbandoned(sequence=each, attempts=0, error=error) for each in (1, 2)]
    assert receiver.deliveries() == []


def test_by_chat_an_event_that_is_erased_while_its_chat_is_held_holds_up_the_end_of_nobody(
    begin: Begin, desk: Desk, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 500
    number = begin(settings=BY_CHAT)
    number.hear("her secret", chat="2@s.whatsapp.net")
    number.actor.tell(Finish())
    at_least(receiver, 2)
    subjects = Subjects(desk.store)
    subjects.destroy(subjects.begin(["2"], datetime.now(UTC)), ["2"], datetime.now(UTC))
    assert number.drained.get(timeout=60) == number.id
    (verdict,) = number.verdicts
    assert isinstance(verdict, WebhookAbandoned)
    assert verdict.error == ERASED


def test_a_disabled_endpoint_goes_on_where_it_stopped_however_long_that_was(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 410
    number = begin()
    number.hear("a")
    assert number.disabled.get(timeout=60) == "gone"
    number.change(disabled="gone")
    number.hear("b")
    number.actor.ask(Ping(), timeout=60)
    assert texts(receiver) == ["a"]
    receiver.answer = lambda _: 200
    number.change(disabled=None)
    assert [verdict.sequence for verdict in number.settled(2)] == [1, 2]
    assert texts(receiver) == ["a", "a", "b"]


def test_an_event_has_its_whole_time_again_after_the_settings_changed(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    number = begin(settings={"paused": True}, webhook_retry_for_s=60.0)
    number.hear("a")
    long_ago = datetime.now(UTC) - timedelta(days=30)
    failure = Attempt(at=long_ago, duration_ms=1, http_status=500, error="http_500", address="", answer="")
    number.desk.store.record_attempt(number.id, MAIN, 1, failure, None).result()
    number.change(paused=False)
    at_least(receiver, 1)
    receiver.answer = lambda _: 200
    assert number.settled(1) == [WebhookDelivered(sequence=1, attempts=3, http_status=200)]


def test_five_days_of_failures_are_said_to_the_one_above_and_nothing_is_given_up(
    begin: Begin, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 503
    number = begin(settings={"paused": True})
    number.hear("a")
    failure = Attempt(at=datetime.now(UTC), duration_ms=1, http_status=503, error="http_503", address="", answer="")
    for hours in range(121, 0, -24):
        at = datetime.now(UTC) - timedelta(hours=hours)
        number.desk.store.record_attempt(number.id, MAIN, 1, msgspec.structs.replace(failure, at=at), None).result()
    number.change(paused=False)
    # The change gave it five days more; it is as if it had been made before all that.
    assert number.endpoint is not None
    number.endpoint = msgspec.structs.replace(number.endpoint, since=datetime.now(UTC) - timedelta(days=9))
    number.actor.tell(Wake())
    assert number.disabled.get(timeout=60) == "failing"
    assert number.verdicts == []
    assert number.desk.store.standing(number.id).waiting == 1


def test_a_rejected_event_becomes_a_dead_letter_and_can_be_told_again(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda each: 422 if text_of(each) == "bad" else 200
    number = begin(settings={"reject_after_s": 0.0})
    number.hear("a", "bad", "c")
    assert number.settled(3)[1] == WebhookAbandoned(sequence=2, attempts=1, error="http_422")
    store = number.desk.store
    (letter,) = store.dead_letters(number.id, limit=10)
    assert (letter.sequence, letter.error, letter.attempts, letter.type) == (2, "http_422", 1, "message.received")
    assert store.standing(number.id).dead == 1
    receiver.answer = lambda _: 200
    again(number, 2)
    assert number.settled(4)[-1] == WebhookDelivered(sequence=2, attempts=1, http_status=200)
    assert store.dead_letters(number.id, limit=10) == []
    first, second = [each for each in receiver.deliveries() if text_of(each) == "bad"]
    assert (first.id, first.body) == (second.id, second.body)


def test_a_replay_has_the_old_ids_and_comes_before_what_waits(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    number.hear("a", "b", "c")
    number.settled(3)
    number.change(paused=True)
    number.hear("d")
    again(number, 1, 3)
    number.change(paused=False)
    number.settled(6)
    assert texts(receiver) == ["a", "b", "c", "a", "c", "d"]
    deliveries = receiver.deliveries()
    assert [deliveries[0].id, deliveries[2].id] == [deliveries[3].id, deliveries[4].id]


def test_what_is_asked_for_again_while_its_verdict_is_on_the_way_is_told_again(
    begin: Begin, receiver: Receiver
) -> None:
    number = begin()
    number.hear("a")
    number.settled(1)
    number.writing.clear()
    again(number, 1)
    at_least(receiver, 2)
    wait_until(lambda: number.desk.store.standing(number.id).waiting == 1)
    number.writing.set()
    number.settled(2)
    again(number, 1)
    number.settled(3)
    assert texts(receiver) == ["a", "a", "a"]


def test_own_headers_go_along_and_change_with_the_settings(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    number.keys = msgspec.structs.replace(number.keys, headers={"Authorization": "Bearer one"})
    number.change()
    number.hear("a")
    number.settled(1)
    number.keys = msgspec.structs.replace(number.keys, headers={})
    number.change()
    number.hear("b")
    number.settled(2)
    first, second = receiver.deliveries()
    assert first.headers["Authorization"] == "Bearer one"
    assert "Authorization" not in second.headers
    assert first.headers["webhook-id"] == first.id


def test_ten_thousand_waiting_events_of_a_dead_receiver_are_in_nobodys_way(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda each: 500 if each.path == "/dead" else 200
    dead, alive = begin("/dead", settings=BY_CHAT), begin("/alive")
    dead.hear(*(f"m{n}" for n in range(10_000)))
    receiver.wait_for(lambda _: True, path="/dead")
    for n in range(20):
        alive.hear(f"m{n}")
        dead.hear(f"more {n}")
    alive.settled(20)
    assert dead.desk.most_read <= 64
