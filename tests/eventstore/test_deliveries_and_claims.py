"""What is kept beside the log: deliveries that wait, their attempts, and idempotency keys."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest

from chatbot_erp.eventstore.events import MessageSent, WebhookDelivered
from chatbot_erp.eventstore.store import Answered, Attempt, Claimed, EventStore, Mismatched, NewEvent, Running

Facts = Callable[..., NewEvent]
OpenStore = Callable[..., EventStore]

pytestmark = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)


def test_deliveries_wait_in_order_until_they_are_settled(
    store: EventStore, new: Facts, sent: MessageSent, delivered: Callable[[int], WebhookDelivered], noon: datetime
) -> None:
    store.append("a", 0, [new(sent), new(sent), new(sent)], snapshot=b"1").result()
    later = noon + timedelta(minutes=5)
    attempt = Attempt(at=noon, duration_ms=7, http_status=500, error="status", address="127.0.0.1:9", answer="no")
    store.record_attempt("a", "main", 1, attempt, later).result()
    store.record_attempt("a", "main", 1, msgspec.structs.replace(attempt, at=later), None).result()
    first, second, _ = store.deliveries("a", limit=10)
    assert (first.sequence, first.attempts, first.first_attempt_at, first.due) == (1, 2, noon, None)
    assert (second.sequence, second.attempts, second.first_attempt_at, second.due) == (2, 0, None, None)
    assert second.record == store.read()[1]
    assert [(a.sequence, a.at) for a in store.attempts("a", limit=10)] == [(1, later), (1, noon)]

    store.append("a", 3, [new(delivered(2)), new(delivered(99))], snapshot=b"1").result()
    assert [delivery.sequence for delivery in store.deliveries("a", limit=10)] == [1, 3]
    assert [delivery.sequence for delivery in store.deliveries("a", limit=1)] == [1]
    told = [(1, 0), (2, 0), (3, 7)]
    assert [delivery.sequence for delivery in store.deliveries("a", limit=1, told=told)] == [3]
    assert store.still_waiting("a", "main", told) == {(1, 0)}


def test_what_failed_holds_its_chat_until_it_is_due(
    store: EventStore, new: Facts, sent: MessageSent, noon: datetime
) -> None:
    chats = [msgspec.structs.replace(sent, jid=f"{chat}@lid") for chat in "aab"]
    store.append("s", 0, [new(each) for each in chats], snapshot=b"1").result()
    failed = Attempt(at=noon, duration_ms=7, http_status=500, error="status", address="", answer="")
    later = noon + timedelta(minutes=5)
    assert store.outage("s", "main") is None
    store.record_attempt("s", "main", 1, failed, later).result()
    store.record_attempt(
        "s", "main", 1, msgspec.structs.replace(failed, at=noon + timedelta(seconds=1)), later
    ).result()
    assert store.outage("s", "main") == (noon, noon + timedelta(seconds=1))
    assert store.next_due("s", "main", after=noon) == later
    (free,) = store.deliveries("s", limit=10, free_at=noon)
    assert free.sequence == 3
    assert store.deliveries("s", limit=10, free_at=noon, held={free.chat}) == []
    assert store.next_due("s", "main", after=later) is None
    assert [each.sequence for each in store.deliveries("s", limit=10, free_at=later)] == [1, 2, 3]
    assert [each.sequence for each in store.deliveries("s", limit=10, free_at=later, held={free.chat})] == [1, 2]
    assert [each.sequence for each in store.deliveries("s", limit=10, free_at=later, told=[(1, 0)])] == [2, 3]


def test_old_attempts_can_be_pruned(store: EventStore, noon: datetime) -> None:
    for minute in range(5):
        at = noon + timedelta(minutes=minute)
        attempt = Attempt(at=at, duration_ms=1, http_status=None, error="refused", address="", answer="")
        store.record_attempt("a", "main", 1, attempt, None).result()
    assert store.prune_attempts(noon + timedelta(minutes=3)).result() == 3
    assert store.prune_attempts(noon + timedelta(minutes=3)).result() == 0
    assert [attempt.at.minute for attempt in store.attempts("a", limit=10)] == [4, 3]


def test_an_idempotency_key_is_claimed_once_and_answers_ever_after(open_store: OpenStore, noon: datetime) -> None:
    with open_store() as store:
        assert store.claim("k", "f", owner="one", now=noon) == Claimed()
        assert store.claim("k", "f", owner="two", now=noon) == Running("one")
        assert store.claim("k", "other", owner="two", now=noon) == Mismatched()
        store.settle("k", 200, "application/json", b"{}")
        store.claim("released", "f", owner="one", now=noon)
        store.release("released")
        assert store.claim("released", "g", owner="one", now=noon) == Claimed()
    with open_store() as store:
        later = noon + timedelta(hours=47)
        assert store.claim("k", "f", owner="three", now=later) == Answered(200, "application/json", b"{}")
        assert store.claim("released", "g", owner="three", now=later) == Running("one")
        assert store.claim("k", "f", owner="three", now=noon + timedelta(hours=49)) == Claimed()


def test_one_of_many_who_claim_at_once_gets_the_key(store: EventStore, noon: datetime) -> None:
    claims: list[object] = []
    threads = [
        threading.Thread(target=lambda n=n: claims.append(store.claim("k", "f", owner=str(n), now=noon)))
        for n in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert claims.count(Claimed()) == 1
    assert len({claim.owner for claim in claims if isinstance(claim, Running)}) == 1


def test_successes_are_recorded_in_passing_with_what_comes_next(
    store: EventStore, new: Facts, sent: MessageSent, noon: datetime
) -> None:
    store.append("a", 0, [new(sent)], snapshot=b"1").result()
    (delivery,) = store.deliveries("a", limit=1)
    attempt = Attempt(at=noon, duration_ms=7, http_status=200, error="", address="127.0.0.1:9", answer="")
    recorded = store.record_successes("a", "main", [(1, attempt, delivery.record)])
    store.append("a", 1, [new(sent)], snapshot=b"2").result()
    assert recorded.result(60) is None
    assert [each.sequence for each in store.attempts("a", limit=10)] == [1]
