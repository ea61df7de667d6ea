"""Delivers the events of one instance to its webhook, in order, from the log.

An event is settled when the instance's actor, the one writer of its stream, has appended the verdict. A manager that
dies between the receiver's answer and the verdict delivers again, with the same id: at least once.
"""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

import pykka
import structlog

from chatbot_erp.actors.alarms import Alarm, Alarms
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.webhook import (
    LONGEST_RETRY_S,
    PROBE_AFTER_S,
    Abandon,
    Delivered,
    Disable,
    NoAnswer,
    Outcome,
    RetryAt,
    body,
    headers,
    next_step,
    signing_key,
)
from chatbot_erp.actors.webhook_address import Deny
from chatbot_erp.actors.webhook_backlog import Backlog, Hold, Outbox, Verdict, hold_of
from chatbot_erp.actors.webhook_mail import ChangeSecrets, ChangeUrl, Finish, LookAgain, Mailbox, RetryNow, Wake
from chatbot_erp.actors.webhook_post import Postman
from chatbot_erp.eventstore.errors import StoreClosed, StoreError
from chatbot_erp.eventstore.events import WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import Delivery

__all__ = ["ChangeSecrets", "ChangeUrl", "Finish", "RetryNow", "Verdict", "Wake", "WebhookActor"]

log = structlog.get_logger()

SETTLING_S = 0.05
QUIET_S = 30.0
"""After so long without work, look at what is left: a verdict that is not in the log, an idle connection."""

LONGEST_WAIT_S = 2 * LONGEST_RETRY_S
STORE_PAUSE_S = 1.0


class WebhookActor(pykka.ThreadingActor):
    """One receiver; webhook_mail.py says what it may be told.

    It blocks for as long as a receiver does, at most `webhook_timeout_s`: a stop, a ping or a new URL is taken up when
    the attempt that runs has ended. All callables are called on its thread and must return at once: `url` before each
    attempt and `secrets` before the first one, until the same was told; `report` with each verdict, and again with the
    same one if the log does not show it after half a minute; `disabled` after a 410; `drained` once after `Finish`;
    `failed` when it dies of an error nobody foresaw.
    """

    use_daemon_thread = True

    def __init__(
        self,
        instance: str,
        name: str,
        *,
        store: Outbox,
        alarms: Alarms,
        config: Config,
        url: Callable[[], str],
        secrets: Callable[[], tuple[str, ...]],
        report: Callable[[Verdict], None],
        drained: Callable[[], None],
        disabled: Callable[[], None] = lambda: None,
        failed: Callable[[], None] = lambda: None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self._id = instance
        self._name = name
        self._alarms = alarms
        self._retry_for_s = config.webhook_retry_for_s
        self._url = url
        self._secrets = secrets
        self._say_drained = drained
        self._say_disabled = disabled
        self._say_failed = failed
        self._draw = draw
        self._backlog = Backlog(instance, store, report)
        self._postman = Postman(timeout_s=config.webhook_timeout_s, deny=Deny.of(config.webhook_deny))
        self._keys: tuple[bytes, ...] = ()
        self._hold: Hold | None = None
        self._eager = False
        self._readdressed_at = datetime.min.replace(tzinfo=UTC)
        self._finishing = False
        self._alarm: Alarm | None = None
        self._rings_at = 0.0

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    def ping(self) -> None:
        """Asked by proxy: says that the actor is alive, once the attempt that runs has ended."""

    def on_start(self) -> None:
        """Runs in the actor's thread. What the last life left is taken up without being asked."""
        self.actor_ref.tell(Wake())

    def on_stop(self) -> None:
        """Runs in the actor's thread, at most one attempt after `stop`. What waits stays in the store."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._postman.close()

    def on_failure(self, exception_type: object, exception_value: object, traceback: object) -> None:
        """Runs in the actor's thread, in place of `on_stop`. A new actor goes on from the store."""
        self.on_stop()
        self._say_failed()

    def on_receive(self, message: object) -> None:
        match message:
            case Wake():
                self._consider_probe()
            case LookAgain():
                self._alarm = None
            case ChangeUrl(url=url):
                self._url = lambda: url
                self._readdressed_at = datetime.now(UTC)
                self._lift()
            case ChangeSecrets(secrets=secrets):
                self._keys = tuple(signing_key(secret) for secret in secrets)
            case RetryNow():
                self._lift()
            case Finish():
                self._finishing = True
                self._lift()
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
                    return
            self.actor_ref.tell(Wake())
        except StoreClosed:
            log.info("the store is closed", action="webhook_ended", instance=self._id)
        except StoreError as ex:
            log.error("deliveries cannot be read", action="webhook_stalled", instance=self._id, error=str(ex))
            self._look_in(STORE_PAUSE_S if ex.retryable else QUIET_S)

    def _step(self) -> bool:
        """Make at most one attempt; whether to go on."""
        head = self._backlog.head()
        if head is None:
            self._rest()
            return False
        hold = self._hold_of(head)
        if hold is not None and not self._eager and (wait := hold.until - time.monotonic()) > 0:
            self._backlog.refresh()
            self._look_in(wait)
            return False
        self._eager = False
        self._attempt(head, hold)
        return True

    def _rest(self) -> None:
        """Nothing is to be posted. See to what is left: verdicts, the connection, the end."""
        self._hold, self._eager = None, False
        self._backlog.remind()
        self._postman.close_if_idle()
        if self._backlog.crowded or (self._finishing and self._backlog.unsettled):
            self._look_in(SETTLING_S)
        elif self._finishing:
            self._finishing = False
            self._say_drained()
        elif self._backlog.unsettled or self._postman.connected:
            self._look_in(QUIET_S)

    def _hold_of(self, head: Delivery) -> Hold | None:
        """What is known of the head's failures, from this life or from the store."""
        if self._hold is not None and self._hold.sequence == head.sequence:
            return self._hold
        self._hold = None
        if head.due is not None:
            # The wall clock may have been set since: no wait is longer than the longest there is.
            left = min((head.due - datetime.now(UTC)).total_seconds(), LONGEST_WAIT_S)
            self._hold = hold_of(head.sequence, head.attempts, head.first_attempt_at, left, asked=True)
        return self._hold

    def _consider_probe(self) -> None:
        """Something new came in: reason enough to try a head that failed a while ago."""
        hold = self._hold
        if hold is not None and not hold.asked and time.monotonic() - hold.tried_at >= PROBE_AFTER_S:
            self._eager = True

    def _lift(self) -> None:
        """The next attempt is made at once, whatever made the head wait."""
        self._eager = True

    def _look_in(self, delay_s: float) -> None:
        """Have `LookAgain` told after a while, or sooner where that is planned already."""
        at = time.monotonic() + delay_s
        if self._alarm is not None:
            if self._rings_at <= at:
                return
            self._alarm.cancel()
        self._rings_at = at
        self._alarm = self._alarms.set(delay_s, self._ring)

    def _ring(self) -> None:
        """Runs on the thread of the alarms."""
        with suppress(pykka.ActorDeadError):
            self.actor_ref.tell(LookAgain())

    def _attempt(self, head: Delivery, hold: Hold | None) -> None:
        """Post the head and do what follows from the outcome."""
        at = datetime.now(UTC)
        # The store may not have the last attempt yet, or never, where the disk refused it.
        attempts = 1 + max(head.attempts, hold.attempts if hold else 0)
        first = head.first_attempt_at or (hold.first_attempt_at if hold else None) or at
        try:
            content = body(head.record, self._id, self._name)
        except Exception:
            # No receiver can ever be told of it; the events behind it must not wait for that.
            log.exception("an event cannot be told", action="webhook_poison", **self._of(head))
            nothing = NoAnswer(error="unreadable", detail="", address="", duration_ms=0)
            verdict = WebhookAbandoned(sequence=head.sequence, attempts=attempts, error=nothing.error)
            self._backlog.settle(head, at, nothing, verdict)
            return
        outcome = self._post(head, content, at)
        now = datetime.now(UTC)
        step = next_step(
            outcome,
            first_attempt_at=first,
            failing_since=max(first, self._readdressed_at),
            now=now,
            draw=self._draw(),
            retry_for_s=self._retry_for_s,
        )
        if isinstance(step, Disable) and self._finishing:
            step = Abandon(error="http_410")  # nobody will ever enable it again
        match step:
            case Delivered(http_status=status):
                delivered = WebhookDelivered(sequence=head.sequence, attempts=attempts, http_status=status)
                self._backlog.settle(head, at, outcome, delivered)
            case Abandon(error=error):
                log.error("a delivery is given up", action="webhook_abandoned", error=error, **self._of(head))
                abandoned = WebhookAbandoned(sequence=head.sequence, attempts=attempts, error=error)
                self._backlog.settle(head, at, outcome, abandoned)
            case RetryAt(due=due, error=error, asked=asked):
                log.info("a delivery failed", action="webhook_failed", error=error, due=str(due), **self._of(head))
                self._hold = hold_of(head.sequence, attempts, first, (due - now).total_seconds(), asked=asked)
                self._backlog.postpone(head, at, outcome, due)
            case Disable():
                log.error("the receiver is gone (410)", action="webhook_disabled", **self._of(head))
                # Nothing is posted until somebody asks; should nobody, one try a day, in this life or the next.
                self._hold = hold_of(head.sequence, attempts, first, LONGEST_RETRY_S, asked=True)
                self._backlog.postpone(head, at, outcome, now + timedelta(seconds=LONGEST_RETRY_S))
                self._say_disabled()
            case _:
                assert_never(step)

    def _post(self, head: Delivery, content: bytes, at: datetime) -> Outcome:
        """The outcome of a post, whatever happens."""
        try:
            if not self._keys:
                self._keys = tuple(signing_key(secret) for secret in self._secrets())
            if not self._keys:
                return NoAnswer(error="no_secret", detail="", address="", duration_ms=0)
            event_id = head.record.id
            signed = headers(content, event_id=event_id, at=at, keys=self._keys, instance=self._id, name=self._name)
            return self._postman.post(self._url(), content, signed)
        except Exception:
            # Ours, not the receiver's, and perhaps gone with the next version: retried like any other failure.
            log.exception("an attempt failed in itself", action="webhook_broken", **self._of(head))
            return NoAnswer(error="internal", detail="", address="", duration_ms=0)

    def _of(self, head: Delivery) -> dict[str, Any]:
        return {"instance": self._id, "sequence": head.sequence, "position": head.record.position}
