"""What one webhook has still to deliver, as the store has it, and the verdicts that the store does not have yet.

Only a batch of the backlog is ever in memory. For one thread, except where it says otherwise.
"""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from typing import Protocol, assert_never

import msgspec
import pykka
import structlog

from chatbot_erp.actors.webhook import Answer, NoAnswer, Outcome
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import Attempt, Delivery

log = structlog.get_logger()

BATCH = 64
UNSETTLED_AT_MOST = 256
"""With so many verdicts on their way, wait for the log rather than run ahead of it."""

REMIND_AFTER_S = 30.0

Verdict = WebhookDelivered | WebhookAbandoned


class Outbox(Protocol):
    """What is wanted of the event store."""

    def deliveries(self, stream: str, *, limit: int) -> list[Delivery]: ...

    def record_attempt(self, stream: str, sequence: int, attempt: Attempt, due: datetime | None) -> Future[None]: ...


class Told(msgspec.Struct, frozen=True):
    """A verdict that is on its way to the log since `at` (monotonic)."""

    verdict: Verdict
    at: float


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """The head failed: not again before `until` (monotonic). `asked` where the receiver named the time, or may have."""

    sequence: int
    attempts: int
    first_attempt_at: datetime | None
    until: float
    tried_at: float
    asked: bool


class Backlog:
    """The deliveries of one instance that wait, oldest first. Methods that read raise what the store raises."""

    def __init__(self, instance: str, store: Outbox, report: Callable[[Verdict], None]) -> None:
        self._instance = instance
        self._store = store
        self._report = report
        self._batch: deque[Delivery] = deque()
        self._told: dict[int, Told] = {}

    @property
    def unsettled(self) -> bool:
        """Whether verdicts were on their way to the log when it was last read."""
        return bool(self._told)

    @property
    def crowded(self) -> bool:
        """Whether so many are that `head` answers None for now."""
        return len(self._told) >= UNSETTLED_AT_MOST

    def head(self) -> Delivery | None:
        """The oldest event without a verdict, from memory where possible; None where nothing is to be posted."""
        if not self._batch:
            pending = self._store.deliveries(self._instance, limit=BATCH + len(self._told))
            waiting = {delivery.sequence for delivery in pending}
            self._told = {sequence: told for sequence, told in self._told.items() if sequence in waiting}
            if not self.crowded:
                self._batch.extend(delivery for delivery in pending if delivery.sequence not in self._told)
        return self._batch[0] if self._batch else None

    def refresh(self) -> None:
        """Have the next `head` read from the store."""
        self._batch.clear()

    def settle(self, head: Delivery, at: datetime, outcome: Outcome, verdict: Verdict) -> None:
        """The attempt at `at` was the last: record it, report the verdict, and never show the event again."""
        self._keep(head, at, outcome, None)
        self._batch.popleft()
        self._tell(verdict)

    def postpone(self, head: Delivery, at: datetime, outcome: Outcome, due: datetime) -> None:
        """The attempt at `at` failed: record it. The next `head` reads from the store."""
        self._keep(head, at, outcome, due)
        self.refresh()

    def remind(self) -> None:
        """Report verdicts again that may have been lost with the actor they were told to."""
        now = time.monotonic()
        for told in list(self._told.values()):
            if now - told.at >= REMIND_AFTER_S:
                self._tell(told.verdict)

    def _tell(self, verdict: Verdict) -> None:
        self._told[verdict.sequence] = Told(verdict, time.monotonic())
        with suppress(pykka.ActorDeadError):  # `remind` will find its successor
            self._report(verdict)

    def _keep(self, head: Delivery, at: datetime, outcome: Outcome, due: datetime | None) -> None:
        """Record an attempt without waiting for the disk; it is committed with whatever else is written just now.

        A failed attempt that is lost in a crash costs an early retry, a delivered one only its line in the log.
        """
        match outcome:
            case Answer():
                error = "" if 200 <= outcome.status < 300 else f"http_{outcome.status}"
                attempt = attempt_of(at, outcome, outcome.status, error, outcome.text)
            case NoAnswer():
                attempt = attempt_of(at, outcome, None, outcome.error, "")
            case _:
                assert_never(outcome)
        try:
            self._store.record_attempt(self._instance, head.sequence, attempt, due).add_done_callback(complain)
        except StoreError as ex:
            log.warning("an attempt is not recorded", action="attempt_unrecorded", error=str(ex))


def attempt_of(at: datetime, outcome: Outcome, http_status: int | None, error: str, answer: str) -> Attempt:
    """An attempt as the store keeps it."""
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


def hold_of(sequence: int, attempts: int, first: datetime | None, left_s: float, *, asked: bool) -> Hold:
    """A hold of `left_s` seconds from now."""
    now = time.monotonic()
    return Hold(
        sequence=sequence, attempts=attempts, first_attempt_at=first, until=now + left_s, tried_at=now, asked=asked
    )
