"""Starts, watches and heals instances and socket hosts. It is told of losses and decides by supervision.py's table.

Who does what for it, in its thread: lives.py has the actors, hosts.py the processes, openings.py opens sockets,
healing.py says when a restart is due, recycling.py replaces processes that have grown too large, moves.py lets instances
go to other nodes and come from them. What is made of what it sees is decided by watching.py.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any, assert_never

import pykka
import structlog

from chatbot_erp.actors import creations, tidings
from chatbot_erp.actors.commands import DoubtPending, LoseSocket, RestartInstance
from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.healing import Healer
from chatbot_erp.actors.host_process import HostDeath
from chatbot_erp.actors.hosts import Lost, SocketHosts
from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.instance_mail import Mailbox
from chatbot_erp.actors.lives import RESTORE_PATIENCE_S, Lives, Ref
from chatbot_erp.actors.moves import Moves
from chatbot_erp.actors.openings import Openings
from chatbot_erp.actors.recycling import Recycler
from chatbot_erp.actors.state import Instance
from chatbot_erp.actors.supervision import TIMED, TRIED_AT_START
from chatbot_erp.actors.watching import (
    Succession,
    comes_back,
    helps_by_itself,
    leads_nowhere,
    succession,
    unheard_loss,
)

log = structlog.get_logger()

LOOK_EVERY_S = 2.0
STAND_EVERY_LOOKS = 10
"""Each so many looks the library is asked how it sees its connections, and every actor for a sign of life."""

ARRIVAL_PATIENCE_S = 5.0

Build = Callable[[Ref], tuple[House, SocketHosts]]


class SupervisorActor(pykka.ThreadingActor):
    """The root of the tree. Those below it are told and asked; they only ever tell."""

    use_daemon_thread = True

    def __init__(self, build: Build) -> None:
        super().__init__()
        self._house, self._hosts = build(self.actor_ref)
        house, tell = self._house, self.actor_ref.tell
        self._lives = Lives(house)
        self._openings = Openings(house, self._hosts, self._lives.tell)
        self._healer = Healer(
            alarms=house.alarms,
            now=house.now,
            due=lambda instance, number: tell(tidings.RestartDue(instance=instance, number=number)),
            show=house.directory.plan,
            tallies=house.tallies,
            qr_attempts=house.config.qr_attempts,
        )
        self._recycler = Recycler(
            self._hosts,
            lambda instance: self._restart(instance, "host_recycled"),
            most_bytes=house.config.host_memory_bytes,
            most_descriptors=house.config.host_descriptors,
            comes_back=self._comes_back,
        )
        self._moves = Moves(house, self._lives, self._hosts, here=self._begin, close=self._close_quietly)
        self._looks = 0
        self._ending = False

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Mailbox()

    def on_start(self) -> None:
        self._look_again()

    def on_receive(self, message: object) -> object:
        match message:
            case tidings.Introduce():
                return self._house
            case tidings.StartInstance(instance=instance, name=name):
                return self._lives.start(instance, name, None, 0)
            case tidings.Restore():
                return self._lives.restore()
            case tidings.Resume():
                self._resume()
            case tidings.EndAll(hosts_until=hosts_until, actors_until=actors_until):
                self._end_all(hosts_until, actors_until)
            case _:
                # Nobody supervises the supervisor: what goes wrong with one number must not end it for all.
                try:
                    self._hear(message)
                    self._openings.report_unplaced()
                except Exception:
                    log.exception("the supervisor stumbled", action="supervisor_stumbled", over=type(message).__name__)
                    self._house.tallies.count("supervisor_stumbles")
        return None

    def _hear(self, message: object) -> None:
        match message:
            case tidings.Look():
                self._look()
            case tidings.Pong(urn=urn):
                self._lives.answered(urn)
            case tidings.PlaceSocket(instance=instance):
                if not self._moves.has(instance):
                    self._openings.place(message)
            case tidings.StartsDue():
                self._openings.go_on()
            case tidings.EndSocketOf(instance=instance, unlink=unlink, erase=erase):
                self._end_socket(instance, unlink=unlink, erase=erase)
            case tidings.SocketIsClosed(instance=instance, host=host):
                self._hosts.closed(instance, host)
            case HostDeath():
                self._openings.mourn(message)
            case tidings.SocketLost(instance=instance, cause=cause, retry_at=retry_at):
                if not self._ending and (not self._healer.lose(instance, cause, retry_at) or cause in TIMED):
                    # Also where it waits for its time: what happens to its host in the meantime is not its business.
                    self._hosts.close(instance)
            case tidings.SocketHealthy(instance=instance):
                self._healer.healthy(instance)
                self._recycler.healthy(instance)
            case tidings.RestartDue(instance=instance, number=number):
                if not self._ending and (due := self._healer.begin(instance, number)) is not None:
                    self._restart_as_planned(instance, due)
            case tidings.RestartWanted(instance=instance):
                self._healer.forget(instance)
                if not self._lives.is_alive(instance):
                    self._replace(instance, "requested")
                self._restart(instance, "requested")
            case tidings.ActorFailed(instance=instance, urn=urn):
                if not self._ending and self._lives.is_current(instance, urn):
                    self._healer.lose(instance, "actor_failed")
            case tidings.WebhookFailed(instance=instance, endpoint=endpoint):
                self._lives.webhook_failed(instance, endpoint)
            case tidings.WebhookDue(instance=instance, endpoint=endpoint, cause=cause):
                if not self._ending and self._lives.replace_webhook(instance, endpoint):
                    self._house.tallies.count("actors_replaced", cause)
            case tidings.Drained(instance=instance, endpoint=endpoint):
                if self._lives.drained(instance, endpoint):
                    self._forget(instance)
            case tidings.ForgetInstance(instance=instance):
                self._forget(instance)
            case tidings.CreationDoubted(instance=instance):
                creations.settle(self._house, instance)
            case tidings.CreationSettled(instance=instance):
                if not self._ending and self._house.directory.seen(instance) is None:
                    self._replace(instance, "actor_failed", is_settled=True)
            case tidings.Placements(mine=mine):
                if not self._ending:
                    self._moves.see(mine)
            case tidings.LookAtLeaving(instance=instance):
                if not self._ending:
                    self._moves.look(instance)
            case tidings.HandedOver(instance=instance):
                self._moves.given(instance)
            case tidings.Drain():
                self._drain()
            case _:
                raise TypeError(f"The supervisor cannot take {type(message).__name__}.")

    # sockets

    def _end_socket(self, instance: str, *, unlink: bool, erase: bool) -> None:
        self._healer.cancel(instance)
        self._openings.forget(instance)
        self._hosts.close(instance, unlink=unlink, erase=erase)

    def _restart_as_planned(self, instance: str, cause: str) -> None:
        if cause in ("actor_failed", "actor_stuck"):
            self._replace(instance, cause)
        else:
            self._restart(instance, cause)

    def _restart(self, instance: str, cause: str) -> None:
        if self._moves.has(instance):
            return
        self._house.tallies.count("restarts", cause)
        self._lives.tell(instance, RestartInstance(cause=cause))

    def _comes_back(self, instance: str) -> bool:
        quarantined = self._healer.is_quarantined(instance)
        return comes_back(self._house.directory.seen(instance), quarantined=quarantined)

    # actors

    def _replace(self, instance: str, cause: str, *, is_settled: bool = False) -> None:
        """A new actor in the old place. It goes on with the socket that there is, or has one made.

        One that the log does not know is forgotten, as soon as it `is_settled` that this is not to come.
        """
        if self._moves.has(instance):
            return
        state = self._lives.replace(instance)
        if state is None and not is_settled:
            creations.settle(self._house, instance)
            return
        if state is None:
            self._forget(instance)
            return
        log.warning("an actor was replaced", action="actor_replaced", instance=instance, cause=cause)
        self._house.tallies.count("actors_replaced", cause)
        if isinstance(state, Instance):
            self._succeed(instance, state)
        else:
            self._part_with(instance)

    def _succeed(self, instance: str, state: Instance) -> None:
        match succession(state, has_socket=self._openings.has(instance)):
            case Succession.ORDER_SOCKET:
                self._openings.place(
                    tidings.PlaceSocket(
                        instance=instance,
                        generation=state.generation,
                        pairing=not state.paired,
                        session_from=state.session_from,
                    )
                )
                self._lives.tell(instance, tidings.RepeatDue())
            case Succession.KEEP_SOCKET:
                if state.status in OPERATIONAL:
                    # Nobody else will say so of a connection that stands: without it nothing would ever be forgiven.
                    self._healer.healthy(instance)
                self._lives.tell(instance, tidings.RepeatDue())
            case Succession.AWAIT_TIME:
                self._healer.lose(instance, state.reason or "", state.retry_at)
            case Succession.RESTART:
                self._lives.tell(instance, RestartInstance(cause="actor_failed"))
            case Succession.REST:
                pass
            case other:
                assert_never(other)

    def _part_with(self, instance: str) -> None:
        """Do what the removal of this instance was to do, which may not have come to it. Twice does no harm."""
        ending = self._lives.farewell(instance)
        if ending is not None:
            self._end_socket(instance, unlink=ending.unlink, erase=ending.erase)

    def _forget(self, instance: str) -> None:
        self._healer.forget(instance)
        self._openings.forget(instance)
        self._lives.forget(instance)

    def _resume(self) -> None:
        """Returns when no instance claims any more what was true in the last life."""
        views = self._house.directory.views()
        # The last life may have ended after a removal, and before the session was erased.
        for instance in self._hosts.sessions() - {view.id for view in views} - self._house.directory.missing():
            self._part_with(instance)
        answers = [answer for view in views if (answer := self._go_on(view)) is not None]
        deadline = time.monotonic() + RESTORE_PATIENCE_S
        for answer in answers:
            # Who does not answer is replaced in time, as everybody who hangs or fails.
            with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError):
                answer.get(timeout=max(0.0, deadline - time.monotonic()))

    def _go_on(self, view: InstanceView) -> Any:
        """Have an instance go on where it was in another life; the answer where a new socket is wanted."""
        self._lives.tell(view.id, DoubtPending(cause="manager_restarted"))
        if view.reason in TIMED:
            self._healer.lose(view.id, view.reason or "", view.retry_at)
        elif helps_by_itself(view.reason) or view.reason in TRIED_AT_START:
            actor: Any = self._house.directory.actor(view.id)
            return actor.ask(RestartInstance(cause="manager_started"), block=False)
        return None

    def _begin(self, instance: str) -> None:
        """It has come from another node. Returns when it does not claim any more what was true there."""
        view = self._house.directory.seen(instance)
        if view is not None:
            with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError):
                if (answer := self._go_on(view)) is not None:
                    answer.get(timeout=ARRIVAL_PATIENCE_S)

    def _close_quietly(self, instance: str) -> None:
        """Nobody hears of it: it goes to another node."""
        self._healer.forget(instance)
        self._openings.forget(instance)
        self._hosts.close(instance)

    # watching

    def _look(self) -> None:
        if self._ending:
            return
        self._look_again()
        self._house.pulse.beat(self._hosts.vitals())
        self._looks += 1
        thoroughly = self._looks % STAND_EVERY_LOOKS == 0
        self._hosts.look()
        self._recycler.look()
        views = {view.id: view for view in self._house.directory.views()}
        for slot in self._hosts.open_slots():
            if view := views.get(slot.instance):
                self._look_at(slot, view, thoroughly)
        if thoroughly:
            for view in views.values():
                self._look_for_lost(view)
            for instance in self._lives.ping():
                log.error("an actor hangs", action="actor_stuck", instance=instance)
                self._healer.lose(instance, "actor_stuck")

    def _look_at(self, slot: Lost, view: InstanceView, thoroughly: bool) -> None:
        cause = leads_nowhere(slot, view, qr_timeout_s=self._house.config.qr_timeout_s)
        if cause is not None:
            self._lives.tell(slot.instance, LoseSocket(generation=slot.generation, cause=cause))
        elif view.status in OPERATIONAL and thoroughly:
            self._lives.tell(slot.instance, tidings.RepeatDue())

    def _look_for_lost(self, view: InstanceView) -> None:
        if self._healer.has(view.id):
            return
        age_s = (self._house.now() - view.since).total_seconds()
        cause = unheard_loss(view, age_s=age_s, has_socket=self._openings.has(view.id))
        if cause is not None:
            self._healer.lose(view.id, cause, view.retry_at)

    def _look_again(self) -> None:
        self._house.alarms.set(LOOK_EVERY_S, lambda: self.actor_ref.tell(tidings.Look()))

    # the end

    def _drain(self) -> None:
        self._ending = True
        self._openings.stop()
        self._healer.stop()
        self._lives.stop_webhooks()

    def _end_all(self, hosts_until: float, actors_until: float) -> None:
        """Webhooks end with their present attempt, sockets without logout, instances with an empty mailbox."""
        self._drain()
        self._hosts.end_all(hosts_until)
        self._lives.stop_all(actors_until)
