"""Which fields of which event are personal data, and whose: what sealing.py encrypts.

Every field of every event stands in `DECLARED`, as plain or as personal; tests/eventstore/test_personal.py walks them.
Personal is what somebody wrote, and whatever says who somebody is: numbers, jids, names. Ids of WhatsApp's messages
and of commands, kinds, moments and our own accounts are plain. An event about several people belongs to the one who
caused it. A plain text must never quote a personal one.
"""

import types
import typing
from typing import Any

import msgspec

from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.events import (
    BlocklistChanged,
    CallReceived,
    ContentExpired,
    EndpointConfigured,
    EndpointDisabled,
    EndpointEnabled,
    EndpointRemoved,
    EndpointReplayed,
    EndpointSecretRotated,
    Event,
    GroupJoined,
    GroupUpdated,
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
    PresenceChanged,
    SubjectErased,
    WebhookAbandoned,
    WebhookDelivered,
    WebhookUrlChanged,
)


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one event. The first of `of` that is not empty names the subject, `alias` another name of it."""

    plain: tuple[str, ...]
    personal: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    alias: str | None = None

    def owners(self, event: Event) -> tuple[str, ...]:
        """The canonical addresses of the subject; one that nobody named is the empty text."""
        for field in self.of:
            if owner := getattr(event, field):
                break
        else:
            return (canonical(""),)
        first = canonical(owner)
        alias = getattr(event, self.alias) if self.alias else None
        second = canonical(alias) if alias else first
        return (first,) if second == first else (first, second)


def plain(fields: str) -> Declaration:
    """None of these fields is personal."""
    return Declaration(plain=tuple(fields.split()))


def personal(fields: str, *, of: str, alias: str | None = None, plain: str) -> Declaration:
    """These `fields` are encrypted with the key of whom `of` names; give an emptied form to each: "", None or a default."""
    return Declaration(plain=tuple(plain.split()), personal=tuple(fields.split()), of=tuple(of.split()), alias=alias)


DECLARED: dict[type[Event], Declaration] = {
    InstanceCreated: plain("name webhook_url session_from"),
    InstanceRestarted: plain("previous generation cause"),
    PairingOffered: plain("previous method"),
    InstancePaired: plain("jid lid"),
    InstanceConnected: plain("previous jid lid push_name"),
    InstanceDegraded: plain("previous message_id ack"),
    InstanceRecovered: plain("previous message_id ack"),
    InstanceDisconnected: plain("previous reason retry_at"),
    InstanceInvalidated: plain("previous reason"),
    InstanceRemoved: plain("reason session_kept"),
    WebhookUrlChanged: plain("webhook_url"),
    PacingConfigured: plain("per_minute burst typing_s"),
    PingSent: plain("message_id"),
    PingFailed: plain("reason"),
    MessageAccepted: personal("number text content", of="number", plain="command_id kind"),
    MessageSent: personal(
        "jid text content number", of="jid", alias="number", plain="command_id message_id kind sent_at"
    ),
    MessageFailed: plain("command_id reason detail"),
    MessageOutcomeUnknown: plain("command_id reason"),
    MessageReceived: personal(
        "jid jid_alt participant push_name text raw content",
        of="participant jid",
        alias="jid_alt",
        plain="message_id kind sent_at",
    ),
    MessageEdited: personal(
        "jid jid_alt participant push_name text content raw",
        of="participant jid",
        alias="jid_alt",
        plain="message_id edit_id kind edited_at",
    ),
    MessageRevoked: personal(
        "jid jid_alt participant push_name",
        of="participant jid",
        alias="jid_alt",
        plain="message_id revoked_at by_admin",
    ),
    MessageUndecryptable: personal(
        "jid jid_alt participant push_name",
        of="participant jid",
        alias="jid_alt",
        plain="message_id unavailable sent_at",
    ),
    MediaMissed: plain("message_id reason"),
    CallReceived: personal("jid jid_alt group", of="jid", alias="jid_alt", plain="call_id video called_at"),
    MessageAcknowledged: personal("jid participant", of="participant jid", plain="message_id ack"),
    GroupJoined: personal("jid subject description participants", of="jid", plain="reason"),
    GroupUpdated: personal(
        "jid by subject description joined left promoted demoted",
        of="by jid",
        plain="changed_at announce locked ephemeral_s invite_reset deleted",
    ),
    BlocklistChanged: personal("jid", of="jid", plain="blocked version"),
    PresenceChanged: personal("jid jid_alt", of="jid", alias="jid_alt", plain="state last_seen"),
    WebhookDelivered: plain("sequence attempts http_status endpoint"),
    WebhookAbandoned: plain("sequence attempts error endpoint"),
    EndpointConfigured: plain("endpoint url events order headers paused retry_for_s reject_after_s"),
    EndpointRemoved: plain("endpoint"),
    EndpointDisabled: plain("endpoint reason"),
    EndpointEnabled: plain("endpoint"),
    EndpointSecretRotated: plain("endpoint old_until"),
    EndpointReplayed: plain("endpoint after until events dead count"),
    SubjectErased: plain("subjects"),
    ContentExpired: plain("before"),
}
"""One line for each event, with every field of it."""


def emptied(kind: type[Event]) -> dict[str, Any]:
    """What stands in the personal fields of a sealed event. Raises TypeError for a field that cannot be empty."""
    hints = typing.get_type_hints(kind)
    return {field: _empty(kind, field, hints[field]) for field in DECLARED[kind].personal}


def _empty(kind: type[Event], field: str, hint: Any) -> Any:
    known = {str: "", msgspec.Raw: msgspec.Raw(b"{}"), tuple: (), list: [], dict: {}}
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union) and type(None) in args:
        return None
    if (origin or hint) in known:
        return known[origin or hint]
    raise TypeError(f"{kind.__name__}.{field} is personal, but has no empty form: make it optional (`| None`).")
