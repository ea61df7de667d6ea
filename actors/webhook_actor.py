"""Delivers the events of one instance to one of its endpoints, in order: what is in the log, from memory where it can.

An event is settled when the instance's actor, the one writer of its stream, has appended the verdict. A manager that
dies between the receiver's answer and the verdict delivers again, with the same id: at least once.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, assert_never

import pykka
import structlog

from chatbot_erp.actors.alarms import Alarm, Alarms
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.endpoint import Endpoint
from chatbot_erp.actors.webhook import (
    LONGEST_RETRY_S,
    PROBE_AFTER_S,
    Abandon,
    Delivered,
    Disable,
    NoAnswer,
    Outcome,
    Patience,
    RetryAt,
    next_step,
)
from chatbot_erp.actors.webhook_address import Deny
from chatbot_erp.actors.webhook_backlog import Backlog, Deliveries, Report
from chatbot_erp.actors.webhook_courier import Courier, failed, place_of
from chatbot_erp.actors.webhook_credentials import Keys
from chatbot_erp.actors.webhook_holds import Hold, Holds, hold_of
from chatbot_erp.actors.webhook_mail import Finish, GoOn, LookAgain, Mailbox, Ping, RetryNow, Wake
from chatbot_erp.actors.webhook_post import Postman
from chatbot_erp.actors.webhook_shapes import body
from chatbot_erp.eventstore.errors import StoreClosed, StoreError
from chatbot_erp.eventstore.events import WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import ERASED, Delivery

log = structlog.get_logger()

SETTLING_S = 0.05
"""How long verdicts wait for company. Nobody waits for them, and each message brings four or five: an append for each
of them alone was a fifth of all CPU. What a crash takes is delivered again, with the same id."""

QUIET_S = 30.0
"""After so long without work, look at what is left: a verdict that is not in the log, an idle connection."""

LONGEST_WAIT_S = 2 * LONGEST_RETRY_S
STORE_PAUSE_S = 1.0
THE_ONLY_CHAT = 0


class WebhookActor(pykka.ThreadingActor):
    """One receiver; webhook_mail.py says what it may be told.

    It blocks for as long as a receiver does, at most `webhook_timeout_s`: a stop, a ping or a new setting is taken up
    when the attempt that runs has ended. All callables are called on its thread and must return at once: `settings`
    (None: nothing is known of the endpoint now) before each attempt and `keys` before the first one and after
    `RetryNow`; `report` with the verdicts, and again with the same ones if the log does not show them after half a
    minute; `disabled`, with the settings' `since`, where the endpoint is not worth trying any more; `observe` with each
    attempt's outcome; `drained` once after `Finish`; `failed` when it dies of an error nobody foresaw; `alive` with its
    urn for each `Ping`.
    """

    use_daemon_thread = True

    def __init__(
        self,
        instance: str,
        name: str,
        endpoint: str,
        *,
        store: Deliveries,
        alarms: Alarms,
        config: Config,
        settings: Callable[[], Endpoint | None],
        keys: Callable[[], Keys],
        report: Report,
        drained: Callable[[], None],
        disabled: Callable[[Literal["gone", "failing"], datetime], None],
        failed: Callable[[], None] = lambda: None,
        alive: Callable[[str], None] = lambda urn: None,
        observe: Callable[[Outcome], None] = lambda outcome: None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self._id = instance
        self._name = name
        self._endpoint = endpoint
        self._alarms = alarms
        self._retry_for_s = config.webhook_retry_for_s
        self._settings = settings
        self._say_drained = drained
        self._say_disabled = disabled
        self._say_failed = failed
        self._say_alive = alive
        self._draw = draw
        self._backlog = Backlog(instance, endpoint, store, report)
        self._postman = Postman(timeout_s=config.webhook_timeout_s, deny=Deny.of(config.webhook_deny))
        self._courier = Courier(name, self._postman, keys=keys, observe=observe)
        self._holds = Holds()
        self._born_at = time.monotonic()
        self._has_looked_back = False
        self._finishing = False
        self._alarm: Alarm | None = None
        self._rings_at = 0.0

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    def on_start(self) -> None:
        """Runs in the actor's thread. What the last life left is taken up without being asked."""
        self.actor_ref.tell(LookAgain())

    def on_stop(self) -> None:
        """Runs in the actor's thread, at most one attempt after `stop`. What waits stays in the store."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._backlog.tell()
        self._postman.close()

    def on_failure(self, exception_type: object, exception_value: object, traceback: object) -> None:
        """Runs in the actor's thread, in place of `on_stop`. A new actor goes on from the store."""
        try:
            self.on_stop()
        finally:
            self._say_failed()

    def on_receive(self, message: object) -> None:
        match message:
            case Ping():
                # Work that stopped for it has a `GoOn` behind it.
                self._say_alive(self.actor_urn)
                return
            case Wake(news=news):
                self._backlog.hear(news)
                self._consider_probe()
            case GoOn():
                pass
            case LookAgain():
                self._alarm = None
                if not self._backlog.has_untold:
                    self._backlog.hear(None)
                self._backlog.tell()
            case RetryNow():
                self._begin_anew()
            case Finish():
                self._finishing = True
                self._begin_anew()
            case _:
                raise TypeError(f"A webhook cannot take {type(message).__name__}.")
        self._work()

    def _work(self) -> None:
        """Deliver until nothing can be done or other mail waits; then come back after it."""
        inbox = self.actor_inbox
        assert isinstance(inbox, Mailbox)
        try:
            while not inbox.urgent:
                if not self._step():
                    if self._backlog.has_untold:
                        self._look_in(SETTLING_S)
                    return
            self.actor_ref.tell(GoOn())
        except StoreClosed:
            log.info("the store is closed", action="webhook_ended", instance=self._id)
        except StoreError as ex:
            log.error("deliveries cannot be read", action="webhook_stalled", instance=self._id, error=str(ex))
            self._look_in(STORE_PAUSE_S if ex.retryable else QUIET_S)

    def _step(self) -> bool:
        """Make at most one attempt; whether to go on."""
        endpoint = self._settings()
        if endpoint is None or not (endpoint.open or self._finishing):
            self._rest(by_chat=False, closed=True)
            return False
        by_chat = endpoint.order == "chat"
        stop = self._holds.breaker if by_chat else self._holds.of(THE_ONLY_CHAT)
        if stop is not None and (wait := stop.left_s()) > 0:
            self._backlog.chase()
            self._look_in(min(wait, QUIET_S) if self._backlog.unsettled else wait)
            return False
        head = self._backlog.head(self._holds if by_chat else None)
        if head is None:
            self._rest(by_chat=by_chat, closed=False)
            return False
        chat = head.chat if by_chat else THE_ONLY_CHAT
        hold = self._hold_of(chat, head)
        if hold is not None and (wait := hold.left_s()) > 0:
            self._backlog.refresh()
            self._look_in(wait)
            return False
        if not endpoint.open:
            # Removed: nobody will ever enable it again, nor let it go on. The event stays in the log.
            why = "paused" if endpoint.disabled is None else "disabled"
            self._abandon(chat, head, head.attempts, datetime.now(UTC), error=why)
        else:
            self._attempt(endpoint, chat, head, hold)
        return True

    def _rest(self, *, by_chat: bool, closed: bool) -> None:
        """Nothing is to be posted. See to what is left: verdicts, the connection, the end."""
        if self._finishing:
            self._backlog.tell()
        if closed:
            self._backlog.refresh()
            self._backlog.chase()
        else:
            self._backlog.remind()
        self._postman.close_if_idle()
        # While it waits for the log, nothing that is due may go.
        waits = [self._holds.soonest_s(), self._backlog.due_s()] if by_chat and not self._backlog.crowded else []
        if due := [wait for wait in waits if wait is not None]:
            self._look_in(min(*due, LONGEST_WAIT_S))
        if self._backlog.crowded or (self._finishing and self._backlog.unsettled):
            self._look_in(SETTLING_S)
        elif self._finishing and not closed and not due:
            self._finishing = False
            self._say_drained()
        elif self._backlog.unsettled or self._postman.connected:
            self._look_in(QUIET_S)

    def _hold_of(self, chat: int, head: Delivery) -> Hold | None:
        """What is known of the head's failures, from this life or from the store."""
        if (hold := self._holds.of(chat, head.sequence)) is not None:
            return hold
        if head.due is None:
            return None
        # The wall clock may have been set since: no wait is longer than the longest there is.
        left = min((head.due - datetime.now(UTC)).total_seconds(), LONGEST_WAIT_S)
        asked = self._backlog.may_be_asked_to_wait()
        return self._holds.put(chat, hold_of(head.sequence, head.attempts, head.first_attempt_at, left, asked=asked))

    def _consider_probe(self, *, got_through: bool = False) -> None:
        """Something new came in or got through: reason enough to try again what failed a while ago.

        One chat at a time, as each that succeeds frees the next: those that fail by themselves open no breaker so.
        """
        tried_before = time.monotonic() - PROBE_AFTER_S
        if (hold := self._holds.expire_oldest(tried_before)) is not None:
            self._backlog.release(hold.sequence)
        elif (
            not self._has_looked_back
            and self._born_at <= tried_before
            and self._holds.is_empty()
            and (got_through or not self._backlog.may_be_asked_to_wait())
        ):
            # By chat, what failed in the last life waits in the store only, and is not shown before its time.
            self._has_looked_back = True
            self._backlog.release()

    def _begin_anew(self) -> None:
        """The next attempt is made at once and by the present settings, whatever made the head wait."""
        self._courier.renew()
        self._holds.clear()
        self._backlog.release()

    def _look_in(self, delay_s: float) -> None:
        """Have `LookAgain` told after a while, or sooner where that is planned already."""
        at = time.monotonic() + delay_s
        if self._alarm is not None:
            if self._rings_at <= at:
                return
            self._alarm.cancel()
        self._rings_at = at
        self._alarm = self._alarms.set(delay_s, lambda: self.actor_ref.tell(LookAgain()))

    def _attempt(self, endpoint: Endpoint, chat: int, head: Delivery, hold: Hold | None) -> None:
        """Post the head and do what follows from the outcome."""
        at = datetime.now(UTC)
        # The store may not have the last attempt yet, or never, where the disk refused it.
        attempts = 1 + max(head.attempts, hold.attempts if hold else 0)
        first = head.first_attempt_at or (hold.first_attempt_at if hold else None) or at
        if head.record.erased:
            self._abandon(chat, head, attempts - 1, at, error=ERASED)
            return
        try:
            content = body(head.record, self._id, self._name)
        except Exception:
            # No receiver can ever be told of it; the events behind it must not wait for that.
            log.exception("an event cannot be told", action="webhook_poison", **self._of(head))
            self._abandon(chat, head, attempts - 1, at, error="unreadable")
            return
        outcome = self._courier.attempt(
            endpoint, head, content, attempts=attempts, at=at, withdrawn=lambda: self._backlog.stale
        )
        if outcome is None:
            return  # it may be erased; the next `head` says what has become of it
        now = datetime.now(UTC)
        step = next_step(
            outcome,
            first_attempt_at=max(first, endpoint.since),
            failing_since=max(self._backlog.failing_since(at), endpoint.since) if failed(outcome) else at,
            now=now,
            draw=self._draw(),
            patience=Patience(
                retry_for_s=self._retry_for_s if endpoint.retry_for_s is None else endpoint.retry_for_s,
                reject_after_s=endpoint.reject_after_s,
            ),
        )
        if isinstance(step, Disable) and self._finishing:
            step = Abandon(error=step.error)  # nobody will ever enable it again
        match step:
            case Delivered(http_status=status):
                self._holds.succeed(chat)
                delivered = WebhookDelivered(
                    sequence=head.sequence, attempts=attempts, http_status=status, endpoint=self._endpoint
                )
                self._backlog.settle(head, at, outcome, delivered)
                self._consider_probe(got_through=True)
            case Abandon(error=error):
                log.error("a delivery is given up", action="webhook_abandoned", error=error, **self._of(head))
                self._abandon(chat, head, attempts, at, error, outcome)
            case RetryAt(due=due, error=error, asked=asked):
                log.info("a delivery failed", action="webhook_failed", error=error, due=str(due), **self._of(head))
                left = (due - now).total_seconds()
                self._holds.fail(chat, hold_of(head.sequence, attempts, first, left, asked=asked))
                self._backlog.postpone(head, at, outcome, due)
            case Disable(reason=reason, error=error):
                log.error("the receiver is given up", action="webhook_disabled", error=error, **self._of(head))
                # Until the instance's actor has heard; should it never, one try a day, in this life or the next.
                self._holds.stop(chat, hold_of(head.sequence, attempts, first, LONGEST_RETRY_S, asked=True))
                self._backlog.postpone(head, at, outcome, now + timedelta(seconds=LONGEST_RETRY_S))
                self._say_disabled(reason, endpoint.since)
            case _:
                assert_never(step)

    def _abandon(
        self, chat: int, head: Delivery, attempts: int, at: datetime, error: str, outcome: Outcome | None = None
    ) -> None:
        """The event's turn is over after so many posts, and it holds up its chat no more: a dead letter."""
        self._holds.drop(chat)
        verdict = WebhookAbandoned(sequence=head.sequence, attempts=attempts, error=error, endpoint=self._endpoint)
        nothing = NoAnswer(error=error, detail="", address="", duration_ms=0)
        self._backlog.settle(head, at, outcome or nothing, verdict)

    def _of(self, head: Delivery) -> dict[str, Any]:
        return place_of(self._endpoint, head)
