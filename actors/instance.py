"""The life of one WhatsApp number, without I/O, clock or randomness.

`decide(state, command)` answers what happens, as events, or raises why nothing may. `evolve` (state.py) folds one
event into the state; `follow_up` (effects.py) names what the shell (instance_actor.py) then does to the world.

    ─create─▶ INITIALIZING ──▶ SCAN_QR_CODE ─paired─▶ INITIALIZING ──▶ CONNECTED ◀──ack──▶ DEGRADED
                   ▲                  │                                    │                  │
                   └───── restart ── DISCONNECTED or INVALID ◀── loss ─────┴──────────────────┘   ─remove─▶ (gone)
"""

from datetime import datetime
from typing import assert_never

import msgspec

from chatbot_erp.actors import frames, people_frames
from chatbot_erp.actors.commands import (
    Command,
    ConfigurePacing,
    CreateInstance,
    DoubtPending,
    LoseSocket,
    MissMedia,
    Observed,
    RecordVerdict,
    RemoveInstance,
    RestartInstance,
    SendMessage,
)
from chatbot_erp.actors.contents import split
from chatbot_erp.actors.endpoint import decide_endpoint
from chatbot_erp.actors.errors import InstanceNotFound, InstanceNotOperational, NameTaken
from chatbot_erp.actors.media_frames import SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.phone_numbers import without_numbers
from chatbot_erp.actors.state import Instance, State
from chatbot_erp.actors.supervision import DEMANDED, INCURABLE, TIMED
from chatbot_erp.eventstore.events import (
    Ack,
    CallReceived,
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
    MediaMissed,
    MessageAccepted,
    MessageAcknowledged,
    MessageEdited,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageUndecryptable,
    PacingConfigured,
    PairingOffered,
    PingFailed,
    PingSent,
    Status,
)

OPERATIONAL = frozenset({Status.CONNECTED, Status.DEGRADED})
"""Where a message can be sent."""

REFUSALS = frozenset({"refused", "reachout_locked", "addressing_rejected", "too_many"})
"""Reasons for which WhatsApp itself did not take a message."""

Events = tuple[Event, ...]


def decide(state: State, command: Command) -> Events:
    """What happens when `command` meets `state`; nothing to do is `()`.

    Raises `NameTaken`, `InstanceNotFound` or `InstanceNotOperational`; then nothing has happened.
    """
    match command:
        case CreateInstance():
            if state is not None:
                raise NameTaken
            return (
                InstanceCreated(name=command.name, webhook_url=command.webhook_url, session_from=command.session_from),
            )
        case RecordVerdict(verdict=verdict):
            return (verdict,)
        case Observed() | LoseSocket() | DoubtPending() | MissMedia() if not isinstance(state, Instance):
            return ()
    if not isinstance(state, Instance):
        raise InstanceNotFound
    match command:
        case RestartInstance(cause=cause):
            return () if is_outdated(cause, state) else (restarted(state, cause),)
        case RemoveInstance(unlink=unlink):
            # What holds no device link any more, or not yet, is of no use to the next one of the name.
            kept = state.paired and not unlink
            return (*doubt(state, "removed"), InstanceRemoved(reason="deleted", session_kept=kept))
        case SendMessage(command_id=command_id, number=number, content=content):
            if state.status not in OPERATIONAL:
                raise InstanceNotOperational(f"The instance is {state.status}, not CONNECTED or DEGRADED.")
            said = split(content)
            return (
                MessageAccepted(
                    command_id=command_id, number=number, kind=said.kind, text=said.text, content=said.content
                ),
            )
        case ConfigurePacing(pacing=pacing):
            if pacing == state.pacing:
                return ()
            return (PacingConfigured(per_minute=pacing.per_minute, burst=pacing.burst, typing_s=pacing.typing_s),)
        case MissMedia(message_id=message_id, reason=reason):
            return (MediaMissed(message_id=message_id, reason=reason),)
        case LoseSocket(generation=generation, cause=cause):
            lost = lose(state, cause) if generation == state.generation else ()
            return (*doubt(state, cause), *lost)
        case DoubtPending(cause=cause):
            return doubt(state, cause)
        case Observed(observation=observation):
            if isinstance(observation, frames.Fact):
                return decide_fact(state, observation)
            return decide_turn(state, observation) if command.generation == state.generation else ()
        case _:
            return decide_endpoint(state.endpoints, command)


def decide_turn(state: Instance, seen: frames.Turn) -> Events:
    """What a turn in the socket's life means; only the present socket is believed."""
    match seen:
        case frames.SocketOfferedQr() | frames.SocketOfferedCode():
            # A socket that is given up may have one more code in its mouth.
            if state.status is not Status.INITIALIZING:
                return ()
            by_qr = isinstance(seen, frames.SocketOfferedQr)
            return (PairingOffered(previous=state.status, method="qr" if by_qr else "code"),)
        case frames.SocketPaired(jid=jid, lid=lid):
            return (InstancePaired(jid=jid, lid=lid), restarted(state, "paired"))
        case frames.SocketConnected(jid=jid, lid=lid, push_name=push_name):
            if state.status in OPERATIONAL:
                return ()
            return (InstanceConnected(previous=state.status, jid=jid, lid=lid, push_name=push_name),)
        case frames.SocketStands(connected=connected, logged_in=logged_in):
            return reconcile(state, connected=connected, logged_in=logged_in)
        case frames.SocketPairingExpired():
            return lose(state, "qr_expired")
        case frames.SocketDisconnected():
            return lose(state, "dropped")
        case frames.SocketEnded(cause=cause, retry_at=retry_at):
            return lose(state, cause, retry_at)
        case people_frames.SocketSawPresence(changed=changed):
            return (changed,)
        case frames.SocketPinged(message_id=message_id, error=""):
            return (PingSent(message_id=message_id),)
        case frames.SocketPinged(error=error):
            return (PingFailed(reason=error), *weigh(state, "", Ack.ERROR))
        case frames.SocketRefusedCode() | frames.SocketClosed() | SocketFetched() | SocketFailedToFetch():
            return ()
        case _:
            assert_never(seen)


def decide_fact(state: Instance, seen: frames.Fact) -> Events:
    """What WhatsApp will not tell twice is believed of whatever socket, even one that is gone."""
    match seen:
        case frames.SocketReceived():
            return (
                MessageReceived(
                    message_id=seen.message_id,
                    jid=seen.jid,
                    jid_alt=seen.jid_alt,
                    participant=seen.participant,
                    push_name=seen.push_name,
                    kind=seen.kind,
                    text=seen.text,
                    sent_at=seen.sent_at,
                    raw=msgspec.Raw(seen.raw.encode()),
                    content=msgspec.Raw(seen.content.encode()),
                ),
            )
        case frames.SocketSawEdit() | frames.SocketSawRevocation():
            return (said_of(seen),)
        case frames.SocketCouldNotDecrypt():
            return (
                MessageUndecryptable(
                    message_id=seen.message_id,
                    jid=seen.jid,
                    jid_alt=seen.jid_alt,
                    participant=seen.participant,
                    push_name=seen.push_name,
                    unavailable=seen.unavailable,
                    sent_at=seen.sent_at,
                ),
            )
        case frames.SocketSawCall():
            return (
                CallReceived(
                    call_id=seen.call_id,
                    jid=seen.jid,
                    jid_alt=seen.jid_alt,
                    group=seen.group,
                    video=seen.video,
                    called_at=seen.called_at,
                ),
            )
        case frames.SocketSawReceipt(message_ids=message_ids, jid=jid, participant=participant):
            ack = Ack(seen.ack)
            acknowledged = tuple(
                MessageAcknowledged(message_id=message_id, jid=jid, participant=participant, ack=ack)
                for message_id in message_ids
            )
            return (*acknowledged, *weigh(state, message_ids[-1], ack))
        case people_frames.SocketJoinedGroup(joined=joined):
            return (joined,)
        case people_frames.SocketSawGroupChange(change=group_change):
            return (group_change,)
        case people_frames.SocketSawBlocklist(changes=changes):
            return changes
        case frames.SocketSent():
            sent = MessageSent(
                command_id=seen.command_id,
                message_id=seen.message_id,
                jid=seen.jid,
                kind=seen.kind,
                text=seen.text,
                sent_at=seen.sent_at,
                content=msgspec.Raw(seen.content.encode()),
                number=seen.to,
            )
            return (sent, *weigh(state, seen.message_id, Ack.SENT))
        case frames.SocketFailedToSend(command_id=command_id, reason="unknown", detail=detail):
            # Who lost the socket may have said so already.
            if command_id not in state.pending:
                return ()
            return (MessageOutcomeUnknown(command_id=command_id, reason=without_numbers(detail)),)
        case frames.SocketFailedToSend(command_id=command_id, reason=reason, detail=detail):
            failed = MessageFailed(command_id=command_id, reason=reason, detail=without_numbers(detail))
            return (failed, *(refused(state, command_id, seen.jid) if reason in REFUSALS else ()))
        case _:
            assert_never(seen)


def said_of(seen: frames.SocketSawEdit | frames.SocketSawRevocation) -> MessageEdited | MessageRevoked:
    """What somebody says of a message, in the words of the log."""
    match seen:
        case frames.SocketSawEdit():
            return MessageEdited(
                message_id=seen.message_id,
                edit_id=seen.edit_id,
                jid=seen.jid,
                jid_alt=seen.jid_alt,
                participant=seen.participant,
                push_name=seen.push_name,
                kind=seen.kind,
                text=seen.text,
                content=msgspec.Raw(seen.content.encode()),
                edited_at=seen.edited_at,
                raw=msgspec.Raw(seen.raw.encode()),
            )
        case frames.SocketSawRevocation():
            return MessageRevoked(
                message_id=seen.message_id,
                jid=seen.jid,
                jid_alt=seen.jid_alt,
                participant=seen.participant,
                push_name=seen.push_name,
                revoked_at=seen.revoked_at,
                by_admin=seen.by_admin,
            )
        case _:
            assert_never(seen)


def refused(state: Instance, command_id: str, jid: str) -> Events:
    """WhatsApp's acknowledgement says no. Under which id it had the message the library keeps to itself: ours stands in."""
    ack = MessageAcknowledged(message_id=command_id, jid=jid, participant=None, ack=Ack.ERROR)
    return (ack, *weigh(state, command_id, Ack.ERROR))


def weigh(state: Instance, message_id: str, ack: Ack) -> Events:
    """The contract's ack rule: below DELIVERED degrades, DELIVERED and above recovers."""
    if state.status is Status.CONNECTED and ack < Ack.DELIVERED:
        return (InstanceDegraded(previous=state.status, message_id=message_id, ack=ack),)
    if state.status is Status.DEGRADED and ack >= Ack.DELIVERED:
        return (InstanceRecovered(previous=state.status, message_id=message_id, ack=ack),)
    return ()


def lose(state: Instance, cause: str, retry_at: datetime | None = None) -> Events:
    """The socket is down or over for this cause; saying the same again, or less than is known, is nothing new."""
    if cause == "logged_out":
        return (
            *doubt(state, cause),
            InstanceDisconnected(previous=state.status, reason=cause),
            InstanceRemoved(reason="logged_out", session_kept=False),
        )
    if cause in INCURABLE:
        known = state.status is Status.INVALID and state.reason == cause
        return () if known else (InstanceInvalidated(previous=state.status, reason=cause),)
    known = state.status is Status.INVALID or (state.status is Status.DISCONNECTED and state.reason in {cause, *TIMED})
    return () if known else (InstanceDisconnected(previous=state.status, reason=cause, retry_at=retry_at),)


def reconcile(state: Instance, *, connected: bool, logged_in: bool) -> Events:
    """Compare what we believe with how the library sees its connection."""
    if state.status in OPERATIONAL and not connected:
        return lose(state, "dropped")
    if state.status in OPERATIONAL and not logged_in:
        return lose(state, "zombie")
    if connected and logged_in and state.status not in OPERATIONAL:
        account = state.account
        if account is None:
            # The log refused the word that it is linked, or who it is: the next socket says it again.
            return (restarted(state, "paired"),)
        return (
            InstanceConnected(previous=state.status, jid=account.jid, lid=account.lid, push_name=account.push_name),
        )
    return ()


def is_outdated(cause: str, state: Instance) -> bool:
    """Whether a restart that was meant for this cause would undo what is known by now: that none helps, or none yet."""
    if cause in DEMANDED or cause == state.reason:
        return False
    return state.status is Status.INVALID or state.reason in TIMED


def restarted(state: Instance, cause: str) -> InstanceRestarted:
    """A new socket, of the next generation."""
    return InstanceRestarted(previous=state.status, generation=state.generation + 1, cause=cause)


def doubt(state: Instance, cause: str) -> Events:
    """Nobody will report on these sends any more."""
    return tuple(MessageOutcomeUnknown(command_id=command_id, reason=cause) for command_id in state.pending)
