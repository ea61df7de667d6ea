"""The network as a test, or `serve --sandbox`, holds it in its hands.

    with Network.start() as network:
        shop, maria = network.phone("5511987654321", name="Shop"), network.phone("5521912345678", name="Maria")
        Popen(…, env={**os.environ, **network.environment()})
        …                       # there: import neonize, trust_root_key(network.root_key), and show a QR code
        shop.scan(qr_text)
        shop.wait_online()
        maria.send(shop.number, "Olá")

Every object here may be used by several threads at once. A wait is held by the server and ends with TimeoutError.
"""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

import msgspec

from chatbot_erp.sandbox import control
from chatbot_erp.sandbox.client_messages import Messages
from chatbot_erp.sandbox.client_people import People
from chatbot_erp.sandbox.client_presence import Presence
from chatbot_erp.sandbox.control import (
    PATIENCE_S,
    Acknowledgement,
    Address,
    CompanionReceipt,
    InboxMessage,
    Linked,
    PhoneView,
    Policy,
    Stats,
    Taken,
)
from chatbot_erp.sandbox.control_connection import ConnectionPool, SandboxError
from chatbot_erp.sandbox.control_people import GroupView
from chatbot_erp.sandbox.faults import Fault
from chatbot_erp.sandbox.media import MediaClient

__all__ = [
    "Acknowledgement",
    "CompanionReceipt",
    "GroupView",
    "InboxMessage",
    "Linked",
    "Network",
    "Phone",
    "PhoneView",
    "Policy",
    "SandboxError",
    "Stats",
    "Taken",
]


class Network:
    """A WhatsApp network on 127.0.0.1, in a process of its own."""

    def __init__(self, address: Address, process: subprocess.Popen[bytes] | None = None) -> None:
        """Not for callers: use `start` or `connect`."""
        self._address = address
        self._process = process
        self._pool = ConnectionPool(address.control)

    @classmethod
    def start(cls, *, timeout_s: float = PATIENCE_S) -> Self:
        """Start a network of one's own. It ends with `stop`, with the `with` block, or with this process."""
        process = subprocess.Popen(
            [sys.executable, "-m", "chatbot_erp.sandbox.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in a terminal is for the program that uses the network, which ends the network last.
            start_new_session=True,
        )
        try:
            return cls(_first_line(process, timeout_s), process)
        except BaseException:
            process.kill()
            process.wait()
            raise

    @classmethod
    def connect(cls, control_url: str) -> Self:
        """Join a network that somebody else started. `stop` then only closes this side's connections."""
        pool = ConnectionPool(control_url)
        try:
            return cls(pool.ask(control.Describe(), Address))
        finally:
            pool.close()

    def stop(self) -> None:
        """End the network if it was started here. Harmless when repeated."""
        self._pool.close()
        if self._process is None:
            return
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def control_url(self) -> str:
        """What another process gives to `Network.connect`."""
        return self._address.control

    @property
    def proxy_url(self) -> str:
        """The HTTP proxy through which web.whatsapp.com is this network."""
        return self._address.proxy

    @property
    def ca_file(self) -> str:
        """The certificate authority of this network's TLS, as a PEM file."""
        return self._address.ca_file

    @property
    def root_key(self) -> str:
        """The public key, in hex, that signs this network's Noise certificates: for `trust_root_key`."""
        return self._address.root_key

    @property
    def pid(self) -> int | None:
        """The process id of a network that was started here."""
        return self._process.pid if self._process else None

    def environment(self) -> dict[str, str]:
        """What must stand in the environment a process is started with if it is to load neonize.

        Setting it later, even before the import, does nothing: a Go library reads the environment of the `exec`.
        """
        return {"HTTPS_PROXY": self.proxy_url, "SSL_CERT_FILE": self.ca_file}

    def phone(self, number: str, *, name: str | None = None, lid: str | None = None) -> Phone:
        """The phone with this number, which is registered on WhatsApp from now on. Asking twice is harmless."""
        view = self._pool.ask(control.RegisterPhone(number=number, name=name, lid=lid), PhoneView)
        return Phone(self._pool, self._address, view)

    def fault(self, fault: Fault, *, number: str | None = None) -> None:
        """Play a fault on everybody, or on the companions of one number."""
        self._pool.ask(control.PlayFault(fault=fault, number=number), type(None))

    def heal(self, number: str | None = None) -> None:
        """End every lasting fault, or those of one number."""
        self._pool.ask(control.Heal(number=number), type(None))

    def stats(self) -> Stats:
        """How many are connected, and how many messages went in and out."""
        return self._pool.ask(control.ReadStats(), Stats)


class Phone(Messages, Presence, People):
    """A person's phone: it scans QR codes, sends, reads, and misbehaves when told to."""

    def __init__(self, pool: ConnectionPool, address: Address, view: PhoneView) -> None:
        """Not for callers: use `Network.phone`."""
        self._pool = pool
        self._media = MediaClient(address)
        self.number = view.number
        self.lid = view.lid
        self.name = view.name

    @property
    def jid(self) -> str:
        return f"{self.number}@s.whatsapp.net"

    def scan(self, qr: str, *, timeout_s: float = PATIENCE_S) -> Linked:
        """Scan the QR code a companion shows, and wait until the companion has accepted the link.

        The companion then reconnects by itself: see `wait_online`. An expired or foreign code raises SandboxError.
        """
        return self._pool.ask(control.Scan(number=self.number, qr=qr, timeout_s=timeout_s), Linked)

    def enter_code(self, code: str, *, timeout_s: float = PATIENCE_S) -> Linked:
        """Type in the eight-character pairing code a companion shows, and wait until it has accepted the link."""
        return self._pool.ask(control.EnterCode(number=self.number, code=code, timeout_s=timeout_s), Linked)

    def inbox(self, *, after: int = 0) -> list[InboxMessage]:
        """What this phone has got so far, from the message with index `after` on."""
        return self._pool.ask(control.ReadInbox(number=self.number, after=after), list[InboxMessage])

    def taken(self) -> list[Taken]:
        """What the companions of this phone have acknowledged, in order: messages, receipts, notifications."""
        return self._pool.ask(control.ReadTaken(number=self.number), list[Taken])

    def receive(
        self,
        *,
        sender: str | None = None,
        text: str | None = None,
        kind: str | None = None,
        after: int = 0,
        timeout_s: float = PATIENCE_S,
    ) -> InboxMessage:
        """Wait for the first message of this kind from `sender` (a number) that reads `text`; without them, for any.

        Nothing is taken out of the inbox. To wait for a later one, pass `after=message.index + 1`.
        """
        request = control.AwaitMessage(
            number=self.number, sender=sender, text=text, kind=kind, after=after, timeout_s=timeout_s
        )
        return self._pool.ask(request, InboxMessage)

    def wait_inbox(self, count: int, *, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the inbox holds at least `count` messages. Returns how many it holds."""
        return self._pool.ask(control.AwaitInbox(number=self.number, count=count, timeout_s=timeout_s), int)

    def set_policy(self, policy: Policy) -> None:
        """How far this phone acknowledges what it gets from now on, by itself. A new phone reads everything."""
        self._pool.ask(control.SetPolicy(number=self.number, policy=policy), type(None))

    def set_echo(self, on: bool) -> None:
        """Answer every text with the same text, or stop doing so."""
        self._pool.ask(control.SetEcho(number=self.number, on=on), type(None))

    def acknowledge(self, message_id: str, as_: Acknowledgement) -> None:
        """Send one receipt for a message in the inbox, now, however often and in whatever order."""
        self._pool.ask(control.Acknowledge(number=self.number, message_id=message_id, type=as_), type(None))

    def wait_receipt(
        self, message_id: str, *, as_: str | None = None, timeout_s: float = PATIENCE_S
    ) -> CompanionReceipt:
        """Wait until a companion has receipted a message this phone sent; `as_` picks one type of receipt."""
        request = control.AwaitReceipt(number=self.number, message_id=message_id, type=as_, timeout_s=timeout_s)
        return self._pool.ask(request, CompanionReceipt)

    def unlink(self) -> None:
        """Log all companions of this phone out, as "linked devices → log out" does."""
        from chatbot_erp.sandbox.faults import LoggedOut

        self.fault(LoggedOut())

    def fault(self, fault: Fault) -> None:
        """Play a fault on this phone's companions."""
        self._pool.ask(control.PlayFault(fault=fault, number=self.number), type(None))

    def heal(self) -> None:
        """End every lasting fault of this number."""
        self._pool.ask(control.Heal(number=self.number), type(None))

    @property
    def is_online(self) -> bool:
        """Whether a companion of this phone is logged in and listening."""
        return self.view().online

    def view(self) -> PhoneView:
        """This phone as the network sees it now."""
        return self._pool.ask(control.ReadPhone(number=self.number), PhoneView)

    def wait_online(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a companion of this phone is logged in and listening."""
        request = control.AwaitPresence(number=self.number, online=True, timeout_s=timeout_s)
        self._pool.ask(request, type(None))

    def wait_offline(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until no companion of this phone is connected."""
        request = control.AwaitPresence(number=self.number, online=False, timeout_s=timeout_s)
        self._pool.ask(request, type(None))


def _first_line(process: subprocess.Popen[bytes], timeout_s: float) -> Address:
    """The address the server prints when it is ready."""
    import selectors

    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(timeout_s):
            raise TimeoutError(f"The sandbox network did not start within {timeout_s:.0f} s.")
    line = process.stdout.readline()
    if not line:
        raise SandboxError(f"The sandbox network ended at its start, with exit code {process.wait()}.")
    return msgspec.json.decode(line, type=Address)
