"""Deliveries over the real store, with the rest of an instance held by the test."""

import base64
import itertools
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from queue import SimpleQueue
from typing import Any

import msgspec

from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.endpoint import Endpoint
from chatbot_erp.actors.journal import Written
from chatbot_erp.actors.webhook import signing_key
from chatbot_erp.actors.webhook_actor import WebhookActor
from chatbot_erp.actors.webhook_backlog import Verdict
from chatbot_erp.actors.webhook_credentials import Keys
from chatbot_erp.actors.webhook_mail import RetryNow, Wake
from chatbot_erp.actors.webhook_news import Bulletin
from chatbot_erp.eventstore.events import Event, MessageReceived
from chatbot_erp.eventstore.records import (
    MAIN,
    Attempt,
    Delivery,
    NewEvent,
    Recorded,
    RecordedAttempt,
    Redelivery,
)
from chatbot_erp.eventstore.store import EventStore
from receiver import Receiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
IDS = itertools.count(1)


class Desk:
    """The store as deliveries see it; it can be told to refuse, and counts what is read."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.refuse: Exception | None = None
        self.is_slow = False
        """Whether what failed is recorded only after the next reading."""
        self._unrecorded: list[Callable[[], object]] = []
        self.readings = 0
        self.most_read = 0
        self.disguise: Callable[[Delivery], Delivery] = lambda delivery: delivery

    def deliveries(
        self,
        stream: str,
        endpoint: str,
        *,
        limit: int,
        free_at: datetime | None,
        held: Collection[int],
        told: Collection[tuple[int, int]],
    ) -> list[Delivery]:
        self._check()
        found = self.store.deliveries(stream, endpoint, limit=limit, free_at=free_at, held=held, told=told)
        self.readings += 1
        self.most_read = max(self.most_read, len(found))
        unrecorded, self._unrecorded = self._unrecorded, []
        for record in unrecorded:
            record()
        return [self.disguise(each) for each in found]

    def still_waiting(self, stream: str, endpoint: str, told: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
        self._check()
        return self.store.still_waiting(stream, endpoint, told)

    def next_due(self, stream: str, endpoint: str, *, after: datetime) -> datetime | None:
        self._check()
        return self.store.next_due(stream, endpoint, after=after)

    def outage(self, stream: str, endpoint: str) -> tuple[datetime, datetime] | None:
        self._check()
        return self.store.outage(stream, endpoint)

    @property
    def losses(self) -> int:
        return self.store.losses

    def record_attempt(
        self,
        stream: str,
        endpoint: str,
        sequence: int,
        attempt: Attempt,
        due: datetime | None,
        *,
        about: Recorded | None = None,
    ) -> Future[None]:
        self._check()
        record = partial(self.store.record_attempt, stream, endpoint, sequence, attempt, due, about=about)
        if self.is_slow:
            self._unrecorded.append(record)
            return Future()
        return record()

    def record_successes(
        self,
        stream: str,
        endpoint: str,
        successes: Sequence[tuple[int, Attempt, Recorded]],
    ) -> Future[None]:
        self._check()
        return self.store.record_successes(stream, endpoint, successes)

    def release_deliveries(self, stream: str, endpoint: str, sequence: int | None = None) -> Future[None]:
        self._check()
        return self.store.release_deliveries(stream, endpoint, sequence)

    def attempts(self, stream: str, endpoint: str, *, limit: int) -> list[RecordedAttempt]:
        self._check()
        return self.store.attempts(stream, endpoint, limit=limit)

    def _check(self) -> None:
        if self.refuse is not None:
            raise self.refuse


class Number:
    """An instance in small: the one writer of its stream, and its webhook actor, which can die and come back."""

    def __init__(self, desk: Desk, alarms: Alarms, url: str, settings: dict[str, Any], **config: Any) -> None:
        self.id = f"instance-{next(IDS)}"
        self.desk, self.alarms = desk, alarms
        self.endpoint: Endpoint | None = Endpoint(id=MAIN, url=url, since=LONG_AGO, **settings)
        self.config = Config(**{"webhook_timeout_s": 60.0, **config})
        self.verdicts: list[Verdict] = []
        self.reports = 0
        self.writing = threading.Event()
        self.writing.set()
        self.drained: SimpleQueue[str] = SimpleQueue()
        self.disabled: SimpleQueue[str] = SimpleQueue()
        self._version = 0
        self._heard = 0
        self._lock = threading.RLock()
        self._settled = threading.Condition()
        self._mail: SimpleQueue[tuple[Verdict, int] | None] = SimpleQueue()
        self._clerk = threading.Thread(target=self._write, daemon=True)
        self._clerk.start()
        self.keys = Keys(new=signing_key(SECRET))
        self.lives = 0
        self.live()

    def live(self) -> None:
        self.lives += 1
        life = self.lives
        self.actor = WebhookActor.start(
            self.id,
            "empresa_x",
            MAIN,
            store=self.desk,
            alarms=self.alarms,
            config=self.config,
            settings=lambda: self.endpoint,
            keys=lambda: self.keys,
            report=lambda told: self._post(told) if life == self.lives else None,
            drained=lambda: self.drained.put(self.id),
            disabled=lambda reason, since: self.disabled.put(reason),
            draw=lambda: 0.0,
        )

    def die(self) -> None:
        """Stop the actor; verdicts that are not in the log are lost, as in a crash."""
        self.lives += 1
        while not self._mail.empty():
            self._mail.get()
        self.actor.stop()
        self.lives -= 1

    def change(self, **settings: Any) -> None:
        """The endpoint is to be different from now on."""
        assert self.endpoint is not None
        self.endpoint = msgspec.structs.replace(self.endpoint, since=datetime.now(UTC), **settings)
        self.actor.tell(RetryNow())

    def append(self, *events: Event, again: tuple[Redelivery, ...] = ()) -> tuple[Recorded, ...]:
        new = [
            NewEvent(id=f"{self.id}-{next(IDS)}", event=each, recorded_at=datetime.now(UTC), redeliveries=again)
            for each in events
        ]
        return self._append(new)

    def hear(self, *texts: str, chat: str = "1@s.whatsapp.net") -> None:
        """Messages come in, and are handed on as an instance's actor does; of each third call only that it came."""
        losses = self.desk.losses
        records = self.append(*(message(text, chat) for text in texts))
        self._heard += 1
        news = Bulletin([Written(record, None, (MAIN,)) for record in records], losses).of(MAIN)
        self.actor.tell(Wake(None if self._heard % 3 == 0 else news))

    def settled(self, count: int, timeout_s: float = 60.0) -> list[Verdict]:
        """Wait for this many verdicts in the log."""
        with self._settled:
            assert self._settled.wait_for(lambda: len(self.verdicts) >= count, timeout_s), self.verdicts
        return self.verdicts

    def attempts(self) -> list[RecordedAttempt]:
        """Oldest first."""
        return self.desk.store.attempts(self.id, limit=1000)[::-1]

    def stop(self) -> None:
        self.actor.stop()
        self.writing.set()
        self._mail.put(None)
        self._clerk.join()

    def _post(self, told: Sequence[tuple[Verdict, int]]) -> None:
        self.reports += len(told)
        for each in told:
            self._mail.put(each)

    def _append(self, new: list[NewEvent]) -> tuple[Recorded, ...]:
        with self._lock:
            appended = self.desk.store.append(self.id, self._version, new, snapshot=b"x").result(60)
            self._version = appended.version
            return appended.records

    def _write(self) -> None:
        while (told := self._mail.get()) is not None:
            self.writing.wait()
            verdict, turn = told
            # The same verdict is the same event, as in identities.py.
            event_id = f"{self.id}-verdict-{verdict.sequence}-{turn}"
            self._append([NewEvent(id=event_id, event=verdict, recorded_at=datetime.now(UTC), round=turn)])
            with self._settled:
                self.verdicts.append(verdict)
                self._settled.notify_all()


def message(text: str, chat: str = "1@s.whatsapp.net") -> MessageReceived:
    return MessageReceived(
        message_id=text,
        jid=chat,
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


Begin = Callable[..., Number]
