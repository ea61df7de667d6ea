"""Everything that can have happened to a number.

An event is a fact: past tense, never refused, never changed. Its stored name comes from `EVENT_NAMES`, not from
the class, so that a class may be renamed while old logs stay readable. Field names are stored in camelCase because
`GET /events` shows the stored object as it is.

What a message says is `kind`, `text` (its words or its caption, '' if none) and `content`, a JSON object of all else
that belongs to the kind: a new kind of message is no new version of an event.

Secrets (QR, pairing code, keys, session, webhook secret) are no fields of any event.
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Literal

import msgspec


class Status(StrEnum):
    """What a caller can know of an instance at a glance."""

    INITIALIZING = "INITIALIZING"
    SCAN_QR_CODE = "SCAN_QR_CODE"
    CONNECTED = "CONNECTED"
    DEGRADED = "DEGRADED"
    DISCONNECTED = "DISCONNECTED"
    INVALID = "INVALID"


class Ack(IntEnum):
    """How far a message has come on its way to the other party."""

    ERROR = 0
    SENT = 1
    DELIVERED = 2
    READ = 3
    PLAYED = 4


PresenceState = Literal["available", "unavailable", "typing", "recording", "paused"]

NOTHING_ELSE = msgspec.Raw(b"{}")
"""The `content` of a message that is all text."""


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The common root of all facts; never stored itself.

    It is made of what was there before it, so it can be in no cycle. The garbage collector is told so, here and in
    records.py and work.py: its rounds over what waits for the disk were a twentieth of the CPU of an append.
    """


class StatusEvent(Event, frozen=True, kw_only=True):
    """The status of an instance changed; `previous` is what it was before."""

    previous: Status


class InstanceCreated(Event, frozen=True, kw_only=True):
    """Somebody asked for a number under this name: INITIALIZING.

    `session_from` is the removed instance whose kept session it takes over.
    """

    name: str
    webhook_url: str
    session_from: str | None


class InstanceRestarted(StatusEvent, frozen=True, kw_only=True):
    """A new socket is being made: INITIALIZING. `generation` counts the sockets of this instance, from 1."""

    generation: int
    cause: str


class PairingOffered(StatusEvent, frozen=True, kw_only=True):
    """A code waits for the phone: SCAN_QR_CODE. The code itself stays in memory."""

    method: Literal["qr", "code"]


class InstancePaired(Event, frozen=True, kw_only=True):
    """A phone accepted the code and linked this device."""

    jid: str
    lid: str | None


class InstanceConnected(StatusEvent, frozen=True, kw_only=True):
    """WhatsApp accepted the session: CONNECTED."""

    jid: str
    lid: str | None
    push_name: str


class InstanceDegraded(StatusEvent, frozen=True, kw_only=True):
    """The last acknowledgement was partial (below DELIVERED): DEGRADED."""

    message_id: str
    ack: Ack


class InstanceRecovered(StatusEvent, frozen=True, kw_only=True):
    """A full acknowledgement came (DELIVERED or more): CONNECTED again."""

    message_id: str
    ack: Ack


class InstanceDisconnected(StatusEvent, frozen=True, kw_only=True):
    """The connection is down: DISCONNECTED. `reason` is a cause of the supervision table.

    `retry_at` is the moment before which WhatsApp wants to see no new attempt.
    """

    reason: str
    retry_at: datetime | None = None


class InstanceInvalidated(StatusEvent, frozen=True, kw_only=True):
    """No restart can cure it: INVALID. `reason` is a cause of the supervision table."""

    reason: str


class InstanceRemoved(Event, frozen=True, kw_only=True):
    """The instance is gone and its name is free; `session_kept` says whether the device link stays for a later create."""

    reason: Literal["deleted", "logged_out"]
    session_kept: bool


class WebhookUrlChanged(Event, frozen=True, kw_only=True):
    """From here on deliveries go to another address. Managers before `EndpointConfigured` wrote it."""

    webhook_url: str


class PacingConfigured(Event, frozen=True, kw_only=True):
    """How fast the instance sends from here on, in full; see `actors/pacing.py`."""

    per_minute: float | None
    burst: int
    typing_s: float


class PingSent(Event, frozen=True, kw_only=True):
    """The sanity message to oneself was acknowledged by the server."""

    message_id: str


class PingFailed(Event, frozen=True, kw_only=True):
    """The sanity message to oneself was refused or not answered."""

    reason: str


class MessageAccepted(Event, frozen=True, kw_only=True):
    """A caller's message is on record; only now may the socket transmit it."""

    command_id: str
    number: str
    kind: str
    text: str
    content: msgspec.Raw = NOTHING_ELSE


class MessageSent(Event, frozen=True, kw_only=True):
    """WhatsApp's server acknowledged the message (ack 1).

    `jid` is whom WhatsApp found under `number`, which is as it was accepted; empty where an earlier manager wrote this.
    """

    command_id: str
    message_id: str
    jid: str
    kind: str
    text: str
    sent_at: datetime
    content: msgspec.Raw = NOTHING_ELSE
    number: str = ""


class MessageFailed(Event, frozen=True, kw_only=True):
    """The message was certainly not sent; `reason` is a key of `errors.OF_FAILURE`."""

    command_id: str
    reason: str
    detail: str


class MessageOutcomeUnknown(Event, frozen=True, kw_only=True):
    """Nobody can say whether WhatsApp got the message. It is never re-sent by itself."""

    command_id: str
    reason: str


class MessageReceived(Event, frozen=True, kw_only=True):
    """Someone else wrote. `jid` is the chat, `participant` the sender where the chat is a group."""

    message_id: str
    jid: str
    jid_alt: str | None
    participant: str | None
    push_name: str
    kind: str
    text: str
    sent_at: datetime
    raw: msgspec.Raw
    content: msgspec.Raw = NOTHING_ELSE


class MessageEdited(Event, frozen=True, kw_only=True):
    """Someone else changed the message `message_id`; `edit_id` is the id of the change itself."""

    message_id: str
    edit_id: str
    jid: str
    jid_alt: str | None
    participant: str | None
    push_name: str
    kind: str
    text: str
    content: msgspec.Raw
    edited_at: datetime
    raw: msgspec.Raw


class MessageRevoked(Event, frozen=True, kw_only=True):
    """Someone else took the message `message_id` back: its writer or, in a group, an admin (`participant`).

    `by_admin`: it was taken back with an admin's right, as WhatsApp's server says.
    """

    message_id: str
    jid: str
    jid_alt: str | None
    participant: str | None
    push_name: str
    revoked_at: datetime
    by_admin: bool = False


class MessageUndecryptable(Event, frozen=True, kw_only=True):
    """A message came that this device could not read. `unavailable`: WhatsApp keeps its content from linked devices.

    Where its sender is asked and sends it again, `MessageReceived` follows under the same id.
    """

    message_id: str
    jid: str
    jid_alt: str | None
    participant: str | None
    push_name: str
    unavailable: bool
    sent_at: datetime | None


class MediaMissed(Event, frozen=True, kw_only=True):
    """The file of a message was to be kept (`--media-keep-days`) and was not fetched; it can be asked for while it lasts.

    `reason`: "gone", "unreachable" and "damaged" are WhatsApp's or its sender's; "large", "disk" (too little is free),
    "crowded" (too many are on their way) and "interrupted" (the connection ended) are ours.
    """

    message_id: str
    reason: str


class CallReceived(Event, frozen=True, kw_only=True):
    """Somebody calls. `group` is the group that is called, None for a call to this number alone."""

    call_id: str
    jid: str
    jid_alt: str | None
    group: str | None
    video: bool
    called_at: datetime


class MessageAcknowledged(Event, frozen=True, kw_only=True):
    """The other party's device reported what became of a message.

    Or WhatsApp's server refused it (ERROR): `message_id` is the command's then, and `MessageFailed` stands before it.
    """

    message_id: str
    jid: str
    participant: str | None
    ack: Ack


class GroupJoined(Event, frozen=True, kw_only=True):
    """This number is in a group now: it founded it, was added, or came by an invitation (`reason` "invite").

    `participants` are jids, or LIDs where WhatsApp shows no number.
    """

    jid: str
    subject: str
    description: str
    participants: tuple[str, ...]
    reason: str


class GroupUpdated(Event, frozen=True, kw_only=True):
    """Somebody (`by`) changed a group this number is in, or was in until then; what is None stayed as it was.

    Whoever `left` went or was removed; a new invitation link is on record, the link itself is not.
    """

    jid: str
    by: str | None
    changed_at: datetime
    subject: str | None
    description: str | None
    announce: bool | None
    locked: bool | None
    ephemeral_s: int | None = msgspec.field(name="ephemeral")
    joined: tuple[str, ...]
    left: tuple[str, ...]
    promoted: tuple[str, ...]
    demoted: tuple[str, ...]
    invite_reset: bool
    deleted: bool


class BlocklistChanged(Event, frozen=True, kw_only=True):
    """This number does not want to hear somebody any more, or again; `version` is WhatsApp's word for the list."""

    jid: str
    blocked: bool
    version: str


class PresenceChanged(Event, frozen=True, kw_only=True):
    """Somebody that this number watches has WhatsApp open, or not, or does something in their chat with it."""

    jid: str
    jid_alt: str | None
    state: PresenceState
    last_seen: datetime | None


class WebhookDelivered(Event, frozen=True, kw_only=True):
    """The receiver answered 2xx to the delivery with this sequence number."""

    sequence: int
    attempts: int
    http_status: int
    endpoint: str = "main"


class WebhookAbandoned(Event, frozen=True, kw_only=True):
    """The delivery with this sequence number was retried for as long as allowed and given up: a dead letter."""

    sequence: int
    attempts: int
    error: str
    endpoint: str = "main"


class EndpointConfigured(Event, frozen=True, kw_only=True):
    """Everything about an endpoint from here on, also what did not change; a new id is a new endpoint.

    `events` are the kinds that it is told (none: all), `headers` only the names of what is sent along: the values are
    the vault's. A time that is None is the manager's.
    """

    endpoint: str
    url: str
    events: tuple[str, ...]
    order: Literal["instance", "chat"]
    headers: tuple[str, ...]
    paused: bool
    retry_for_s: float | None
    reject_after_s: float


class EndpointRemoved(Event, frozen=True, kw_only=True):
    """The endpoint is gone, with all that waited for it."""

    endpoint: str


class EndpointDisabled(Event, frozen=True, kw_only=True):
    """Nothing is posted there any more until it is enabled; what happens meanwhile waits.

    `gone`: it answered 410; `failing`: nothing but failures for five days; `requested`: somebody wanted it.
    """

    endpoint: str
    reason: Literal["gone", "failing", "requested"]


class EndpointEnabled(Event, frozen=True, kw_only=True):
    """Somebody says that it works again: deliveries go on where they stopped."""

    endpoint: str


class EndpointSecretRotated(Event, frozen=True, kw_only=True):
    """Deliveries are signed with a new secret, and with the old one too until `old_until`."""

    endpoint: str
    old_until: datetime


class EndpointReplayed(Event, frozen=True, kw_only=True):
    """The endpoint is told again what stands behind position `after` up to `until`; `count` events of these kinds.

    No `events` is all kinds. `dead` where only dead letters were wanted.
    """

    endpoint: str
    after: int
    until: int
    events: tuple[str, ...]
    dead: bool
    count: int


class SubjectErased(Event, frozen=True, kw_only=True):
    """Somebody's keys were destroyed: what was sealed for these `subjects` (random names) can never be read again."""

    subjects: tuple[str, ...]


class ContentExpired(Event, frozen=True, kw_only=True):
    """What was sealed before the day `before` (YYYY-MM-DD, UTC), of whomever, can never be read again."""

    before: str


EVENT_NAMES: dict[type[Event], str] = {
    InstanceCreated: "instance.created",
    InstanceRestarted: "instance.restarted",
    PairingOffered: "instance.pairing_offered",
    InstancePaired: "instance.paired",
    InstanceConnected: "instance.connected",
    InstanceDegraded: "instance.degraded",
    InstanceRecovered: "instance.recovered",
    InstanceDisconnected: "instance.disconnected",
    InstanceInvalidated: "instance.invalidated",
    InstanceRemoved: "instance.removed",
    WebhookUrlChanged: "instance.webhook_url_changed",
    PacingConfigured: "instance.pacing_configured",
    PingSent: "ping.sent",
    PingFailed: "ping.failed",
    MessageAccepted: "message.accepted",
    MessageSent: "message.sent",
    MessageFailed: "message.failed",
    MessageOutcomeUnknown: "message.outcome_unknown",
    MessageReceived: "message.received",
    MessageEdited: "message.edited",
    MessageRevoked: "message.revoked",
    MessageUndecryptable: "message.undecryptable",
    MessageAcknowledged: "message.acknowledged",
    MediaMissed: "media.missed",
    CallReceived: "call.received",
    GroupJoined: "group.joined",
    GroupUpdated: "group.updated",
    BlocklistChanged: "blocklist.changed",
    PresenceChanged: "presence.changed",
    WebhookDelivered: "webhook.delivered",
    WebhookAbandoned: "webhook.abandoned",
    EndpointConfigured: "endpoint.configured",
    EndpointRemoved: "endpoint.removed",
    EndpointDisabled: "endpoint.disabled",
    EndpointEnabled: "endpoint.enabled",
    EndpointSecretRotated: "endpoint.secret_rotated",
    EndpointReplayed: "endpoint.replayed",
    SubjectErased: "subject.erased",
    ContentExpired: "content.expired",
}
"""The stored name of every fact; a name once released is never reused for something else."""

DELIVERED: frozenset[type[Event]] = frozenset(
    {
        InstanceRestarted,
        PairingOffered,
        InstanceConnected,
        InstanceDegraded,
        InstanceRecovered,
        InstanceDisconnected,
        InstanceInvalidated,
        MessageSent,
        MessageFailed,
        MessageOutcomeUnknown,
        MessageReceived,
        MessageEdited,
        MessageRevoked,
        MessageUndecryptable,
        MessageAcknowledged,
        CallReceived,
        GroupJoined,
        GroupUpdated,
        PresenceChanged,
    }
)
"""The facts that a webhook receiver is told; each gets the next `sequence` of its instance."""
