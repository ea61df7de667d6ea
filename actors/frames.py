"""What the manager and a socket host say to each other, one msgpack message a frame.

The manager speaks `Order`s, the host speaks `Word`s. An order may be lost with the host; nothing is lost with the
manager: each word that carries an `Observation` of something WhatsApp will not repeat has a `number`, and the host
keeps it until the manager confirms that it is committed (or, if the manager dies, until it is in the spool).
"""

from datetime import datetime

import msgspec

from chatbot_erp.actors.frame import Frame
from chatbot_erp.actors.media_frames import FetchMedia, SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.people_frames import (
    Ask,
    Reply,
    SocketJoinedGroup,
    SocketSawBlocklist,
    SocketSawGroupChange,
    SocketSawPresence,
)
from chatbot_erp.actors.wa_verdicts import FailureReason

# Orders: manager → host


class OpenSocket(Frame, frozen=True, kw_only=True):
    """Make a socket for this instance; `session` is the path of its session file, empty for one in the database.

    `pairing` says that the session has no device link yet: show codes and report `SocketPaired` when linked.
    `ping` says that the socket shall greet itself when it opens. `generation` marks each word of this socket.
    """

    instance: str
    generation: int
    session: str
    pairing: bool
    ping: bool


class CloseSocket(Frame, frozen=True, kw_only=True):
    """End the socket. With `unlink` the device is taken off the phone's list too, if that can still be said."""

    instance: str
    unlink: bool = False


class Transmit(Frame, frozen=True, kw_only=True):
    """Send this. `to` is a full jid, or E.164 digits that WhatsApp is asked about first.

    `kind`, `text` and `content` (JSON text) are the parts of a `contents.Sendable`; `file` is the path of its file.
    The number is seen typing (recording, before a voice message) for `typing_s` seconds before it goes.
    """

    instance: str
    command_id: str
    to: str
    text: str
    kind: str = "text"
    content: str = "{}"
    file: str = ""
    typing_s: float = 0.0


class OfferPairingCode(Frame, frozen=True, kw_only=True):
    """Ask WhatsApp for a code that the owner of `number` (digits) can type instead of scanning."""

    instance: str
    command_id: str
    number: str


class Confirm(Frame, frozen=True, kw_only=True):
    """All numbered words of this instance up to `number` are committed: forget them."""

    instance: str
    number: int


class Repeat(Frame, frozen=True, kw_only=True):
    """Say all unconfirmed words of this instance again, and how its socket stands (`SocketStands`)."""

    instance: str


class SetAside(Frame, frozen=True, kw_only=True):
    """Another node has this instance now: write its unconfirmed words to the spool, for that one, and forget them."""

    instance: str


class Renew(Frame, frozen=True, kw_only=True):
    """The manager speaks for its numbers until then, in seconds of `lease.boot_time`; a host ends itself afterwards."""

    until: float


class EndHost(Frame, frozen=True, kw_only=True):
    """Close all sockets without logout, hand over what is left, and exit."""


Order = (
    OpenSocket
    | CloseSocket
    | Transmit
    | OfferPairingCode
    | FetchMedia
    | Ask
    | Confirm
    | Repeat
    | SetAside
    | Renew
    | EndHost
)


# Observations: what a socket saw


class SocketOfferedQr(Frame, frozen=True, kw_only=True):
    """A QR text for the phone. A credential: memory only."""

    qr: str
    valid_s: float


class SocketOfferedCode(Frame, frozen=True, kw_only=True):
    """The pairing code somebody asked for. A credential: memory only."""

    command_id: str
    code: str


class SocketRefusedCode(Frame, frozen=True, kw_only=True):
    """WhatsApp gave no pairing code."""

    command_id: str
    detail: str


class SocketPairingExpired(Frame, frozen=True, kw_only=True):
    """Nobody scanned; the socket has ended."""


class SocketPaired(Frame, frozen=True, kw_only=True):
    """The phone linked this device and the session is on disk."""

    jid: str
    lid: str | None


class SocketConnected(Frame, frozen=True, kw_only=True):
    """WhatsApp accepted the session."""

    jid: str
    lid: str | None
    push_name: str


class SocketDisconnected(Frame, frozen=True, kw_only=True):
    """The connection broke; the library is trying again by itself."""

    reason: str


class SocketEnded(Frame, frozen=True, kw_only=True):
    """The socket is over; the library does not try again. `cause` is a row of the supervision table."""

    cause: str
    detail: str = ""
    retry_at: datetime | None = None


class SocketClosed(Frame, frozen=True, kw_only=True):
    """The answer to `CloseSocket`: nobody touches the session file any more. Says whether the device was unlinked."""

    unlinked: bool = False


class SocketStands(Frame, frozen=True, kw_only=True):
    """The answer to `Repeat`: how the library sees its own connection."""

    connected: bool
    logged_in: bool


class SocketSent(Frame, frozen=True, kw_only=True):
    """WhatsApp's server acknowledged what `Transmit` asked for; what it was is said again because a spool outlives it."""

    command_id: str
    message_id: str
    jid: str
    sent_at: datetime
    text: str
    kind: str = "text"
    content: str = "{}"
    to: str = ""
    """As `Transmit` had it: `jid` is what WhatsApp calls them, which may be another number, or a LID."""


class SocketFailedToSend(Frame, frozen=True, kw_only=True):
    """What `Transmit` asked for was not acknowledged; `unknown` means that WhatsApp may have it all the same."""

    command_id: str
    reason: FailureReason
    detail: str
    jid: str = ""
    """Whom it was for: as WhatsApp calls them, or by the number of `Transmit` if it failed before that was known."""


class SocketPinged(Frame, frozen=True, kw_only=True):
    """The greeting to oneself was acknowledged (`message_id`) or failed (`error`)."""

    message_id: str
    error: str


class SocketReceived(Frame, frozen=True, kw_only=True):
    """Someone else wrote; fields as in the event `MessageReceived`; `raw` (the WhatsApp message) and `content` are JSON text."""

    message_id: str
    jid: str
    jid_alt: str | None
    participant: str | None
    push_name: str
    kind: str
    text: str
    sent_at: datetime
    raw: str
    content: str = "{}"


class SocketCouldNotDecrypt(Frame, frozen=True, kw_only=True):
    """A message came that this device cannot read."""

    message_id: str
    jid: str
    participant: str | None
    unavailable: bool
    jid_alt: str | None = None
    push_name: str = ""
    sent_at: datetime | None = None


class SocketSawEdit(Frame, frozen=True, kw_only=True):
    """Someone else changed what they had written in `message_id`; `edit_id` is the id of the change itself."""

    message_id: str
    edit_id: str
    jid: str
    jid_alt: str | None
    participant: str | None
    push_name: str
    kind: str
    text: str
    content: str
    edited_at: datetime
    raw: str


class SocketSawRevocation(Frame, frozen=True, kw_only=True):
    """Someone else took a message back: their own or, as a group's admin (`by_admin`), somebody's."""

    message_id: str
    jid: str
    jid_alt: str | None
    participant: str | None
    push_name: str
    revoked_at: datetime
    by_admin: bool = False


class SocketSawCall(Frame, frozen=True, kw_only=True):
    """Somebody calls. `group` is called, if it is a group's call."""

    call_id: str
    jid: str
    jid_alt: str | None
    group: str | None
    video: bool
    called_at: datetime


class SocketSawReceipt(Frame, frozen=True, kw_only=True):
    """The other party's device reported on messages of ours; `ack` is 0 error, 2 delivered, 3 read, 4 played."""

    message_ids: tuple[str, ...]
    jid: str
    participant: str | None
    ack: int


Turn = (
    SocketOfferedQr
    | SocketOfferedCode
    | SocketRefusedCode
    | SocketPairingExpired
    | SocketPaired
    | SocketConnected
    | SocketDisconnected
    | SocketEnded
    | SocketClosed
    | SocketStands
    | SocketPinged
    | SocketFetched
    | SocketFailedToFetch
    | SocketSawPresence
)
"""A turn in the life of a socket: true of now, and of no use later."""

Heard = (
    SocketReceived
    | SocketSawEdit
    | SocketSawRevocation
    | SocketCouldNotDecrypt
    | SocketSawCall
    | SocketSawReceipt
    | SocketJoinedGroup
    | SocketSawGroupChange
    | SocketSawBlocklist
)
"""What others did: there may be more of it than the manager can take."""

Fact = SocketSent | SocketFailedToSend | Heard
"""What WhatsApp will not tell twice: numbered, and kept by the host until confirmed."""

Observation = Turn | Fact


# Words: host → manager


class Said(Frame, frozen=True, kw_only=True):
    """The socket of `instance` saw something; `number` counts the words to be confirmed, 0 needs no confirmation.

    `oldest` is the number of the first word of this instance that was not confirmed when this one was said.
    """

    instance: str
    generation: int
    number: int
    observation: Observation | Reply
    oldest: int = 0


class Alive(Frame, frozen=True, kw_only=True):
    """The host's main loop turns."""

    rss_bytes: int
    descriptors: int


Word = Said | Alive

_encoder = msgspec.msgpack.Encoder()
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_word = msgspec.msgpack.Decoder(Word).decode
decode_words = msgspec.msgpack.Decoder(list[Word]).decode
"""What a host writes into its pipe at once."""
encode_frame = _encoder.encode
