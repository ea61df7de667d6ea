"""What an instance is at one moment: the fold of its events, and nothing else."""

from datetime import datetime

import msgspec

from chatbot_erp.actors.endpoint import Endpoint, Endpoints, evolve_endpoints
from chatbot_erp.actors.pacing import UNPACED, Pacing
from chatbot_erp.actors.statuses import status_after
from chatbot_erp.actors.supervision import SESSION_DESTROYED, TIMED
from chatbot_erp.eventstore.events import (
    Event,
    InstanceConnected,
    InstanceCreated,
    InstanceDisconnected,
    InstanceInvalidated,
    InstancePaired,
    InstanceRemoved,
    InstanceRestarted,
    MessageAccepted,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageSent,
    PacingConfigured,
    Status,
    StatusEvent,
)
from chatbot_erp.eventstore.records import MAIN

MADE_BY_ITSELF = frozenset({"paired", "manager_started", "host_recycled"})
"""Causes of a new socket that are not counted as restarts."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who WhatsApp says this number is."""

    jid: str
    lid: str | None
    push_name: str


class Instance(msgspec.Struct, frozen=True, kw_only=True, tag="instance"):
    """A number that is managed here. `generation` counts its sockets; `pending` are sends without a verdict."""

    name: str
    endpoints: Endpoints
    status: Status
    reason: str | None
    since: datetime
    account: Account | None
    paired: bool
    session_from: str | None
    generation: int
    restarts: int
    pending: tuple[str, ...]
    pacing: Pacing = UNPACED
    retry_at: datetime | None = None
    """Before this moment WhatsApp wants to see no new attempt."""

    @property
    def webhook_url(self) -> str:
        """Where its first endpoint is."""
        return self.endpoints[0].url


class Farewell(msgspec.Struct, frozen=True, kw_only=True):
    """The socket that can unlink the device of a number that was removed, where none does so that is there."""

    generation: int
    session_from: str | None


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag="removed"):
    """A number that was managed here; its deliveries may still be under way."""

    name: str
    endpoints: Endpoints
    reason: str
    since: datetime
    farewell: Farewell | None = None

    @property
    def webhook_url(self) -> str:
        """Where its first endpoint was."""
        return self.endpoints[0].url


State = Instance | Removed | None
"""None: nothing has happened yet."""

encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(Instance | Removed).decode


def evolve(state: State, event: Event, at: datetime) -> State:
    """The state after `event`, which was recorded at `at`. Total: an event never fails to fold."""
    match state, event:
        case None, InstanceCreated():
            return Instance(
                name=event.name,
                endpoints=(Endpoint(id=MAIN, url=event.webhook_url, since=at),),
                status=Status.INITIALIZING,
                reason=None,
                since=at,
                account=None,
                paired=event.session_from is not None,
                session_from=event.session_from,
                generation=1,
                restarts=0,
                pending=(),
            )
        case Instance(), InstanceRemoved(reason=reason, session_kept=kept):
            farewell = farewell_of(state) if reason == "deleted" and not kept else None
            return Removed(name=state.name, endpoints=state.endpoints, reason=reason, since=at, farewell=farewell)
        case Instance(), _:
            return evolve_live(state, event, at)
        case _:
            return state


def evolve_live(state: Instance, event: Event, at: datetime) -> Instance:
    """As `evolve`, for an instance that exists and goes on existing."""
    replace = msgspec.structs.replace
    match event:
        case InstanceRestarted(generation=generation, cause=cause):
            counted = 0 if cause in MADE_BY_ITSELF else 1
            fresh = replace(state, generation=generation, restarts=state.restarts + counted)
            return with_status(fresh, Status.INITIALIZING, None, at)
        case InstancePaired(jid=jid, lid=lid):
            return replace(state, paired=True, account=Account(jid=jid, lid=lid, push_name=""))
        case InstanceConnected(jid=jid, lid=lid, push_name=push_name):
            known = replace(state, paired=True, account=Account(jid=jid, lid=lid, push_name=push_name))
            return with_status(known, *status_after(event), at)
        case InstanceDisconnected(retry_at=retry_at):
            return replace(with_status(state, *status_after(event), at), retry_at=retry_at)
        case InstanceInvalidated(reason=reason):
            paired = state.paired and reason not in SESSION_DESTROYED
            return with_status(replace(state, paired=paired), *status_after(event), at)
        case StatusEvent():
            return with_status(state, *status_after(event), at)
        case PacingConfigured(per_minute=per_minute, burst=burst, typing_s=typing_s):
            return replace(state, pacing=Pacing(per_minute=per_minute, burst=burst, typing_s=typing_s))
        case MessageAccepted(command_id=command_id):
            return replace(state, pending=(*state.pending, command_id))
        case (
            MessageSent(command_id=command_id)
            | MessageFailed(command_id=command_id)
            | MessageOutcomeUnknown(command_id=command_id)
        ):
            return replace(state, pending=tuple(other for other in state.pending if other != command_id))
        case _:
            endpoints = evolve_endpoints(state.endpoints, event, at)
            return state if endpoints is state.endpoints else replace(state, endpoints=endpoints)


def farewell_of(state: Instance) -> Farewell | None:
    """How its device could be unlinked; None where it has no link, or WhatsApp wants to see no attempt of it."""
    if not state.paired or state.status is Status.INVALID or state.reason in TIMED:
        return None
    return Farewell(generation=state.generation + 1, session_from=state.session_from)


def pacing_of(state: State) -> Pacing:
    """How fast it sends."""
    return state.pacing if isinstance(state, Instance) else UNPACED


def with_status(state: Instance, status: Status, reason: str | None, at: datetime) -> Instance:
    """The same instance in another status since `at`; `since` stays where only the reason changed."""
    since = state.since if state.status is status else at
    return msgspec.structs.replace(state, status=status, reason=reason, since=since, retry_at=None)
