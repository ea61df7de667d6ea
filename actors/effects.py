"""What a committed event makes an instance's shell do to the world.

An effect may run twice (a restart of the actor repeats the last one): each says why that is harmless.
"""

from datetime import datetime

import msgspec

from chatbot_erp.actors.contents import Parts
from chatbot_erp.actors.media_specs import KINDS
from chatbot_erp.actors.state import Farewell, Instance, Removed, State
from chatbot_erp.eventstore.events import (
    EndpointConfigured,
    EndpointDisabled,
    EndpointEnabled,
    EndpointRemoved,
    EndpointReplayed,
    EndpointSecretRotated,
    Event,
    InstanceConnected,
    InstanceCreated,
    InstanceDisconnected,
    InstanceInvalidated,
    InstanceRemoved,
    InstanceRestarted,
    MessageAccepted,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageReceived,
    MessageSent,
)
from chatbot_erp.eventstore.records import MAIN


class OpenSocket(msgspec.Struct, frozen=True, kw_only=True):
    """Have the supervisor place and open a socket. A second order for the same generation is ignored there."""

    generation: int
    pairing: bool
    session_from: str | None


class EndSocket(msgspec.Struct, frozen=True, kw_only=True):
    """Have the supervisor close the socket, then erase the session. Ending what has ended does nothing."""

    unlink: bool
    erase: bool
    farewell: Farewell | None = None


class Transmit(msgspec.Struct, frozen=True, kw_only=True):
    """Hand a message to the socket. Never repeated: after a restart the pending send is declared unknown instead."""

    command_id: str
    to: str
    parts: Parts


class AnswerCaller(msgspec.Struct, frozen=True, kw_only=True):
    """Tell whoever waits for this send. Nobody waits twice."""

    verdict: MessageSent | MessageFailed | MessageOutcomeUnknown


class AskForHealing(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the supervisor of a loss. It keeps one plan per instance."""

    cause: str
    retry_at: datetime | None


class ReportHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the supervisor that the socket is open: plans to restart it are void."""


class AdjustDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """Have deliveries go by the present settings, to one endpoint at once. Settings are looked up when it is done."""

    endpoint: str = MAIN


class KeepMedia(msgspec.Struct, frozen=True, kw_only=True):
    """Fetch the file of a message ahead, where that is wanted. One that is there already is not fetched again."""

    message_id: str
    raw: msgspec.Raw


class Retire(msgspec.Struct, frozen=True, kw_only=True):
    """The instance is removed: its name is free. The actor stays only until its deliveries are settled."""


Effect = (
    OpenSocket
    | EndSocket
    | Transmit
    | AnswerCaller
    | AskForHealing
    | ReportHealth
    | AdjustDelivery
    | KeepMedia
    | Retire
)


def follow_up(event: Event, state: State) -> tuple[Effect, ...]:
    """What a just committed event makes the shell do; `state` is the state after all events of the decision."""
    match event, state:
        case ((InstanceCreated() | InstanceRestarted()), Instance()):
            opening = OpenSocket(generation=state.generation, pairing=not state.paired, session_from=state.session_from)
            return (AdjustDelivery(), opening) if isinstance(event, InstanceCreated) else (opening,)
        case InstanceConnected(), _:
            return (ReportHealth(),)
        case InstanceDisconnected(reason=reason, retry_at=retry_at), Instance():
            return (AskForHealing(cause=reason, retry_at=retry_at),)
        case InstanceInvalidated(), _:
            return (EndSocket(unlink=False, erase=False),)
        case InstanceRemoved(reason=reason, session_kept=kept), _:
            farewell = state.farewell if isinstance(state, Removed) else None
            return (EndSocket(unlink=reason == "deleted" and not kept, erase=not kept, farewell=farewell), Retire())
        case (
            (
                EndpointConfigured()
                | EndpointRemoved()
                | EndpointDisabled()
                | EndpointEnabled()
                | EndpointSecretRotated()
                | EndpointReplayed()
            ),
            _,
        ):
            return (AdjustDelivery(endpoint=event.endpoint),)
        case MessageAccepted(command_id=command_id, number=number), _:
            parts = Parts(kind=event.kind, text=event.text, content=event.content)
            return (Transmit(command_id=command_id, to=number, parts=parts),)
        case ((MessageSent() | MessageFailed() | MessageOutcomeUnknown()), _):
            return (AnswerCaller(verdict=event),)
        case MessageReceived(message_id=message_id, kind=kind, raw=raw), Instance() if kind in KINDS:
            return (KeepMedia(message_id=message_id, raw=raw),)
        case _:
            return ()
