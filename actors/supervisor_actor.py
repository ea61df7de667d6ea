"""Starts, watches and heals instances and socket hosts. It is told of losses and decides by supervision.py's table."""

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pykka
import structlog

from chatbot_erp.actors import tidings
from chatbot_erp.actors.alarms import Alarm
from chatbot_erp.actors.commands import DoubtPending, LoseSocket, RecordVerdict, RestartInstance
from chatbot_erp.actors.errors import NameTaken
from chatbot_erp.actors.host_process import HostDeath
from chatbot_erp.actors.hosts import SocketHosts
from chatbot_erp.actors.house import WEBHOOK_SECRET, House
from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.instance_actor import InstanceActor
from chatbot_erp.actors.rebuild import rebuild
from chatbot_erp.actors.state import Instance, State
from chatbot_erp.actors.supervision import REMEDIES, Healing, Remedy, plan
from chatbot_erp.actors.webhook_actor import Verdict, WebhookActor
from chatbot_erp.actors.webhook_mail import Finish
from chatbot_erp.eventstore.events import Status

log = structlog.get_logger()

LOOK_EVERY_S = 2.0
STAND_EVERY_LOOKS = 10
"""Each so many looks the library is asked how it sees its connections."""

OPENING_PATIENCE_S = 60.0
"""An instance that is still INITIALIZING by then has a socket that leads nowhere."""

PING_PATIENCE_S = 10.0
END_PATIENCE_S = 20.0

Ref = pykka.ActorRef[Any]
Build = Callable[[Ref], tuple[House, SocketHosts]]


@dataclass(frozen=True, slots=True)
class Planned:
    """A restart that is due later."""

    alarm: Alarm
    healing: Healing


class SupervisorActor(pykka.ThreadingActor):
    """The root of the tree. Those below it are told and asked; they only ever tell."""

    use_daemon_thread = True

    def __init__(self, build: Build) -> None:
        super().__init__()
        self._house, self._hosts = build(self.actor_ref)
        self._webhooks: dict[str, Ref] = {}
        self._healing: dict[str, Healing] = {}
        self._planned: dict[str, Planned] = {}
        self._looks = 0
        self._ending = False

    def on_start(self) -> None:
        self._look_again()

    def on_receive(self, message: object) -> object:
        match message:
            case tidings.Introduce():
                return self._house
            case tidings.StartInstance(instance=instance, name=name):
                return self._start(instance, name, None, 0)
            case tidings.ForgetInstance(instance=instance) | tidings.Drained(instance=instance):
                self._forget(instance)
            case tidings.Restore():
                return self._restore()
            case tidings.Resume():
                self._resume()
            case tidings.PlaceSocket():
                if not self._ending:
                    self._hosts.open(message)
            case tidings.EndSocketOf(instance=instance, unlink=unlink, erase=erase):
                self._cancel(instance)
                self._hosts.close(instance, unlink=unlink, erase=erase)
            case tidings.SocketIsClosed(instance=instance, host=host):
                self._hosts.closed(instance, host)
            case HostDeath():
                self._mourn(message)
            case tidings.SocketLost():
                self._heal(message)
            case tidings.SocketHealthy(instance=instance):
                self._cancel(instance)
            case tidings.RestartDue(instance=instance, cause=cause):
                self._restart(instance, cause)
            case tidings.RestartWanted(instance=instance):
                self._cancel(instance)
                self._healing.pop(instance, None)
                self._tell(instance, RestartInstance(cause="requested"))
            case tidings.ActorFailed(instance=instance):
                self._revive(instance)
            case tidings.WebhookFailed(instance=instance):
                self._replace_webhook(instance)
            case tidings.Look():
                self._look()
            case tidings.EndAll():
                self._end_all()
            case _:
                raise TypeError(f"The supervisor cannot take {type(message).__name__}.")
        return None

    # instances

    def _start(self, instance: str, name: str, state: State, version: int) -> Ref:
        """Start the two actors of an instance and see them alive. Raises `NameTaken`."""
        listed = state is None or isinstance(state, Instance)
        webhook = self._webhooks.get(instance) or self._start_webhook(instance, name)
        actor: Ref = InstanceActor.start(instance, self._house, webhook, state, version)
        self._webhooks[instance] = webhook
        try:
            self._house.directory.enter(instance, name, actor, listed=listed)
            actor.ask(tidings.Introduce(), timeout=PING_PATIENCE_S)
        except NameTaken:
            actor.stop(block=False)
            self._webhooks.pop(instance).stop(block=False)
            raise
        if state is not None and not listed:
            webhook.tell(Finish())
        return actor

    def _start_webhook(self, instance: str, name: str) -> Ref:
        house, supervisor = self._house, self.actor_ref

        def secrets() -> tuple[str, ...]:
            secret = house.vault.get(WEBHOOK_SECRET, instance)
            return (secret.decode(),) if secret is not None else ()

        def report(verdict: Verdict) -> None:
            if actor := house.directory.actor(instance):
                with contextlib.suppress(pykka.ActorDeadError):
                    actor.tell(RecordVerdict(verdict=verdict))

        return WebhookActor.start(
            instance,
            name,
            store=house.store,
            alarms=house.alarms,
            config=house.config,
            url=lambda: house.directory.webhook_url(instance),
            secrets=secrets,
            report=report,
            drained=lambda: supervisor.tell(tidings.Drained(instance=instance)),
            failed=lambda: supervisor.tell(tidings.WebhookFailed(instance=instance)),
        )

    def _forget(self, instance: str) -> None:
        self._cancel(instance)
        self._healing.pop(instance, None)
        actor = self._house.directory.actor(instance)
        self._house.directory.leave(instance)
        for ref in (actor, self._webhooks.pop(instance, None)):
            if ref is not None:
                ref.stop(block=False)
        self._house.vault.delete(WEBHOOK_SECRET, instance)

    def _restore(self) -> int:
        """Bring back every instance that is not removed, and the deliveries of those that are."""
        heads = self._house.store.open_streams()
        for head in heads:
            state = rebuild(self._house.store, head)
            if state is not None:
                self._start(head.stream, state.name, state, head.version)
        return len(heads)

    def _resume(self) -> None:
        """Returns when no instance claims any more what was true in the last life."""
        answers = []
        for view in self._house.directory.views():
            self._tell(view.id, DoubtPending(cause="manager_restarted"))
            remedy = REMEDIES.get(view.reason or "", Remedy.RESTART_NOW)
            actor = self._house.directory.actor(view.id)
            if actor is not None and remedy not in (Remedy.NONE, Remedy.AWAIT_PERSON):
                answers.append(actor.ask(RestartInstance(cause="manager_started"), block=False))
        for answer in answers:
            answer.get(timeout=PING_PATIENCE_S)

    def _revive(self, instance: str) -> None:
        """A new actor in the old place, with the state as the log has it."""
        if self._ending:
            return
        for head in self._house.store.open_streams():
            if head.stream == instance:
                state = rebuild(self._house.store, head)
                if state is None:
                    break
                log.warning("an actor is replaced", action="actor_replaced", instance=instance)
                self._start(instance, state.name, state, head.version)
                if self._hosts.has(instance):
                    self._tell(instance, tidings.RepeatDue())
                elif isinstance(state, Instance):
                    self._tell(instance, RestartInstance(cause="actor_failed"))
                return
        self._forget(instance)

    def _replace_webhook(self, instance: str) -> None:
        """A new webhook actor; the instance's own actor is replaced too, because it holds the old one."""
        if self._webhooks.pop(instance, None) is not None and not self._ending:
            if actor := self._house.directory.actor(instance):
                actor.stop(block=False)
            self._revive(instance)

    # losses

    def _mourn(self, death: HostDeath) -> None:
        cause, lost = self._hosts.gone(death.name)
        if self._ending:
            return
        if lost:
            log.warning(
                "a socket host died",
                action="host_died",
                host=death.name,
                exit_code=death.exit_code,
                signal=death.signal,
                numbers=len(lost),
                stderr_tail=death.stderr_tail[-2000:],
            )
        for each in lost:
            self._tell(each.instance, LoseSocket(generation=each.generation, cause=cause))

    def _heal(self, lost: tidings.SocketLost) -> None:
        if self._ending:
            return
        self._cancel(lost.instance)
        wait_s = None
        if lost.retry_at is not None:
            wait_s = max(0.0, (lost.retry_at - self._house.now()).total_seconds())
        healing = self._healing.get(lost.instance, Healing())
        decided = plan(lost.cause, healing, now=time.monotonic(), draw=random.random(), wait_s=wait_s)
        if decided.delay_s is None:
            self._hosts.close(lost.instance)
            return
        due = tidings.RestartDue(instance=lost.instance, cause=lost.cause)
        alarm = self._house.alarms.set(decided.delay_s, lambda: self.actor_ref.tell(due))
        self._planned[lost.instance] = Planned(alarm, decided.healing)

    def _restart(self, instance: str, cause: str) -> None:
        planned = self._planned.pop(instance, None)
        if planned is None or self._ending:
            return
        self._healing[instance] = planned.healing
        self._tell(instance, RestartInstance(cause=cause))

    def _cancel(self, instance: str) -> None:
        if planned := self._planned.pop(instance, None):
            planned.alarm.cancel()

    # watching

    def _look(self) -> None:
        if self._ending:
            return
        self._looks += 1
        self._hosts.look()
        views = {view.id: view for view in self._house.directory.views()}
        for slot in self._hosts.open_slots():
            view = views.get(slot.instance)
            if view is None:
                continue
            age_s = (self._house.now() - view.since).total_seconds()
            if view.status is Status.INITIALIZING and age_s > OPENING_PATIENCE_S:
                self._tell(slot.instance, LoseSocket(generation=slot.generation, cause="socket_failed"))
            elif view.status in OPERATIONAL and self._looks % STAND_EVERY_LOOKS == 0:
                self._tell(slot.instance, tidings.RepeatDue())
        self._look_again()

    def _look_again(self) -> None:
        self._house.alarms.set(LOOK_EVERY_S, lambda: self.actor_ref.tell(tidings.Look()))

    def _tell(self, instance: str, message: object) -> None:
        """Tell an instance; one that is gone needs nothing any more, one that failed is revived from the log."""
        actor = self._house.directory.actor(instance)
        if actor is None:
            return
        with contextlib.suppress(pykka.ActorDeadError):
            actor.tell(message)

    # the end

    def _end_all(self) -> None:
        """Webhooks end with their present attempt, sockets without logout, instances with an empty mailbox."""
        self._ending = True
        for instance in list(self._planned):
            self._cancel(instance)
        for webhook in self._webhooks.values():
            webhook.stop(block=False)
        self._hosts.end_all(END_PATIENCE_S)
        actors = [self._house.directory.actor(instance) for instance in self._webhooks]
        for actor in actors:
            if actor is not None:
                actor.stop(block=False)
        for ref in (*actors, *self._webhooks.values()):
            if ref is not None:
                ref.actor_stopped.wait(END_PATIENCE_S)
