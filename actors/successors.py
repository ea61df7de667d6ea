"""Puts new actors in the place of others: of those that failed or hang, and of those of another life or node.

Used in the supervisor's thread only.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any, assert_never

import pykka
import structlog

from chatbot_erp.actors import creations, tidings
from chatbot_erp.actors.commands import DoubtPending, RestartInstance
from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.healing import Healer
from chatbot_erp.actors.hosts import SocketHosts
from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.lives import RESTORE_PATIENCE_S, Lives
from chatbot_erp.actors.openings import Openings
from chatbot_erp.actors.state import Farewell, Instance
from chatbot_erp.actors.supervision import TIMED, TRIED_AT_START
from chatbot_erp.actors.watching import Succession, helps_by_itself, succession

log = structlog.get_logger()


class Successors:
    """`is_moving(instance)` says of one that goes to another node, which needs nobody in its place here."""

    def __init__(
        self,
        house: House,
        lives: Lives,
        hosts: SocketHosts,
        openings: Openings,
        healer: Healer,
        *,
        is_moving: Callable[[str], bool],
    ) -> None:
        self._house = house
        self._lives = lives
        self._hosts = hosts
        self._openings = openings
        self._healer = healer
        self._is_moving = is_moving

    def replace(self, instance: str, cause: str, *, is_settled: bool = False) -> None:
        """A new actor in the old place. It goes on with the socket that there is, or has one made.

        One that the log does not know is forgotten, as soon as it `is_settled` that this is not to come. What another node
        has by now is left alone.
        """
        if self._is_moving(instance) or not self._house.store.company.has(instance):
            return
        state = self._lives.replace(instance)
        if state is None and not is_settled:
            creations.settle(self._house, instance)
            return
        if state is None:
            self.forget(instance)
            return
        log.warning("an actor was replaced", action="actor_replaced", instance=instance, cause=cause)
        self._house.tallies.count("actors_replaced", cause)
        if isinstance(state, Instance):
            self._succeed(instance, state)
        else:
            self._part_with(instance, state.farewell)

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

    def _part_with(self, instance: str, farewell: Farewell | None = None) -> None:
        """Do what the removal of this instance was to do, which may not have come to it. Twice does no harm."""
        ending = self._lives.farewell(instance)
        if farewell is not None and not self._hosts.sessions() & {instance, farewell.session_from}:
            # It was done.
            farewell = None
        if ending is not None:
            self.end_socket(instance, unlink=ending.unlink, erase=ending.erase, farewell=farewell)

    def forget(self, instance: str) -> None:
        """Nothing of it is left to do."""
        self._healer.forget(instance)
        self._openings.forget(instance)
        self._lives.forget(instance)

    def resume(self) -> None:
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

    def arrive(self, instance: str) -> None:
        """It has come from another node. It is shown as coming until it does not claim any more what was true there."""
        if (view := self._house.directory.seen(instance)) is not None:
            self._go_on(view)
        self._lives.tell(instance, tidings.Came())

    def close_quietly(self, instance: str) -> None:
        """Nobody hears of it: it goes to another node."""
        self._openings.forget(instance)
        self._hosts.close(instance)

    def end_socket(self, instance: str, *, unlink: bool, erase: bool, farewell: Farewell | None = None) -> None:
        """It wants no socket any more; see `SocketHosts.close`."""
        self._healer.cancel(instance)
        if self._openings.is_parting(instance):
            return
        waiting = self._openings.forget(instance)
        last = None
        if farewell is not None:
            last = tidings.PlaceSocket(
                instance=instance,
                generation=farewell.generation,
                pairing=False,
                session_from=farewell.session_from,
                farewell=True,
            )
        self._hosts.close(instance, unlink=unlink, erase=erase, farewell=last, waiting=waiting, for_good=True)
