"""What one endpoint has still to be told, as the store has it, and the verdicts that the store does not have yet.

Only a batch of the backlog is ever in memory. For one thread, except where it says otherwise.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol, assert_never

import msgspec
import pykka
import structlog

from chatbot_erp.actors.webhook import Answer, NoAnswer, Outcome
from chatbot_erp.actors.webhook_news import AT_HAND, News
from chatbot_erp.eventstore.attempts import OUTAGE_GAP
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import Attempt, Delivery, Recorded, RecordedAttempt

log = structlog.get_logger()

BATCH = 64
UNSETTLED_AT_MOST = 256
"""With so many verdicts on their way, wait for the log rather than run ahead of it."""

MAY_NAME_A_TIME = frozenset({410, 429, 503})
"""Statuses that come with a Retry-After, which is not kept, or with the wish to hear no more."""

TOLD_AT_ONCE = 32
"""So many verdicts are told together at most."""

REMIND_AFTER_S = 30.0
RELEASE_PATIENCE_S = 5.0

Verdict = WebhookDelivered | WebhookAbandoned
Report = Callable[[Sequence[tuple[Verdict, int]]], None]
"""Told verdicts, each with the round of its delivery."""

Key = tuple[int, int]
"""Sequence and round of a delivery."""


class Deliveries(Protocol):
    """What is wanted of the event store."""

    @property
    def losses(self) -> int: ...

    def deliveries(
        self,
        stream: str,
        endpoint: str,
        *,
        limit: int,
        free_at: datetime | None,
        held: Collection[int],
        told: Collection[Key],
    ) -> list[Delivery]: ...

    def still_waiting(self, stream: str, endpoint: str, told: Collection[Key]) -> set[Key]: ...

    def next_due(self, stream: str, endpoint: str, *, after: datetime) -> datetime | None: ...

    def outage(self, stream: str, endpoint: str) -> tuple[datetime, datetime] | None: ...

    def record_attempt(
        self,
        stream: str,
        endpoint: str,
        sequence: int,
        attempt: Attempt,
        due: datetime | None,
        *,
        about: Recorded | None,
    ) -> Future[None]: ...

    def record_successes(
        self,
        stream: str,
        endpoint: str,
        successes: Sequence[tuple[int, Attempt, Recorded]],
    ) -> Future[None]: ...

    def release_deliveries(self, stream: str, endpoint: str, sequence: int | None = None) -> Future[None]: ...

    def attempts(self, stream: str, endpoint: str, *, limit: int) -> list[RecordedAttempt]: ...


class Held(Protocol):
    """The chats in which something waits for its time."""

    def is_held(self, chat: int) -> bool: ...

    def chats(self) -> Collection[int]: ...


class Told(msgspec.Struct, frozen=True):
    """A verdict that is on its way to the log since `at` (monotonic)."""

    verdict: Verdict
    at: float


class Backlog:
    """The deliveries to one endpoint that wait, oldest first. Methods that read raise what the store raises."""

    def __init__(self, instance: str, endpoint: str, store: Deliveries, report: Report) -> None:
        self._instance = instance
        self._endpoint = endpoint
        self._store = store
        self._report = report
        self._batch: deque[Delivery] = deque()
        self._passed: set[int] = set()
        self._read_at = datetime.now(UTC)
        self._losses = store.losses
        self._seen = 0
        """The last sequence number that is known to be in the store."""
        self._is_all = False
        """Whether all that waits up to that is in memory; else the store must be asked."""
        self._told: dict[Key, Told] = {}
        """Oldest first. What is in the log by now is dropped now and then."""
        self._untold: list[tuple[Verdict, int]] = []
        self._unrecorded: list[tuple[int, Attempt, Recorded]] = []

    @property
    def unsettled(self) -> bool:
        """Whether verdicts were on their way to the log when it was last read."""
        return bool(self._told)

    @property
    def has_untold(self) -> bool:
        """Whether there is something for `tell`."""
        return bool(self._untold)

    @property
    def crowded(self) -> bool:
        """Whether so many are that `head` answers None for now."""
        return len(self._told) >= UNSETTLED_AT_MOST

    def head(self, held: Held | None = None) -> Delivery | None:
        """The oldest event without a verdict, from memory where possible; None where nothing is to be posted.

        With `held` those chats are passed over, and such as the store knows to be held.
        """
        if self.stale:
            self._losses = self._store.losses
            self.refresh()  # what is in memory may have been erased since it was read
        if self.crowded:
            self._drop_settled()
        if self.crowded:
            return None
        if (head := self._next(held)) is None and not self._is_all:
            self._read(held)
            head = self._next(held)
        return head

    @property
    def stale(self) -> bool:
        """Whether something may have been erased since the present head was read."""
        return self._losses != self._store.losses

    def refresh(self) -> None:
        """Have the next `head` read from the store."""
        self._batch.clear()
        self._is_all = False

    def hear(self, news: News | None) -> None:
        """There is more in the store: this where it is known, and all before it too, else `head` looks what it is.

        Whoever appends something says so afterwards. To look for it once more without that was half of all readings.
        """
        if news is None:
            self._is_all = False
            return
        self._is_all = (
            self._is_all
            and news.after <= self._seen
            and news.losses == self._store.losses
            and len(self._batch) < AT_HAND
        )
        if self._is_all:
            self._batch.extend(delivery for delivery in news.deliveries if delivery.sequence > self._seen)
        self._seen = max(self._seen, news.until)

    def settle(self, head: Delivery, at: datetime, outcome: Outcome, verdict: Verdict) -> None:
        """The attempt at `at` was the last: never show the event again. `tell` says so to others."""
        if isinstance(verdict, WebhookDelivered):
            self._unrecorded.append((head.sequence, attempt_of(at, outcome), head.record))
        else:
            self._keep(head, at, outcome, None)
        self._batch.popleft()
        self._told[head.sequence, head.round] = Told(verdict, time.monotonic())
        self._untold.append((verdict, head.round))
        if len(self._untold) >= TOLD_AT_ONCE:
            self.tell()

    def tell(self) -> None:
        """Report the verdicts that are new, and record the attempts that led to them.

        Each of them alone would wake the instance's actor and the log's writer, four or five times a message.
        """
        untold, self._untold = self._untold, []
        if successes := self._unrecorded:
            self._unrecorded = []
            # The verdicts follow, and bring a commit along.
            self._await(lambda: self._store.record_successes(self._instance, self._endpoint, successes))
        if untold:
            with suppress(pykka.ActorDeadError):  # `remind` will find its successor
                self._report(untold)

    def postpone(self, head: Delivery, at: datetime, outcome: Outcome, due: datetime) -> None:
        """The attempt at `at` failed: record it. The next `head` reads from the store."""
        self._keep(head, at, outcome, due)
        self.refresh()

    def release(self, sequence: int | None = None) -> None:
        """What failed, all of it or this one, waits for its time no longer; where the store refuses, it still may."""
        self.refresh()
        with suppress(StoreError, TimeoutError):
            self._store.release_deliveries(self._instance, self._endpoint, sequence).result(RELEASE_PATIENCE_S)

    def may_be_asked_to_wait(self) -> bool:
        """Whether the receiver may have named the time of the next attempt itself, or wants none: by its last answer.

        Also where the store cannot say.
        """
        with suppress(StoreError):
            last = self._store.attempts(self._instance, self._endpoint, limit=1)
            return bool(last) and last[0].http_status in MAY_NAME_A_TIME
        return True

    def chase(self) -> None:
        """Where nothing may be posted: see which verdicts are in the log by now, and `remind` of the others."""
        self._drop_settled()
        self.remind()

    def remind(self) -> None:
        """Report verdicts again that may have been lost with the actor they were told to."""
        now = time.monotonic()
        oldest = next(iter(self._told.values()), None)
        if oldest is None or now - oldest.at < REMIND_AFTER_S:
            return
        self._drop_settled()
        for key, told in list(self._told.items()):
            if now - told.at >= REMIND_AFTER_S:
                del self._told[key]  # to stand behind those told since
                self._told[key] = msgspec.structs.replace(told, at=now)
                self._untold.append((told.verdict, key[1]))
        if self._untold:
            self.tell()

    def due_s(self) -> float | None:
        """Seconds until the next of those is due that were held in the store when it was last read; None: none was."""
        due = self._store.next_due(self._instance, self._endpoint, after=self._read_at)
        return None if due is None else max(0.0, (due - datetime.now(UTC)).total_seconds())

    def failing_since(self, at: datetime) -> datetime:
        """Since when the receiver has done nothing but fail, if it failed at `at` too."""
        with suppress(StoreError):
            outage = self._store.outage(self._instance, self._endpoint)
            if outage is not None and at - outage[1] < OUTAGE_GAP:
                return min(outage[0], at)
        return at

    def _next(self, held: Held | None) -> Delivery | None:
        while held is not None and self._batch and (held.is_held(chat := self._batch[0].chat) or chat in self._passed):
            # A hold may end while the batch is worked off, when the chat's oldest event is not in it any more.
            self._passed.add(chat)
            self._batch.popleft()
        return self._batch[0] if self._batch else None

    def _read(self, held: Held | None) -> None:
        self._passed.clear()
        self._read_at = datetime.now(UTC)
        self._drop_settled()
        found = self._store.deliveries(
            self._instance,
            self._endpoint,
            limit=BATCH,
            free_at=None if held is None else self._read_at,
            held=() if held is None else held.chats(),
            told=self._told.keys(),
        )
        self._batch.extend(found)
        self._seen = max((self._seen, *(delivery.sequence for delivery in found)))
        # By chat there may be more as soon as a chat is held no longer.
        self._is_all = held is None and len(found) < BATCH

    def _drop_settled(self) -> None:
        """Verdicts that are in the log by now are on their way no more."""
        if self._told:
            waiting = self._store.still_waiting(self._instance, self._endpoint, self._told.keys())
            self._told = {key: told for key, told in self._told.items() if key in waiting}

    def _keep(self, head: Delivery, at: datetime, outcome: Outcome, due: datetime | None) -> None:
        """Record an attempt that failed, after those before it."""
        self.tell()
        attempt = attempt_of(at, outcome)
        self._await(
            lambda: self._store.record_attempt(
                self._instance, self._endpoint, head.sequence, attempt, due, about=head.record
            )
        )

    def _await(self, record: Callable[[], Future[None]]) -> None:
        """Record something without waiting for the disk; it is committed with whatever else is written just now.

        A failed attempt that is lost in a crash costs an early retry, a delivered one only its line in the log.
        """
        try:
            record().add_done_callback(complain)
        except StoreError as ex:
            log.warning("an attempt is not recorded", action="attempt_unrecorded", error=str(ex))


def attempt_of(at: datetime, outcome: Outcome) -> Attempt:
    """An attempt as the store keeps it."""
    http_status: int | None
    match outcome:
        case Answer(status=status):
            http_status, error, answer = status, "" if 200 <= status < 300 else f"http_{status}", outcome.text
        case NoAnswer():
            http_status, error, answer = None, outcome.error, ""
        case _:
            assert_never(outcome)
    return Attempt(
        at=at,
        duration_ms=outcome.duration_ms,
        http_status=http_status,
        error=error,
        address=outcome.address,
        answer=answer,
    )


def complain(future: Future[None]) -> None:
    """Runs on the store's thread when a recorded attempt is on disk, or is not."""
    if not future.cancelled() and (ex := future.exception()) is not None:
        log.warning("an attempt is not recorded", action="attempt_unrecorded", error=str(ex))
