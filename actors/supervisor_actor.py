"""Starts, watches and heals instances and socket hosts. It is told of losses and decides by supervision.py's table.

Who does what for it, in its thread: lives.py has the actors, hosts.py the processes, openings.py opens sockets,
healing.py says when a restart is due, successors.py puts new actors in the place of others, recycling.py replaces
processes that have grown too large, moves.py lets instances go to other nodes and come from them. What is made of what
it sees is decided by watching.py.
"""

from collections.abc import Callable
from typing import Any

import pykka
import structlog

from chatbot_erp.actors import creations, tidings
from chatbot_erp.actors.commands import LoseSocket, RestartInstance
from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.healing import Healer
from chatbot_erp.actors.host_process import HostDeath
from chatbot_erp.actors.hosts import Carried, SocketHosts
from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.instance_mail import Mailbox
from chatbot_erp.actors.lives import Lives, Ref
from chatbot_erp.actors.moves import Moves
from chatbot_erp.actors.openings import Openings
from chatbot_erp.actors.recycling import Recycler
from chatbot_erp.actors.successors import Successors
from chatbot_erp.actors.supervision import TIMED
from chatbot_erp.actors.watching import comes_back, leads_nowhere, unheard_loss

log = structlog.get_logger()

LOOK_EVERY_S = 2.0
STAND_EVERY_LOOKS = 10
"""Each so many looks the library is asked how it sees its connections, and every actor for a sign of life."""

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
        self._successors = Successors(
            house, self._lives, self._hosts, self._openings, self._healer, is_moving=lambda each: self._moves.has(each)
        )
        self._moves = Moves(
            house, self._lives, self._hosts, here=self._successors.arrive, close=self._successors.close_quietly
        )
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
                self._successors.resume()
            case tidings.EndAll(hosts_until=hosts_until, actors_until=actors_until):
                self._end_all(hosts_until, actors_until)
            case _:
                # Nobody supervises the supervisor: what goes wrong with one number must not end it for all.
                try:
                    self._hear(message)
                    self._openings.unlink_next()
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
            case tidings.EndSocketOf(instance=instance, unlink=unlink, erase=erase, farewell=farewell):
                self._successors.end_socket(instance, unlink=unlink, erase=erase, farewell=farewell)
            case tidings.SocketIsClosed(instance=instance, host=host, unlinked=unlinked):
                self._hosts.closed(instance, host, unlinked=unlinked)
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
                    self._successors.replace(instance, "requested")
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
                    self._successors.forget(instance)
            case tidings.ForgetInstance(instance=instance):
                self._successors.forget(instance)
            case tidings.CreationDoubted(instance=instance, stopped=stopped):
                creations.settle(self._house, instance, stopped=stopped)
            case tidings.CreationSettled(instance=instance):
                if not self._ending and not self._lives.is_alive(instance):
                    self._successors.replace(instance, "actor_failed", is_settled=True)
            case tidings.Placements(mine=mine):
                if not self._ending:
                    self._moves.see(mine)
            case tidings.LookAtLeaving(instance=instance):
                if not self._ending:
                    self._moves.look(instance)
            case tidings.HandedOver(instance=instance):
                # Only now: it may have lost something until its actor had ended.
                self._healer.forget(instance)
                self._moves.given(instance)
            case tidings.Drain():
                self._drain()
            case _:
                raise TypeError(f"The supervisor cannot take {type(message).__name__}.")

    def _restart_as_planned(self, instance: str, cause: str) -> None:
        if cause in ("actor_failed", "actor_stuck"):
            self._successors.replace(instance, cause)
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

    def _look_at(self, slot: Carried, view: InstanceView, thoroughly: bool) -> None:
        cause = leads_nowhere(slot, view, qr_timeout_s=self._house.config.qr_timeout_s)
        if cause is not None:
            self._lives.tell(slot.instance, LoseSocket(generation=slot.generation, cause=cause))
        elif view.status in OPERATIONAL and thoroughly:
            self._lives.tell(slot.instance, tidings.RepeatDue())

    def _look_for_lost(self, view: InstanceView) -> None:
        if self._healer.has(view.id) or self._house.directory.is_coming(view.name):
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
