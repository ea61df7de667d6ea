"""What an instance is at one moment: the fold of its events, and nothing else."""

from datetime import datetime

import msgspec

from chatbot_erp.actors.supervision import SESSION_DESTROYED
from chatbot_erp.eventstore.events import (
    Event,
    InstanceConnected,
    InstanceCreated,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceInvalidated,
    InstancePaired,
    InstanceRecovered,
    InstanceRemoved,
    InstanceRestarted,
    MessageAccepted,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageSent,
    PairingOffered,
    Status,
    WebhookUrlChanged,
)

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
    webhook_url: str
    status: Status
    reason: str | None
    since: datetime
    account: Account | None
    paired: bool
    session_from: str | None
    generation: int
    restarts: int
    pending: tuple[str, ...]
    retry_at: datetime | None = None
    """Before this moment WhatsApp wants to see no new attempt."""


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag="removed"):
    """A number that was managed here; its deliveries may still be under way."""

    name: str
    webhook_url: str
    reason: str
    since: datetime


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
                webhook_url=event.webhook_url,
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
        case Instance(), InstanceRemoved(reason=reason):
            return Removed(name=state.name, webhook_url=state.webhook_url, reason=reason, since=at)
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
        case PairingOffered():
            return with_status(state, Status.SCAN_QR_CODE, None, at)
        case InstancePaired(jid=jid, lid=lid):
            return replace(state, paired=True, account=Account(jid=jid, lid=lid, push_name=""))
        case InstanceConnected(jid=jid, lid=lid, push_name=push_name):
            known = replace(state, paired=True, account=Account(jid=jid, lid=lid, push_name=push_name))
            return with_status(known, Status.CONNECTED, None, at)
        case InstanceDegraded():
            return with_status(state, Status.DEGRADED, "partial_ack", at)
        case InstanceRecovered():
            return with_status(state, Status.CONNECTED, None, at)
        case InstanceDisconnected(reason=reason, retry_at=retry_at):
            return replace(with_status(state, Status.DISCONNECTED, reason, at), retry_at=retry_at)
        case InstanceInvalidated(reason=reason):
            paired = state.paired and reason not in SESSION_DESTROYED
            return with_status(replace(state, paired=paired), Status.INVALID, reason, at)
        case WebhookUrlChanged(webhook_url=url):
            return replace(state, webhook_url=url)
        case MessageAccepted(command_id=command_id):
            return replace(state, pending=(*state.pending, command_id))
        case (
            MessageSent(command_id=command_id)
            | MessageFailed(command_id=command_id)
            | MessageOutcomeUnknown(command_id=command_id)
        ):
            return replace(state, pending=tuple(other for other in state.pending if other != command_id))
        case _:
            return state


def with_status(state: Instance, status: Status, reason: str | None, at: datetime) -> Instance:
    """The same instance in another status since `at`; `since` stays where only the reason changed."""
    since = state.since if state.status is status else at
    return msgspec.structs.replace(state, status=status, reason=reason, since=since, retry_at=None)
