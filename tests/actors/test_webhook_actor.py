"""Deliveries of instances to real receivers on 127.0.0.1: rows 12 to 17 of the fault matrix.

What the store has a part in is tested twice: on one in memory and on the real one.
"""

import base64
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import msgspec
import pykka
import pytest
import standardwebhooks
import svix.webhooks
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chatbot_erp.actors import webhook_actor, webhook_backlog
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.webhook_actor import WebhookActor
from chatbot_erp.actors.webhook_mail import ChangeSecrets, ChangeUrl, Finish, RetryNow, Wake
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.events import (
    DELIVERED,
    EVENT_NAMES,
    Event,
    InstanceDisconnected,
    MessageReceived,
    PingSent,
    Status,
    WebhookAbandoned,
    WebhookDelivered,
)
from chatbot_erp.eventstore.records import Appended, Attempt, Delivery, NewEvent, Recorded, RecordedAttempt
from chatbot_erp.eventstore.store import EventStore
from receiver import Receiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
IDS = itertools.count(1)
Verdict = WebhookDelivered | WebhookAbandoned


class Store(Protocol):
    def append(
        self, stream: str, expected_version: int, events: Sequence[NewEvent], *, snapshot: bytes
    ) -> Future[Appended]: ...
    def deliveries(self, stream: str, *, limit: int) -> list[Delivery]: ...
    def record_attempt(self, stream: str, sequence: int, attempt: Attempt, due: datetime | None) -> Future[None]: ...
    def attempts(self, stream: str, *, limit: int) -> list[RecordedAttempt]: ...


class MemoryStore:
    """The part of the event store that deliveries need, for any number of streams."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pending: dict[str, dict[int, Delivery]] = {}
        self.kept: list[tuple[str, RecordedAttempt]] = []
        self.told = DELIVERED
        self.sequences: dict[str, int] = {}
        self.most_read = 0
        self.reads = 0
        self.refuse: Exception | None = None

    def append(
        self, stream: str, expected_version: int, events: Sequence[NewEvent], *, snapshot: bytes
    ) -> Future[Appended]:
        with self.lock:
            pending = self.pending.setdefault(stream, {})
            for new in events:
                if isinstance(new.event, WebhookDelivered | WebhookAbandoned):
                    pending.pop(new.event.sequence, None)
                elif type(new.event) in self.told:
                    sequence = self.sequences[stream] = self.sequences.get(stream, 0) + 1
                    record = self.record(stream, new, sequence)
                    pending[sequence] = Delivery(
                        sequence=sequence, attempts=0, due=None, first_attempt_at=None, record=record
                    )
        return done(Appended(records=(), version=expected_version + len(events)))

    def record(self, stream: str, new: NewEvent, sequence: int) -> Recorded:
        return Recorded(
            position=next(IDS),
            stream=stream,
            version=1,
            id=new.id,
            type=EVENT_NAMES[type(new.event)],
            event=new.event,
            recorded_at=new.recorded_at,
            hash="",
            sequence=sequence,
            data=msgspec.Raw(b"{}"),
        )

    def deliveries(self, stream: str, *, limit: int) -> list[Delivery]:
        if self.refuse is not None:
            raise self.refuse
        with self.lock:
            found = list(itertools.islice(self.pending.get(stream, {}).values(), limit))
            self.reads += 1
            self.most_read = max(self.most_read, len(found))
            return found

    def record_attempt(self, stream: str, sequence: int, attempt: Attempt, due: datetime | None) -> Future[None]:
        if self.refuse is not None:
            raise self.refuse
        with self.lock:
            self.kept.insert(0, (stream, RecordedAttempt(sequence=sequence, **msgspec.structs.asdict(attempt))))
            if delivery := self.pending[stream].get(sequence):
                self.pending[stream][sequence] = msgspec.structs.replace(
                    delivery,
                    attempts=delivery.attempts + 1,
                    due=due,
                    first_attempt_at=delivery.first_attempt_at or attempt.at,
                )
        return done(None)

    def attempts(self, stream: str, *, limit: int) -> list[RecordedAttempt]:
        with self.lock:
            return [attempt for owner, attempt in self.kept if owner == stream][:limit]


def done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class Number:
    """An instance in small: the one writer of its stream, and its webhook actor, which can die and come back."""

    def __init__(self, store: Store, alarms: Alarms, url: str, **config: Any) -> None:
        self.id = f"instance-{next(IDS)}"
        self.store, self.alarms, self.url = store, alarms, url
        self.config = Config(**{"webhook_timeout_s": 5.0, **config})
        self.verdicts: list[Verdict] = []
        self.writing = threading.Event()
        self.writing.set()
        self.drained: SimpleQueue[str] = SimpleQueue()
        self.disabled: SimpleQueue[str] = SimpleQueue()
        self._version = 0
        self._lock = threading.RLock()
        self._settled = threading.Condition()
        self._mail: SimpleQueue[Verdict | None] = SimpleQueue()
        self._clerk = threading.Thread(target=self._write, daemon=True)
        self._clerk.start()
        self.secrets: tuple[str, ...] = (SECRET,)
        self.lives = 0
        self.live()

    def live(self) -> None:
        self.lives += 1
        life = self.lives
        self.actor = WebhookActor.start(
            self.id,
            "empresa_x",
            store=self.store,
            alarms=self.alarms,
            config=self.config,
            url=lambda: self.url,
            secrets=lambda: self.secrets,
            report=lambda verdict: self._mail.put(verdict) if life == self.lives else None,
            drained=lambda: self.drained.put(self.id),
            disabled=lambda: self.disabled.put(self.id),
            draw=lambda: 0.0,
        )

    def die(self) -> None:
        """Stop the actor; verdicts that are not in the log are lost, as in a crash."""
        self.lives += 1
        while not self._mail.empty():
            self._mail.get()
        self.actor.stop()
        self.lives -= 1

    def append(self, *events: Event) -> None:
        new = [NewEvent(id=f"{self.id}-{next(IDS)}", event=each, recorded_at=datetime.now(UTC)) for each in events]
        with self._lock:
            self._version = self.store.append(self.id, self._version, new, snapshot=b"x").result(10).version

    def hear(self, *texts: str) -> None:
        """Messages come in."""
        self.append(*(message(text) for text in texts))
        self.actor.tell(Wake())

    def settled(self, count: int, timeout_s: float = 10.0) -> list[Verdict]:
        """Wait for this many verdicts in the log."""
        with self._settled:
            assert self._settled.wait_for(lambda: len(self.verdicts) >= count, timeout_s), self.verdicts
        return self.verdicts

    def attempts(self) -> list[RecordedAttempt]:
        """Oldest first."""
        return self.store.attempts(self.id, limit=1000)[::-1]

    def stop(self) -> None:
        self.actor.stop()
        self.writing.set()
        self._mail.put(None)
        self._clerk.join()

    def _write(self) -> None:
        while (verdict := self._mail.get()) is not None:
            self.writing.wait()
            self.append(verdict)
            with self._settled:
                self.verdicts.append(verdict)
                self._settled.notify_all()


def message(text: str) -> MessageReceived:
    return MessageReceived(
        message_id=text,
        jid="1@s.whatsapp.net",
        jid_alt=None,
        participant=None,
        push_name="Zé",
        kind="text",
        text=text,
        sent_at=datetime.now(UTC),
        raw=msgspec.Raw(b"{}"),
    )


def texts(receiver: Receiver, path: str | None = None) -> list[str]:
    return [delivery.payload["message"]["text"] for delivery in receiver.deliveries(path)]


def at_least(receiver: Receiver, count: int) -> None:
    receiver.wait_for(lambda payload: True, count=count)


def wait_until(true: Callable[[], bool], timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if getattr(request, "param", "memory") == "memory":
        yield MemoryStore()
    else:
        with EventStore.open(tmp_path) as opened:
            yield opened


on_both_stores = pytest.mark.parametrize("store", ["memory", "disk"], indirect=True)


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    running = Alarms().start()
    yield running
    running.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


Begin = Callable[..., Number]


@pytest.fixture
def begin(store: Store, alarms: Alarms, receiver: Receiver) -> Iterator[Begin]:
    numbers: list[Number] = []

    def start(path: str = "/webhook", **config: Any) -> Number:
        numbers.append(Number(store, alarms, receiver.url(path), **config))
        return numbers[-1]

    yield start
    for number in numbers:
        number.stop()


@on_both_stores
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


@on_both_stores
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
    assert 1.0 <= moments[1] - moments[0] < 2.0
    assert verdicts[0] == WebhookDelivered(sequence=1, attempts=2, http_status=204)
    assert [(each.sequence, each.error) for each in number.attempts()][:2] == [(1, "http_500"), (1, "")]


@on_both_stores
def test_a_dead_receiver_with_a_long_backlog_gets_one_probe_and_then_everything_in_order(
    begin: Begin, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 503
    number = begin()
    wanted = [f"m{n}" for n in range(500)]
    number.append(*(message(text) for text in wanted))
    for _ in range(50):
        number.actor.tell(Wake())
    number.actor.proxy().ping().get(timeout=5)
    at_least(receiver, 1)
    assert texts(receiver) == ["m0"]
    receiver.answer = lambda _: 200
    number.actor.tell(RetryNow())
    number.settled(500)
    assert texts(receiver) == ["m0", *wanted]


@on_both_stores
def test_a_new_life_goes_on_with_the_retries_of_the_last_one(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    number = begin()
    number.hear("a")
    at_least(receiver, 1)
    wait_until(lambda: len(number.attempts()) == 1)
    number.die()
    receiver.answer = lambda _: 200
    number.live()
    number.hear("b")
    number.actor.proxy().ping().get(timeout=5)
    assert texts(receiver) == ["a"], "the time of the retry is kept, whatever comes in"
    assert number.settled(2)[0] == WebhookDelivered(sequence=1, attempts=2, http_status=200)
    assert texts(receiver) == ["a", "a", "b"]
    assert len({delivery.body for delivery in receiver.deliveries()[:2]}) == 1


@on_both_stores
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


@on_both_stores
def test_nothing_is_told_twice_while_its_verdict_is_on_the_way(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    number.writing.clear()
    wanted = [f"m{n}" for n in range(100)]
    for text in wanted:
        number.hear(text)
    at_least(receiver, 100)
    number.actor.tell(RetryNow())
    number.actor.proxy().ping().get(timeout=5)
    number.writing.set()
    number.settled(100)
    assert texts(receiver) == wanted


@on_both_stores
def test_a_log_that_takes_no_verdicts_stops_the_deliveries_at_a_bound(
    begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_backlog, "UNSETTLED_AT_MOST", 64)
    number = begin()
    number.writing.clear()
    number.hear(*(f"m{n}" for n in range(300)))
    at_least(receiver, 64)
    number.actor.proxy().ping().get(timeout=5)
    number.actor.proxy().ping().get(timeout=5)
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
    number.actor.proxy().ping().get(timeout=5)
    number.lives -= 1
    number.settled(1)
    assert texts(receiver) == ["a"]


def test_gone_disables_at_once_and_only_this_receiver(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda delivery: 410 if delivery.path == "/gone" else 200
    gone, other = begin("/gone"), begin("/there")
    gone.hear("a", "b")
    assert gone.disabled.get(timeout=5) == gone.id
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


@on_both_stores
def test_gone_is_remembered_by_the_next_life(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 410
    number = begin()
    number.hear("a")
    number.disabled.get(timeout=5)
    wait_until(lambda: len(number.attempts()) == 1)
    number.die()
    number.live()
    number.hear("b")
    number.actor.proxy().ping().get(timeout=5)
    assert texts(receiver) == ["a"]


def test_a_new_url_takes_effect_at_once_for_what_waits(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda delivery: 500 if delivery.path == "/old" else 200
    number = begin("/old")
    number.hear("a", "b")
    receiver.wait_for(lambda _: True, path="/old", count=1)
    begun = time.monotonic()
    number.actor.tell(ChangeUrl(url=receiver.url("/new")))
    number.settled(2)
    assert time.monotonic() - begun < 0.9, "sooner than the retry would have been"
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
    store: MemoryStore, begin: Begin, receiver: Receiver
) -> None:
    store.told = DELIVERED | {PingSent}
    number = begin()
    number.append(message("a"), PingSent(message_id="x"), message("b"))
    number.actor.tell(Wake())
    assert number.settled(3)[1] == WebhookAbandoned(sequence=2, attempts=1, error="unreadable")
    assert texts(receiver) == ["a", "b"]
    assert [each.error for each in number.attempts()] == ["", "unreadable", ""]


def test_a_slow_receiver_delays_nobody_else(begin: Begin, receiver: Receiver) -> None:
    release = threading.Event()

    def answer(delivery: Any) -> int:
        if delivery.path == "/slow":
            release.wait(10)
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


def test_a_stop_ends_with_the_attempt_that_runs(begin: Begin, receiver: Receiver) -> None:
    begun, release = threading.Event(), threading.Event()

    def answer(_: object) -> int:
        begun.set()
        release.wait(10)
        return 200

    receiver.answer = answer
    number = begin(webhook_timeout_s=0.5)
    number.hear("a", "b")
    assert begun.wait(5)
    number.actor.tell(Wake())
    moment = time.monotonic()
    number.actor.stop(block=True, timeout=5)
    assert time.monotonic() - moment < 0.9
    assert not number.actor.is_alive()
    release.set()


def test_any_number_of_wake_ups_is_one_while_a_receiver_is_slow(begin: Begin, receiver: Receiver) -> None:
    begun, release = threading.Event(), threading.Event()

    def answer(_: object) -> int:
        begun.set()
        release.wait(10)
        return 200

    receiver.answer = answer
    number = begin()
    number.hear("a")
    assert begun.wait(5)
    for _ in range(10_000):
        number.actor.tell(Wake())
    inbox: Any = number.actor.actor_inbox
    assert inbox.qsize() == 1
    release.set()
    number.settled(1)


def test_being_pinged_between_two_attempts_interrupts_no_backlog(begin: Begin, receiver: Receiver) -> None:
    begun, release = threading.Event(), threading.Event()

    def answer(_: object) -> int:
        begun.set()
        release.wait(10)
        return 200

    receiver.answer = answer
    number = begin()
    number.hear("a", "b", "c")
    assert begun.wait(5)
    pong = number.actor.proxy().ping()
    release.set()
    pong.get(timeout=5)
    number.settled(3)


def test_a_backlog_of_ten_thousand_is_never_in_memory(store: MemoryStore, begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    number = begin()
    number.append(*(message(f"m{n}") for n in range(10_000)))
    number.actor.tell(Wake())
    at_least(receiver, 1)
    for _ in range(100):
        number.hear("more")
    number.actor.proxy().ping().get(timeout=5)
    assert len(receiver.deliveries()) == 1
    assert store.most_read <= webhook_backlog.BATCH


@on_both_stores
def test_a_removed_instance_says_when_nothing_is_left(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    number.hear("a", "b")
    number.actor.tell(Finish())
    assert number.drained.get(timeout=5) == number.id
    assert len(number.verdicts) == 2
    assert texts(receiver) == ["a", "b"]
    number.actor.tell(Wake())
    number.actor.proxy().ping().get(timeout=5)
    assert number.drained.empty()


def test_a_removed_instance_whose_receiver_is_gone_abandons_what_waits(begin: Begin, receiver: Receiver) -> None:
    receiver.answer = lambda _: 410
    number = begin()
    number.hear("a", "b")
    number.disabled.get(timeout=5)
    number.actor.tell(Finish())
    assert number.drained.get(timeout=5) == number.id
    assert [type(verdict) for verdict in number.verdicts] == [WebhookAbandoned, WebhookAbandoned]


def test_something_new_is_a_reason_to_try_a_failing_head_again(
    begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_actor, "PROBE_AFTER_S", 0.0)
    receiver.answer = lambda _: 500
    number = begin()
    number.hear("a")
    at_least(receiver, 1)
    number.actor.proxy().ping().get(timeout=5)
    receiver.answer = lambda _: 200
    begun = time.monotonic()
    number.hear("b")
    number.settled(2)
    assert time.monotonic() - begun < 0.9
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
    number.actor.tell(ChangeUrl(url=httpserver.url_for("/webhook")))
    number.hear("a")
    first = moments.get(timeout=5)
    number.actor.proxy().ping().get(timeout=5)
    number.hear("b")
    assert 2.0 <= moments.get(timeout=5) - first < 3.0
    number.settled(2)


def test_a_store_that_cannot_be_read_is_asked_again(
    store: MemoryStore, begin: Begin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_actor, "STORE_PAUSE_S", 0.05)
    number = begin()
    store.refuse = StoreUnavailable("locked", "on purpose")
    number.hear("a")
    number.actor.proxy().ping().get(timeout=5)
    store.refuse = None
    number.settled(1)
    assert texts(receiver) == ["a"]


def test_a_store_that_takes_no_attempts_makes_no_storm(store: MemoryStore, begin: Begin, receiver: Receiver) -> None:
    number = begin()

    def answer(_: object) -> int:
        store.refuse = StoreUnavailable("full", "on purpose")
        return 500

    receiver.answer = answer
    number.hear("a")
    at_least(receiver, 1)
    number.actor.proxy().ping().get(timeout=5)
    store.refuse = None
    for _ in range(20):
        number.actor.tell(Wake())
        number.actor.proxy().ping().get(timeout=5)
    assert len(receiver.deliveries()) == 1
    receiver.answer = lambda _: 200
    assert number.settled(1) == [WebhookDelivered(sequence=1, attempts=2, http_status=200)]


def test_a_denied_receiver_is_never_reached(begin: Begin, receiver: Receiver) -> None:
    number = begin(webhook_deny=("private",), webhook_retry_for_s=0.0)
    number.hear("a")
    assert number.settled(1) == [WebhookAbandoned(sequence=1, attempts=1, error="denied_address")]
    wait_until(lambda: len(number.attempts()) == 1)
    assert (number.attempts()[0].address, number.attempts()[0].answer) == ("", "")
    assert receiver.deliveries() == []


def test_after_a_rotation_both_secrets_verify_until_the_old_one_is_dropped(begin: Begin, receiver: Receiver) -> None:
    number = begin()
    number.actor.tell(ChangeSecrets(secrets=(NEW_SECRET, SECRET)))
    number.hear("a")
    number.settled(1)
    number.actor.tell(ChangeSecrets(secrets=(NEW_SECRET,)))
    number.hear("b")
    number.settled(2)
    both, only_new = receiver.deliveries()
    for secret in (SECRET, NEW_SECRET):
        standardwebhooks.Webhook(secret).verify(both.body, dict(both.headers))
    standardwebhooks.Webhook(NEW_SECRET).verify(only_new.body, dict(only_new.headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(only_new.body, dict(only_new.headers))


def test_a_number_without_a_secret_tells_nobody(begin: Begin, receiver: Receiver) -> None:
    number = begin(webhook_retry_for_s=0.0)
    number.secrets = ()
    number.hear("a")
    assert number.settled(1) == [WebhookAbandoned(sequence=1, attempts=1, error="no_secret")]
    assert receiver.deliveries() == []


def test_an_error_nobody_foresaw_is_said_to_the_one_above(alarms: Alarms) -> None:
    died = threading.Event()
    actor = WebhookActor.start(
        "i",
        "n",
        store=MemoryStore(),
        alarms=alarms,
        config=Config(),
        url=lambda: "",
        secrets=lambda: (),
        report=lambda verdict: None,
        drained=lambda: None,
        failed=died.set,
    )
    actor.tell("nonsense")
    assert died.wait(5)
    with pytest.raises(pykka.ActorDeadError):
        actor.ask(Wake(), timeout=5)
