"""Instances that come from other nodes and go to them. Used in the supervisor's thread only.

Who goes is away only while its socket is closed here and opened there: its deliveries come to an end before, however slow a
receiver is, while it does all else; then what is on its way to WhatsApp does. What callers want of it from then on is refused:
it is done by nobody, and soon by the other node.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pykka
import structlog

from chatbot_erp.actors import tidings
from chatbot_erp.actors.errors import NameTaken
from chatbot_erp.actors.hosts import SocketHosts
from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance_mail import ended
from chatbot_erp.actors.journal import JournalBroken
from chatbot_erp.actors.lives import Lives
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import Status
from chatbot_erp.eventstore.placement import Placement

log = structlog.get_logger()

AT_ONCE = 8
"""So many go at a time: each is to find the other node idle, and to be away for a moment only."""

SLOW_S = 1.0
"""Whose deliveries, and then whose messages, have not ended by then is in nobody's way: others begin to go."""

SEND_S = 1.0
"""What a message that waits is taken to need, beside its typing. Who has more to send than ends by the patience with it
stays until that is sent, or it would fail."""

INSTEAD_AFTER_S = 60.0
"""Who could not go by then stays for good, where one that is idle can go instead."""

ARRIVAL_PATIENCE_S = 5.0
"""So long one that has come is shown as coming at most."""

LOOK_EVERY_S = 0.01
PENDING_PATIENCE_S = 20.0
"""How long is waited for deliveries, and again for messages that are on their way."""


@dataclass(slots=True)
class Leaving:
    """One that goes: how far it has come."""

    since: float
    parting: bool = False
    """Its deliveries have ended, and since then it does nothing for callers."""
    closing: bool = False
    given: bool = False
    quiet: pykka.Future[bool] | None = None
    stopped: bool = False

    def age_s(self) -> float:
        return time.monotonic() - self.since

    def takes_a_turn(self) -> bool:
        return self.closing or self.age_s() < SLOW_S


class Moves:
    """`here` has an instance go on that has come, `close` has the socket of one closed that goes."""

    def __init__(
        self,
        house: House,
        lives: Lives,
        hosts: SocketHosts,
        *,
        here: Callable[[str], None],
        close: Callable[[str], None],
    ) -> None:
        self._house = house
        self._lives = lives
        self._hosts = hosts
        self._here = here
        self._close = close
        self._leaving: dict[str, Leaving] = {}
        self._put_off: dict[str, float] = {}
        """Since when those stay that are to go, of monotonic time."""

    def has(self, instance: str) -> bool:
        """Whether it parts: nobody begins anything with it any more. Until its deliveries have ended it does all else."""
        leaving = self._leaving.get(instance)
        return leaving is not None and (leaving.parting or leaving.given)

    def see(self, mine: Sequence[Placement]) -> None:
        """This is what the node has; some of it others shall have. Those go first that have nothing to send."""
        going = {placement.stream for placement in mine if placement.wanted is not None}
        self._put_off = {instance: since for instance, since in self._put_off.items() if instance in going}
        for placement in sorted(mine, key=lambda each: self._pending(each.stream)):
            instance = placement.stream
            if instance in self._leaving:
                continue
            if placement.wanted is None:
                if not self._lives.has(instance) and instance not in self._house.directory.missing():
                    self._arrive(instance)
            elif self._would_lose(instance):
                self._put_off_or_exchange(instance, mine)
            elif self._has_room(Leaving.takes_a_turn) and (
                self._lives.has(instance) or not self._is_in_the_making(instance)
            ):
                self._leave(instance)

    def look(self, instance: str) -> None:
        """See how far one that goes has come, and have the next step taken."""
        leaving = self._leaving.get(instance)
        if leaving is None:
            return
        try:
            if self._lives.has(instance):
                self._go_on(instance, leaving)
            if not (self._lives.has(instance) or leaving.given):
                leaving.given = True
                self._give(instance)
        finally:
            self._look_again(instance)

    def given(self, instance: str) -> None:
        """It is let go of; or it could not be, and is tried again when the node is told that it has it still."""
        self._leaving.pop(instance, None)
        if not self._house.store.company.has(instance):
            self._house.directory.leave(instance)  # also one that could not be brought back here

    def _arrive(self, instance: str) -> None:
        """Waits for nobody, or those that come together would wait for each other."""
        try:
            # What was told may be of before it went.
            head = self._house.store.open_stream(instance) if self._house.store.company.has(instance) else None
            state = self._lives.rebuild_or_miss(head) if head is not None else None
            if head is None or state is None:
                return
            self._house.directory.come(instance, ARRIVAL_PATIENCE_S)
            self._lives.start(instance, state.name, state, head.version, awaits=False)
        except (StoreError, NameTaken, pykka.ActorDeadError) as ex:
            log.warning("an instance has not come yet", action="arrival_postponed", instance=instance, error=str(ex))
            return
        except Exception:
            # There may be no thread for it just now: it is tried again with the next news, and those behind it come.
            log.exception("an instance has not come yet", action="arrival_postponed", instance=instance)
            return
        finally:
            if self._lives.has(instance):
                self._here(instance)
            else:
                self._house.directory.came(instance)
        log.info("an instance has come", action="instance_came", instance=instance)

    def _leave(self, instance: str) -> None:
        self._leaving[instance] = Leaving(time.monotonic())
        self._lives.stop_deliveries(instance)
        log.info("an instance goes", action="instance_goes", instance=instance)
        self._look_again(instance)

    def _go_on(self, instance: str, leaving: Leaving) -> None:
        actor: Any = self._house.directory.actor(instance)
        late = leaving.age_s() > PENDING_PATIENCE_S
        if not leaving.parting:
            delivers = self._lives.delivers(instance)
            if not delivers and self._would_lose(instance):
                del self._leaving[instance]
                self._lives.resume_deliveries(instance)
            elif (late or not delivers) and self._has_room(lambda each: each.parting and each.takes_a_turn()):
                leaving.parting, leaving.since = True, time.monotonic()
                self._house.directory.part(instance)
        elif not leaving.closing:
            if late or not self._pending(instance):
                leaving.closing = True
                self._close(instance)
        elif self._hosts.has(instance):
            pass
        elif ended(actor).is_set():
            self._lives.part(instance)
            self._hosts.set_aside(instance)
        elif actor.is_alive() and not leaving.stopped and self._is_quiet(actor, leaving):
            leaving.stopped = True
            actor.stop(block=False)

    def _has_room(self, counts: Callable[[Leaving], bool]) -> bool:
        return sum(map(counts, self._leaving.values())) < AT_ONCE

    def _would_lose(self, instance: str) -> bool:
        """Whether it is better to go later, where there is a later: a code is shown that would be void, or much waits."""
        view = self._house.directory.seen(instance)
        if view is None or self._house.is_ending():
            return False
        needs_s = len(view.pending) * (SEND_S + view.pacing.typing_s)
        return view.status is Status.SCAN_QR_CODE or needs_s > PENDING_PATIENCE_S

    def _put_off_or_exchange(self, instance: str, mine: Sequence[Placement]) -> None:
        """There may be no moment in which it can go: then one goes that has nothing to do."""
        now = time.monotonic()
        if instance not in self._put_off:
            self._put_off[instance] = now
            log.info("an instance goes later", action="departure_put_off", instance=instance)
        if now - self._put_off[instance] < INSTEAD_AFTER_S:
            return
        other = next((each.stream for each in mine if self._is_idle(each)), None)
        if other is None:
            return
        try:
            self._house.store.company.exchange(instance, other)
        except StoreError as ex:
            log.warning("an instance has not gone yet", action="departure_postponed", instance=instance, error=str(ex))
        else:
            self._put_off[instance] = now
            log.info("another instance is to go instead", action="departure_exchanged", instance=instance, other=other)

    def _is_idle(self, placement: Placement) -> bool:
        """Whether it stays, but could go as well."""
        view = self._house.directory.seen(placement.stream)
        stays = placement.wanted is None and not placement.fixed and placement.stream not in self._leaving
        return stays and view is not None and not view.pending and view.status is not Status.SCAN_QR_CODE

    def _is_in_the_making(self, instance: str) -> bool:
        try:
            return self._house.store.version(instance) == 0
        except StoreError:
            return True

    def _pending(self, instance: str) -> int:
        """How many messages of it wait for a verdict."""
        view = self._house.directory.seen(instance)
        return len(view.pending) if view is not None else 0

    def _is_quiet(self, actor: Any, leaving: Leaving) -> bool:
        """Whether all that it was told until now is in the log."""
        try:
            if leaving.quiet is None:
                leaving.quiet = actor.ask(tidings.IsQuiet(), block=False)
            quiet = leaving.quiet.get(timeout=0)
        except pykka.Timeout:
            return False
        except pykka.ActorDeadError:
            return True
        except (StoreError, JournalBroken):
            quiet = False  # what it was told before could not be stored
        leaving.quiet = None
        return quiet

    def _give(self, instance: str) -> None:
        supervisor = self._house.supervisor

        def told(result: Future[None]) -> None:
            # Runs on the store's thread.
            with contextlib.suppress(pykka.ActorDeadError):
                supervisor.tell(tidings.HandedOver(instance=instance))

        try:
            self._house.store.company.hand_over(instance).add_done_callback(told)
        except StoreError as ex:
            log.warning("an instance has not gone yet", action="departure_postponed", instance=instance, error=str(ex))
            self.given(instance)

    def _look_again(self, instance: str) -> None:
        supervisor = self._house.supervisor
        self._house.alarms.set(LOOK_EVERY_S, lambda: supervisor.tell(tidings.LookAtLeaving(instance=instance)))
