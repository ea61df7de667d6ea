"""What a socket host needs of one WhatsApp connection, whichever library makes it."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from chatbot_erp.actors.frames import (
    Observation,
    OfferPairingCode,
    OpenSocket,
    SocketFailedToSend,
    SocketOfferedCode,
    SocketPinged,
    SocketRefusedCode,
    SocketSent,
    SocketStands,
    Transmit,
)
from chatbot_erp.actors.people_frames import Ask, Reply
from chatbot_erp.actors.wa_client import Uploaded
from chatbot_erp.actors.wa_verdicts import FailureReason

Report = Callable[[Observation], None]
"""Where a socket tells what it sees: from any thread, in the order seen, blocking when the host has no room."""


class Loaded(msgspec.Struct, frozen=True):
    """A message whose file is on WhatsApp's servers already."""

    order: Transmit
    file: Uploaded


def failed(order: Transmit, reason: FailureReason, detail: str, jid: str = "") -> SocketFailedToSend:
    """The order was not carried out; `jid` is what WhatsApp calls who it was for, if it has said so."""
    number = order.to if "@" in order.to else f"{order.to}@s.whatsapp.net"
    return SocketFailedToSend(command_id=order.command_id, reason=reason, detail=detail, jid=jid or number)


class Socket(Protocol):
    """One WhatsApp connection.

    `open`, `show_typing`, `send`, `offer_pairing_code` and `ping` are called by one thread, one after another, and may
    block; `answer` by another one and `upload` by a third; `standing` and `close` may come at any time from others.
    """

    def open(self) -> None:
        """Begin to connect. What becomes of it is reported; a raise means that it cannot even begin."""

    def upload(self, order: Transmit) -> Loaded | SocketFailedToSend:
        """Upload the file of a message, which is sent after that."""

    def show_typing(self, order: Transmit) -> bool:
        """Be seen typing, or recording, to whom this will go. Whether that was possible; the send says why not."""

    def send(self, order: Transmit, file: Uploaded | None = None) -> SocketSent | SocketFailedToSend:
        """Send, and wait for the verdict of WhatsApp's server."""

    def offer_pairing_code(self, order: OfferPairingCode) -> SocketOfferedCode | SocketRefusedCode:
        """Ask for a code that is typed into the phone."""

    def ping(self) -> SocketPinged:
        """Send a text to oneself: proof that this connection really carries messages."""

    def answer(self, order: Ask) -> Reply:
        """Ask WhatsApp about people or groups, and wait for what it says."""

    def standing(self) -> SocketStands:
        """How the library sees its own connection."""

    def close(self, *, unlink: bool) -> bool:
        """End the connection, after reporting what was already received; with `unlink` log the device out, too.

        Whether that is done.
        """


SocketFactory = Callable[[OpenSocket, Report], Socket]
"""Makes a socket that is not open yet."""
