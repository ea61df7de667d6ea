"""Does what committed events ask for (effects.py): with sockets, callers, files and receivers."""

from collections.abc import Callable
from typing import assert_never

from chatbot_erp.actors import effects, frames, tidings
from chatbot_erp.actors.callers import Callers
from chatbot_erp.actors.downloads import Downloads
from chatbot_erp.actors.house import House
from chatbot_erp.actors.media_specs import KINDS
from chatbot_erp.actors.outbox import Outbox
from chatbot_erp.actors.state import State, pacing_of
from chatbot_erp.actors.webhooks import Webhooks
from chatbot_erp.eventstore.events import MessageSent

SAID_BY_HAND = frozenset({"text", "voice"})
"""Kinds of messages that take a person time."""


class Deeds:
    """Of one actor, in its thread. `order(order)` says whether the host took it; `unsent(command_id)` is told of one
    that has not left."""

    def __init__(
        self,
        instance: str,
        house: House,
        webhooks: Webhooks,
        callers: Callers,
        downloads: Downloads,
        *,
        order: Callable[[frames.Order], bool],
        unsent: Callable[[str], None],
    ) -> None:
        self._id = instance
        self._supervisor = house.supervisor
        self._outbox = Outbox(house.config)
        self._webhooks = webhooks
        self._callers = callers
        self._downloads = downloads
        self._order = order
        self._unsent = unsent

    def do(self, effect: effects.Effect, state: State) -> None:
        """`state` is that after all that is stored."""
        match effect:
            case effects.OpenSocket(generation=generation, pairing=pairing, session_from=session_from):
                self._supervisor.tell(
                    tidings.PlaceSocket(
                        instance=self._id, generation=generation, pairing=pairing, session_from=session_from
                    )
                )
            case effects.EndSocket(unlink=unlink, erase=erase, farewell=farewell):
                self._supervisor.tell(
                    tidings.EndSocketOf(instance=self._id, unlink=unlink, erase=erase, farewell=farewell)
                )
            case effects.AskForHealing(cause=cause, retry_at=retry_at):
                self._supervisor.tell(tidings.SocketLost(instance=self._id, cause=cause, retry_at=retry_at))
            case effects.ReportHealth():
                self._supervisor.tell(tidings.SocketHealthy(instance=self._id))
            case effects.Transmit():
                self._transmit(effect, state)
            case effects.AnswerCaller(verdict=verdict):
                if not isinstance(verdict, MessageSent) or verdict.kind in KINDS:
                    self._outbox.remove(verdict.command_id)
                self._callers.tell_verdict(verdict)
            case effects.KeepMedia(message_id=message_id, raw=raw):
                self._downloads.keep(message_id, raw)
            case effects.AdjustDelivery(endpoint=endpoint):
                self._webhooks.adjust(endpoint_ids(state))
                self._webhooks.retry(endpoint)
            case effects.Retire():
                self._webhooks.finish()
            case _:
                assert_never(effect)

    def _transmit(self, effect: effects.Transmit, state: State) -> None:
        order = frames.Transmit(
            instance=self._id,
            command_id=effect.command_id,
            to=effect.to,
            text=effect.parts.text,
            kind=effect.parts.kind,
            content=bytes(effect.parts.content).decode(),
            typing_s=pacing_of(state).typing_s if effect.parts.kind in SAID_BY_HAND else 0.0,
            file=str(self._outbox.path(effect.command_id).absolute()) if effect.parts.kind in KINDS else "",
        )
        if not self._order(order):
            self._unsent(effect.command_id)


def endpoint_ids(state: State) -> tuple[str, ...]:
    """Where an instance in this state delivers to."""
    return tuple(endpoint.id for endpoint in state.endpoints) if state is not None else ()
