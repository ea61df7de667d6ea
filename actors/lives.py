"""The actors of each instance: they are started, replaced and let go here. Used in the supervisor's thread only."""

import contextlib
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import pykka
import structlog

from chatbot_erp.actors import tidings
from chatbot_erp.actors.commands import DoubtPending, RecordVerdict
from chatbot_erp.actors.effects import EndSocket, follow_up
from chatbot_erp.actors.endpoint import DisableEndpoint, find
from chatbot_erp.actors.errors import NameTaken
from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance_actor import InstanceActor
from chatbot_erp.actors.instance_mail import ended
from chatbot_erp.actors.rebuild import rebuild
from chatbot_erp.actors.state import Instance, State
from chatbot_erp.actors.webhook_actor import WebhookActor
from chatbot_erp.actors.webhook_credentials import Credentials, forget_gone
from chatbot_erp.actors.webhooks import Webhooks
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import EVENT_NAMES, InstanceCreated, InstanceRemoved
from chatbot_erp.eventstore.records import MAIN, StreamHead

log = structlog.get_logger()

PING_PATIENCE_S = 10.0
RESTORE_PATIENCE_S = 30.0
"""What all that do not answer at the start have together, or a few of them would keep the manager down."""

STUCK_S = 35.0
"""An actor that has not answered its heartbeat for so long hangs: no patience of its own is that long."""

REMOVED = EVENT_NAMES[InstanceRemoved]

Ref = pykka.ActorRef[Any]


class Lives:
    """All actors of all instances."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._webhooks: dict[str, Webhooks] = {}
        self._unanswered: dict[str, float] = {}
        """Since when an actor owes a sign of life, by its urn."""

    def start(
        self,
        instance: str,
        name: str,
        state: State,
        version: int,
        *,
        awaits: bool = True,
        patience_s: float = PING_PATIENCE_S,
    ) -> Ref:
        """Start an instance's actor, which has its webhooks started, and see it alive, if this is awaited.

        Raises `NameTaken`; `pykka.Timeout` and `ActorDeadError` for one that is here, but does not answer.
        """
        listed = state is None or isinstance(state, Instance)
        webhooks = self._webhooks.get(instance) or Webhooks(partial(self._start_webhook, instance, name))
        actor: Ref = InstanceActor.start(instance, self._house, webhooks, state, version)
        try:
            self._house.directory.enter(instance, name, actor, listed=listed)
        except NameTaken:
            actor.stop(block=False)
            raise
        # Only now: what cannot be started is not here, and is tried again.
        self._webhooks[instance] = webhooks
        if state is not None:
            # Whoever is slow to answer is seen all the same, and what is done about what is seen is done about it.
            self._house.directory.publish(instance, state, None)
            if not listed:
                webhooks.finish()
        if awaits:
            actor.ask(tidings.Introduce(), timeout=patience_s)
        else:
            actor.tell(tidings.Introduce())
        return actor

    def restore(self) -> int:
        """Bring back every instance of this node that is not removed, and the deliveries of those that are; how many.

        One that does not answer holds up nobody: it is here, and replaced if it goes on like that. Nor does one whose
        stream cannot be read: it is missing from this life, and all that belongs to it is kept for another.
        """
        is_mine = self._house.store.company.mine()
        everywhere = self._house.store.open_streams()
        heads = [head for head in everywhere if is_mine(head.stream)]
        patience_s = RESTORE_PATIENCE_S
        for head in heads:
            state = self.rebuild_or_miss(head)
            if state is None:
                continue
            begun = time.monotonic()
            try:
                self.start(head.stream, state.name, state, head.version, patience_s=min(patience_s, PING_PATIENCE_S))
            except NameTaken:
                log.error("two have one name", action="instance_missing", instance=head.stream, name=state.name)
                self._house.directory.miss(head.stream, None)
            except (pykka.Timeout, pykka.ActorDeadError):
                patience_s = max(0.0, patience_s - (time.monotonic() - begun))
                log.exception("an instance does not answer", action="restored_without_answer", instance=head.stream)
        self._forget_leftovers({head.stream for head in everywhere})
        return len(heads) - len(self._house.directory.missing())

    def rebuild_or_miss(self, head: StreamHead) -> State:
        """Its state; None where its stream cannot be read, and then it is missing. Raises a `StoreError` that passes."""
        try:
            return rebuild(self._house.store, head)
        except Exception as ex:
            if isinstance(ex, StoreError) and ex.retryable:
                raise
            log.exception("an instance is missing", action="instance_missing", instance=head.stream)
            self._house.directory.miss(head.stream, self._name_in_use(head))
            return None

    def _name_in_use(self, head: StreamHead) -> str | None:
        """The name of a stream that cannot be rebuilt, where its first event can be read; removed ones need none."""
        if not head.snapshot:
            return None
        with contextlib.suppress(StoreError):
            for record in self._house.store.read(stream=head.stream, limit=1):
                if isinstance(record.event, InstanceCreated):
                    return record.event.name
        return None

    def replace(self, instance: str) -> State:
        """A new actor in the old place, with the state as the log has it; None if the log knows nothing of it.

        What was in mid-send had a caller in the old one: nobody waits for it any more.
        """
        former = self._house.directory.actor(instance)
        head = self._house.store.open_stream(instance)
        state = rebuild(self._house.store, head) if head is not None else None
        if head is None or state is None:
            return None
        if former is not None:
            former.stop(block=False)
        try:
            self.start(instance, state.name, state, head.version)
        finally:
            self.tell(instance, DoubtPending(cause="actor_failed"))
        return state

    def farewell(self, instance: str) -> EndSocket | None:
        """What the removal of this instance has to do with its socket and session; None where the log knows of none."""
        try:
            for record in self._house.store.read(stream=instance, types={REMOVED}, limit=1):
                (ending,) = (each for each in follow_up(record.event, None) if isinstance(each, EndSocket))
                return ending
        except StoreError as ex:
            log.warning("a session stays for now", action="farewell_postponed", instance=instance, error=str(ex))
        return None

    def webhook_failed(self, instance: str, endpoint: str) -> None:
        """Have `WebhookDue` told when a new delivery actor is to be tried: at once, and later each time."""
        self._renew_webhook(tidings.WebhookDue(instance=instance, endpoint=endpoint, cause="webhook_failed"))

    def _give_up_webhook(self, instance: str, endpoint: str) -> None:
        self._webhooks[instance].give_up(endpoint)
        self._renew_webhook(tidings.WebhookDue(instance=instance, endpoint=endpoint, cause="webhook_stuck"))

    def _renew_webhook(self, due: tidings.WebhookDue) -> None:
        webhooks, supervisor = self._webhooks.get(due.instance), self._house.supervisor
        if webhooks is not None and (delay_s := webhooks.failed(due.endpoint)) is not None:
            self._house.alarms.set(delay_s, lambda: supervisor.tell(due))

    def replace_webhook(self, instance: str, endpoint: str) -> bool:
        """A new delivery actor in the old place; whether there was one."""
        webhooks = self._webhooks.get(instance)
        return webhooks is not None and webhooks.restart(endpoint)

    def drained(self, instance: str, endpoint: str) -> bool:
        """A removed instance has nothing more to tell there; whether that was the last of its endpoints."""
        webhooks = self._webhooks.get(instance)
        return webhooks is not None and webhooks.drained(endpoint)

    def has(self, instance: str) -> bool:
        """Whether it has actors here."""
        return instance in self._webhooks

    def part(self, instance: str) -> None:
        """Let its actors go; what belongs to it stays, for another node."""
        actor = self._house.directory.actor(instance)
        self._house.directory.leave(instance)
        if actor is not None:
            actor.stop(block=False)
        if webhooks := self._webhooks.pop(instance, None):
            webhooks.stop()

    def stop_deliveries(self, instance: str) -> None:
        """Have those of one instance end with their present attempt; does not wait."""
        if webhooks := self._webhooks.get(instance):
            webhooks.stop()

    def resume_deliveries(self, instance: str) -> None:
        """Have those of one instance go on that were stopped and have ended."""
        if webhooks := self._webhooks.get(instance):
            webhooks.resume()
            # It knows its endpoints, which may be others by now.
            self.tell(instance, tidings.Introduce())

    def delivers(self, instance: str) -> bool:
        """Whether deliveries of an instance, which were stopped, still go on."""
        webhooks = self._webhooks.get(instance)
        return webhooks is not None and not webhooks.have_ended()

    def forget(self, instance: str) -> None:
        """Let its actors go, and the secrets of its endpoints, and its place."""
        endpoints = tuple(endpoint.id for endpoint in self._house.directory.endpoints(instance))
        self.part(instance)
        self._house.store.company.forget(instance)
        for endpoint in endpoints or (MAIN,):
            Credentials(self._house.vault, instance, endpoint).forget()

    def _forget_leftovers(self, present: Collection[str]) -> None:
        """Forget the secrets of endpoints and instances that are gone: the last life may have ended before it did so.

        Those of an instance that the log has never heard of stay: it may be in the making, elsewhere.
        """

        def is_gone(instance: str, endpoint: str) -> bool:
            if instance not in present:
                # Another node may have made it since.
                return self._house.store.version(instance) > 0 and self._house.store.open_stream(instance) is None
            endpoints = self._house.directory.endpoints(instance)
            return bool(endpoints) and find(endpoints, endpoint) is None

        try:
            forget_gone(self._house.vault, is_gone)
        except StoreError as ex:
            log.warning("secrets that nobody needs are kept", action="leftovers_kept", error=str(ex))

    def tell(self, instance: str, message: object) -> None:
        """Tell an instance; one that is gone needs nothing any more, one that failed is replaced from the log."""
        actor = self._house.directory.actor(instance)
        if actor is not None:
            with contextlib.suppress(pykka.ActorDeadError):
                actor.tell(message)

    def is_alive(self, instance: str) -> bool:
        """Whether its actor takes mail."""
        actor = self._house.directory.actor(instance)
        return actor is not None and actor.is_alive()

    def is_current(self, instance: str, urn: str) -> bool:
        """Whether this is the actor that speaks for the instance, and not one that was replaced."""
        actor = self._house.directory.actor(instance)
        return actor is not None and actor.actor_urn == urn

    def ping(self) -> list[str]:
        """Ask every actor for a sign of life; the instances whose actors have owed one for too long, once each.

        Of delivery actors that have, new ones are begun.
        """
        now = time.monotonic()
        former, self._unanswered = self._unanswered, {}
        stuck = []
        for instance, webhooks in self._webhooks.items():
            actor = self._house.directory.actor(instance)
            if actor is not None and (self._house.directory.endpoints(instance) or not actor.is_alive()):
                # One that lives and has none is still being made: creations.py looks after it.
                self.tell(instance, tidings.Ping())
                if self._owes(actor.actor_urn, former, now, STUCK_S):
                    stuck.append(instance)
            for urn, endpoint in webhooks.ping().items():
                if self._owes(urn, former, now, STUCK_S + self._house.config.webhook_timeout_s):
                    log.error("deliveries hang", action="webhook_stuck", instance=instance, endpoint=endpoint)
                    self._give_up_webhook(instance, endpoint)
        return stuck

    def _owes(self, urn: str, former: Mapping[str, float], now: float, patience_s: float) -> bool:
        """Whether it has not answered for too long; then it has the same time again."""
        since = former.get(urn, now)
        if is_stuck := now - since > patience_s:
            since = now
        self._unanswered[urn] = since
        return is_stuck

    def answered(self, urn: str) -> None:
        """This actor has given a sign of life."""
        self._unanswered.pop(urn, None)

    def stop_webhooks(self) -> None:
        """Have deliveries end with their present attempt; does not wait."""
        for webhooks in self._webhooks.values():
            webhooks.stop()

    def stop_all(self, deadline: float) -> None:
        """Have the instances finish their mail, and wait for everybody until the deadline."""
        actors = [self._house.directory.actor(instance) for instance in self._webhooks]
        for actor in actors:
            if actor is not None:
                actor.stop(block=False)
        for actor in actors:
            if actor is not None and not ended(actor).wait(max(0.0, deadline - time.monotonic())):
                log.warning("an actor did not end in time", action="actor_left", actor=str(actor))
        for instance, webhooks in self._webhooks.items():
            if not webhooks.have_ended(deadline):
                log.warning("deliveries did not end in time", action="actor_left", instance=instance)

    def _start_webhook(self, instance: str, name: str, endpoint: str) -> Ref:
        """Runs in the instance's thread, or in the supervisor's."""
        house, supervisor = self._house, self._house.supervisor

        return WebhookActor.start(
            instance,
            name,
            endpoint,
            store=house.store,
            alarms=house.alarms,
            config=house.config,
            settings=lambda: find(house.directory.endpoints(instance), endpoint),
            keys=Credentials(house.vault, instance, endpoint).keys,
            report=lambda told: self.tell(
                instance,
                tidings.Settled(verdicts=tuple(RecordVerdict(verdict=each, round=turn) for each, turn in told)),
            ),
            drained=lambda: supervisor.tell(tidings.Drained(instance=instance, endpoint=endpoint)),
            disabled=lambda reason, since: self.tell(
                instance, DisableEndpoint(endpoint=endpoint, reason=reason, since=since)
            ),
            failed=lambda: supervisor.tell(tidings.WebhookFailed(instance=instance, endpoint=endpoint)),
            alive=lambda urn: supervisor.tell(tidings.Pong(urn=urn)),
            observe=house.latencies.observe_post,
        )
