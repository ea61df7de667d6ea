"""A WhatsApp connection as a socket host holds it: what the library does and says, in the words of frames.py."""

import logging
import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chatbot_erp.actors import wa_message
from chatbot_erp.actors.frames import (
    Observation,
    OfferPairingCode,
    OpenSocket,
    SocketConnected,
    SocketDisconnected,
    SocketEnded,
    SocketFailedToSend,
    SocketOfferedCode,
    SocketOfferedQr,
    SocketPaired,
    SocketPairingExpired,
    SocketPinged,
    SocketRefusedCode,
    SocketSent,
    SocketStands,
    Transmit,
)
from chatbot_erp.actors.wa_addresses import Addresses, NotOnWhatsApp
from chatbot_erp.actors.wa_client import ClientFactory, Hearing, LibraryError
from chatbot_erp.actors.wa_message import jid_text
from chatbot_erp.actors.wa_port import Report
from chatbot_erp.actors.wa_verdicts import (
    cause_of_failure,
    cause_of_logout,
    cause_of_raise,
    why_not_resolved,
    why_not_sent,
)

log = logging.getLogger(__name__)

FIRST_QR_S, NEXT_QR_S = 60.0, 20.0
LIFE_PATIENCE_S = 30.0
QUIET_S, DRAIN_PATIENCE_S = 0.1, 2.0
PAIRED_PATIENCE_S = 30.0
PROBE_PATIENCE_S = 10.0
"""With the library's keep-alive before it (at most 30 s, and 10 s for its answer), silence is noticed within 50 s."""


class WhatsAppSocket:
    """A `Socket` over one client of the library."""

    def __init__(self, order: OpenSocket, report: Report, make_client: ClientFactory) -> None:
        self._order = order
        self._report = report
        self._client = make_client(
            Path(order.session), Hearing(event=self._hear, qr=self._hear_qr, login_word=self._hear_login)
        )
        self._addresses = Addresses(self._client)
        self._me: Any = None
        self._connected = False
        self._pairing = order.pairing
        self._ended = threading.Event()
        self._code_good_until = 0.0
        self._last_heard = 0.0
        self._probing = threading.Lock()
        self._connections = 0

    def open(self) -> None:
        create_session_file(Path(self._order.session))
        # After an expired QR this thread never ends, nor does the library's own behind it: see `run_host`.
        threading.Thread(target=self._connect, name=f"connect-{self._order.instance}", daemon=True).start()
        self._client.await_life(LIFE_PATIENCE_S)

    def send_text(self, order: Transmit) -> SocketSent | SocketFailedToSend:
        def failed(reason: Any, detail: str) -> SocketFailedToSend:
            return SocketFailedToSend(command_id=order.command_id, reason=reason, detail=detail)

        if not self._connected:
            return failed("not_connected", "The socket is not connected.")
        try:
            if not (self._client.is_connected() and self._client.is_logged_in()):
                return failed("not_connected", "The library is not connected.")
            jid = self._addresses.resolve(order.to)
        except NotOnWhatsApp as ex:
            return failed("not_on_whatsapp", str(ex))
        except LibraryError as ex:
            return failed(why_not_resolved(str(ex)), str(ex))
        try:
            receipt = self._client.send_text(jid, order.text)
        except LibraryError as ex:
            return failed(why_not_sent(str(ex)), str(ex))
        sent_at = datetime.fromtimestamp(receipt.at, UTC) if receipt.at else datetime.now(UTC)
        return SocketSent(
            command_id=order.command_id, message_id=receipt.message_id, jid=jid, sent_at=sent_at, text=order.text
        )

    def offer_pairing_code(self, order: OfferPairingCode) -> SocketOfferedCode | SocketRefusedCode:
        try:
            return SocketOfferedCode(command_id=order.command_id, code=self._client.pairing_code(order.number))
        except LibraryError as ex:
            return SocketRefusedCode(command_id=order.command_id, detail=str(ex))

    def ping(self) -> SocketPinged:
        try:
            receipt = self._client.send_text(jid_text(self._me.JID) or "", "ping")
        except LibraryError as ex:
            return SocketPinged(message_id="", error=str(ex))
        return SocketPinged(message_id=receipt.message_id, error="")

    def standing(self) -> SocketStands:
        try:
            return SocketStands(connected=self._client.is_connected(), logged_in=self._client.is_logged_in())
        except LibraryError:
            return SocketStands(connected=False, logged_in=False)

    def close(self, *, unlink: bool) -> None:
        if unlink and self._connected:
            try:
                self._client.log_out()
            except LibraryError as ex:
                log.warning("The device of %s could not be unlinked: %s", self._order.instance, ex)
        self._ended.set()
        self._connected = False
        self._client.disconnect()
        self._drain()
        self._client.stop()

    def _drain(self) -> None:
        """Let the library hand over what it holds: `stop` would throw it away, and WhatsApp will not send it again."""
        begun = self._last_heard = time.monotonic()
        while (now := time.monotonic()) - self._last_heard < QUIET_S and now - begun < DRAIN_PATIENCE_S:
            time.sleep(QUIET_S / 4)

    def _connect(self) -> None:
        try:
            self._client.connect()
        except LibraryError as ex:
            self._end(cause_of_raise(str(ex)), str(ex))

    def _end(self, cause: str, detail: str = "", retry_at: datetime | None = None) -> None:
        self._end_with(SocketEnded(cause=cause, detail=detail, retry_at=retry_at))

    def _end_with(self, observation: SocketEnded | SocketPairingExpired) -> None:
        """Say it once, and not at all to the one who closes the socket."""
        self._connected = False
        if not self._ended.is_set():
            self._ended.set()
            self._report(observation)

    def _hear_qr(self, qr: str) -> None:
        if not self._order.pairing:
            self._end("unusable_session", "The session file holds no device link.")
            return
        valid_s = NEXT_QR_S if self._code_good_until else FIRST_QR_S
        self._code_good_until = time.monotonic() + valid_s
        self._report(SocketOfferedQr(qr=qr, valid_s=valid_s))

    def _hear_login(self, word: str) -> None:
        if word == "success":
            # The library then reconnects once, and says nothing at all should that fail. The session is good anyway.
            timer = threading.Timer(PAIRED_PATIENCE_S, self._report_paired)
            timer.daemon = True
            timer.start()
        elif word == "timeout" and time.monotonic() >= self._code_good_until - 1:
            self._end_with(SocketPairingExpired())
        elif word == "timeout":
            self._end("unavailable", "The connection broke while a code was shown.")
        elif word == "err-client-outdated":
            self._end("client_outdated")
        elif word != "err-scanned-without-multidevice":
            self._end("pairing_failed", word)

    def _report_paired(self) -> None:
        if self._pairing and self._me is not None and not self._ended.is_set():
            self._pairing = False
            self._report(SocketPaired(jid=jid_text(self._me.JID) or "", lid=jid_text(self._me.LID)))

    def _hear(self, event: Any) -> None:
        self._last_heard = time.monotonic()
        match event.DESCRIPTOR.name:
            case "Device":
                self._me = event
            case "Message":
                self._pass_on(wa_message.received(event))
            case "Receipt":
                self._pass_on(wa_message.receipt(event))
            case "UndecryptableMessage":
                self._pass_on(wa_message.undecryptable(event))
            case "PairStatus":
                if event.HasField("Error"):
                    self._end("pairing_failed", event.Error)
            case "LoggedOut":
                self._end(cause_of_logout(event.Reason), f"on connecting: {event.OnConnect}")
            case "StreamReplaced":
                self._end("stream_replaced")
            case "TemporaryBan":
                self._end("temporarily_banned", retry_at=datetime.now(UTC) + timedelta(seconds=event.Expire))
            case "ConnectFailure":
                code = _code_of(event.Raw)
                self._end(cause_of_failure(code), f"{code} {event.Message}".strip())
            case "ClientOutdated":
                self._end("client_outdated")
            case "Connected":
                self._hear_connected()
            case "KeepAliveTimeout":
                threading.Thread(target=self._probe, name=f"probe-{self._order.instance}", daemon=True).start()
            case "Disconnected":
                self._connected = False
                self._pass_on(SocketDisconnected(reason="dropped"))
            case name:
                log.warning("%s: %s", self._order.instance, name)

    def _hear_connected(self) -> None:
        if self._ended.is_set():
            return
        if self._pairing:
            self._report_paired()
            return
        self._connected = True
        self._connections += 1
        self._report(
            SocketConnected(
                jid=jid_text(self._me.JID) or "", lid=jid_text(self._me.LID), push_name=self._me.PushName or ""
            )
        )

    def _probe(self) -> None:
        """A keep-alive was not answered: ask WhatsApp something else; a connection that does not answer is deaf."""
        if not self._probing.acquire(blocking=False):
            return
        connection = self._connections
        answered = threading.Event()
        threading.Thread(target=self._ask_about_myself, args=(answered,), daemon=True).start()
        try:
            if answered.wait(PROBE_PATIENCE_S) or not self._connected or self._connections != connection:
                return
            self._end("deaf", "WhatsApp answered neither a keep-alive nor a question.")
        finally:
            self._probing.release()

    def _ask_about_myself(self, answered: threading.Event) -> None:
        try:
            self._client.find([self._me.JID.User])
        except LibraryError as ex:
            if "timed out" in str(ex):
                return
        answered.set()

    def _pass_on(self, observation: Observation | None) -> None:
        if observation is not None:
            self._report(observation)


def create_session_file(path: Path) -> None:
    """Make an empty session in WAL mode, which stays with the file, before the library opens it.

    Only where there is none: this process has a second SQLite (the library's), and opening a file with both would make
    each cancel the other's locks.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(path)) as session:
            session.execute("PRAGMA journal_mode=WAL")


def _code_of(node: Any) -> int:
    """The number in a `<failure reason=…>`; neonize's own enum knows only some."""
    for attribute in node.Attrs:
        if attribute.name == "reason":
            digits = attribute.text or str(attribute.integer)
            return int(digits) if digits.isdecimal() else 0
    return 0
