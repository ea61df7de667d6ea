"""Which instance is to be restarted when. Owned by the supervisor and used in its thread only."""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import structlog

from chatbot_erp.actors.alarms import Alarm, Alarms
from chatbot_erp.actors.supervision import HASTE_S, NETWORK, REMEDIES, Healing, Remedy, plan, recovered
from chatbot_erp.actors.tallies import Tallies

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Planned:
    """A restart that is due later; `healing` holds once it is carried out. `number` tells it from all other plans."""

    number: int
    cause: str
    due_at: float
    alarm: Alarm
    healing: Healing


class Healer:
    """Remembers losses and plans one restart per instance by the table of supervision.py.

    `due(instance, number)` is called on the alarms' thread and must only hand over; whoever gets it calls `begin`.
    `show(instance, moment)` is told when it will be tried, and None where nothing is planned any more, or where the
    library tries all the time.
    """

    def __init__(
        self,
        *,
        alarms: Alarms,
        now: Callable[[], datetime],
        due: Callable[[str, int], None],
        show: Callable[[str, datetime | None], None],
        tallies: Tallies,
        qr_attempts: int,
    ) -> None:
        self._alarms = alarms
        self._now = now
        self._due = due
        self._show = show
        self._tallies = tallies
        self._qr_attempts = qr_attempts
        self._healing: dict[str, Healing] = {}
        self._planned: dict[str, Planned] = {}
        self._causes: dict[str, str] = {}
        self._hastened: set[str] = set()
        self._numbers = itertools.count(1)

    def lose(self, instance: str, cause: str, retry_at: datetime | None = None) -> bool:
        """A loss. Whether a restart is planned for it; if not, no restart can help."""
        self.cancel(instance)
        wait_s = None if retry_at is None else max(0.0, (retry_at - self._now()).total_seconds())
        former = self._healing.get(instance, Healing())
        now = time.monotonic()
        decided = plan(cause, former, now=now, draw=random.random(), wait_s=wait_s, qr_attempts=self._qr_attempts)
        self._causes[instance] = cause
        if decided.delay_s is None:
            self._healing[instance] = decided.healing
            return False
        if decided.healing.quarantined and not former.quarantined:
            log.warning("an instance is in quarantine", action="quarantined", instance=instance, cause=cause)
            self._tallies.count("quarantines", cause)
            self._healing[instance] = msgspec.structs.replace(former, quarantined=True, healthy_since=None)
        self._set(instance, cause, now, decided.delay_s, decided.healing)
        return True

    def healthy(self, instance: str) -> None:
        """It is connected. If the network let it in again, those that wait for the same need not wait any longer.

        Each is hastened once until it is connected itself: a neighbour that flaps proves nothing the second time.
        """
        now = time.monotonic()
        self.cancel(instance)
        self._hastened.discard(instance)
        self._healing[instance] = recovered(self._healing.get(instance, Healing()), now=now)
        if self._causes.pop(instance, None) not in NETWORK:
            return
        for other, planned in list(self._planned.items()):
            if other in self._hastened or planned.cause not in NETWORK - {"dropped"}:
                continue
            if planned.due_at > now + HASTE_S:
                self._hastened.add(other)
                planned.alarm.cancel()
                self._set(other, planned.cause, now, random.random() * HASTE_S, planned.healing)

    def has(self, instance: str) -> bool:
        """Whether a restart is planned."""
        return instance in self._planned

    def is_quarantined(self, instance: str) -> bool:
        """Whether it is probed only now and then."""
        return self._healing.get(instance, Healing()).quarantined

    def begin(self, instance: str, number: int) -> str | None:
        """The cause to restart it for, if the plan of this number still holds; then it counts.

        A plan may have been replaced by another while the word that it is due was on its way.
        """
        planned = self._planned.get(instance)
        if planned is None or planned.number != number:
            return None
        del self._planned[instance]
        self._show(instance, None)
        self._healing[instance] = planned.healing
        return planned.cause

    def cancel(self, instance: str) -> None:
        """No restart is to come by itself."""
        if planned := self._planned.pop(instance, None):
            planned.alarm.cancel()
            self._show(instance, None)

    def forget(self, instance: str) -> None:
        """What was planned and counted is void."""
        self.cancel(instance)
        self._healing.pop(instance, None)
        self._causes.pop(instance, None)
        self._hastened.discard(instance)

    def stop(self) -> None:
        """Nothing is restarted any more."""
        for instance in list(self._planned):
            self.cancel(instance)

    def _set(self, instance: str, cause: str, now: float, delay_s: float, healing: Healing) -> None:
        number = next(self._numbers)
        alarm = self._alarms.set(delay_s, lambda: self._due(instance, number))
        self._planned[instance] = Planned(number, cause, now + delay_s, alarm, healing)
        by_library = REMEDIES.get(cause) is Remedy.AWAIT_LIBRARY
        self._show(instance, None if by_library else self._now() + timedelta(seconds=delay_s))
