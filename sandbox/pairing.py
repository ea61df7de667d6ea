"""Linking a companion to a phone.

Source: whatsmeow's pair.go and qrchan.go. The server sends six references; the client shows them one after another in a
QR code, with its noise key, its identity key and a secret. The phone signs the companion's identity and proves, with
the secret, that it saw the code.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any

from chatbot_erp.sandbox.control import Linked
from chatbot_erp.sandbox.faults import ForgedLink
from chatbot_erp.sandbox.jid import LID, SERVER_JID, USER, Jid
from chatbot_erp.sandbox.nodes import Node, Value
from chatbot_erp.sandbox.wire import proto

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account
    from chatbot_erp.sandbox.stream import Stream

_CODES = 6
_ACCOUNT_SIGNATURE = b"\x06\x00"


class PairingFailed(Exception):
    """Raised when a phone cannot link a companion; the sentence says why."""


class Pairing:
    """A client that is nobody's companion yet."""

    def __init__(self, stream: Stream, static: bytes, registration: Any) -> None:
        self._stream = stream
        self._static = static
        self._identity: bytes = registration.eIdent
        self._registration_id = int.from_bytes(registration.eRegid, "big")
        self._signed_pre_key: tuple[int, bytes, bytes] = (
            int.from_bytes(registration.eSkeyId, "big"),
            registration.eSkeyVal,
            registration.eSkeySig,
        )
        self._references = [secrets.token_urlsafe(24) for _ in range(_CODES)]
        self._offer: tuple[str, Account, asyncio.Future[Linked]] | None = None

    def begin(self) -> None:
        """Offer the references for QR codes."""
        network = self._stream.network
        network.waiting.update(dict.fromkeys(self._references, self._stream))
        refs = [Node("ref", {}, reference.encode()) for reference in self._references]
        attrs: dict[str, Value] = {
            "from": SERVER_JID,
            "type": "set",
            "xmlns": "md",
            "id": self._stream.next_id(),
        }
        self._stream.send(Node("iq", attrs, [Node("pair-device", {}, refs)]))

    def offer(self, account: Account, adv_secret: bytes) -> asyncio.Future[Linked]:
        """The phone links this client: tell it so. The future is done when the client has agreed."""
        if self._offer is not None:
            raise PairingFailed("This companion is being linked already.")
        stream, device = self._stream, account.next_device()
        details: bytes = proto.ADVDeviceIdentity(
            rawId=secrets.randbits(31), timestamp=int(time.time()), keyIndex=device
        ).SerializeToString()
        identity: bytes = proto.ADVSignedDeviceIdentity(
            details=details,
            accountSignatureKey=account.identity.key.public,
            accountSignature=account.identity.key.sign(_ACCOUNT_SIGNATURE + details + self._identity),
        ).SerializeToString()
        if account.conditions.get(ForgedLink) is not None:
            adv_secret = secrets.token_bytes(len(adv_secret))
        proof: bytes = proto.ADVSignedDeviceIdentityHMAC(
            details=identity, hmac=hmac.digest(adv_secret, identity, "sha256")
        ).SerializeToString()
        done: asyncio.Future[Linked] = asyncio.get_running_loop().create_future()
        request_id = stream.next_id()
        self._offer = request_id, account, done
        success = [
            Node("device-identity", {}, proof),
            Node("device", {"jid": Jid(account.number, USER, device), "lid": Jid(account.lid, LID, device)}),
            Node("platform", {"name": "android"}),
        ]
        attrs: dict[str, Value] = {
            "from": SERVER_JID,
            "type": "set",
            "xmlns": "md",
            "id": request_id,
            "t": str(int(time.time())),
        }
        stream.send(Node("iq", attrs, [Node("pair-success", {}, success)]))
        return done

    def settle(self, reply: Node) -> None:
        """The client's answer to the link. It then has to come again, as a companion: 515."""
        if self._offer is None or reply.text("id") != self._offer[0]:
            return
        _, account, done = self._offer
        if done.done():
            return
        if reply.attrs.get("type") != "result":
            error = reply.child("error")
            done.set_exception(
                PairingFailed(f"The companion refused the link: {error.attrs if error else reply.attrs}.")
            )
            return
        companion = account.link(self._identity)
        companion.registration_id = self._registration_id
        companion.signed_pre_key = self._signed_pre_key
        self._forget()
        done.set_result(Linked(jid=str(companion.jid), lid=str(companion.lid)))
        self._stream.end(515)

    @property
    def identity(self) -> bytes:
        return self._identity

    def matches(self, noise: bytes, identity: bytes) -> bool:
        """Whether a QR code was made by the client that holds this stream."""
        return noise == self._static and identity == self._identity

    def abandon(self) -> None:
        """The connection is gone, and with it the codes."""
        self._forget()
        if self._offer is not None and not self._offer[2].done():
            self._offer[2].set_exception(PairingFailed("The companion hung up before it was linked."))

    def _forget(self) -> None:
        network = self._stream.network
        for reference in self._references:
            network.waiting.pop(reference, None)
        for number, shown in tuple(network.codes.items()):
            if shown.pairing is self:
                shown.abandon()
                del network.codes[number]


def scan(account: Account, waiting: dict[str, Stream], qr: str) -> asyncio.Future[Linked]:
    """Read a QR code as a phone does: REF,NOISE,IDENTITY,SECRET[,TYPE], behind a URL's `#` in newer clients."""
    reference, *keys = qr.strip().rpartition("#")[2].split(",")
    try:
        noise, identity, adv_secret = (base64.b64decode(key, validate=True) for key in keys[:3])
    except (ValueError, binascii.Error):
        raise PairingFailed("That text is not a QR code of WhatsApp.") from None
    stream = waiting.get(reference)
    if stream is None or stream.pairing is None:
        raise PairingFailed("No companion waits with this QR code: it has expired, or is of another network.")
    if not stream.pairing.matches(noise, identity):
        raise PairingFailed("The keys in this QR code are not those of the companion that waits with it.")
    return stream.pairing.offer(account, adv_secret)
