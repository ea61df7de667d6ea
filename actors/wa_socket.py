"""A WhatsApp connection as a socket host holds it: what the library does and says, in the words of frames.py."""

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

from chatbot_erp.actors import wa_groups, wa_message
from chatbot_erp.actors.contents import Text, join
from chatbot_erp.actors.frames import (
    Observation,
    OfferPairingCode,
    OpenSocket,
    SocketConnected,
    SocketDisconnected,
    SocketEnded,
    SocketFailedToSend,
    SocketOfferedCode,
    SocketPairingExpired,
    SocketPinged,
    SocketRefusedCode,
    SocketSent,
    SocketStands,
    Transmit,
)
from chatbot_erp.actors.people_frames import Ask, Reply, SocketDeclined
from chatbot_erp.actors.questions import Activity
from chatbot_erp.actors.wa_addresses import Addresses, NotOnWhatsApp
from chatbot_erp.actors.wa_client import Hearing, LibraryError, Uploaded
from chatbot_erp.actors.wa_files import SocketFiles
from chatbot_erp.actors.wa_message import jid_text
from chatbot_erp.actors.wa_pairing import Pairing
from chatbot_erp.actors.wa_people import People
from chatbot_erp.actors.wa_port import Loaded, Report, failed
from chatbot_erp.actors.wa_session import LAST_CAUSES, ClientFactory, Session
from chatbot_erp.actors.wa_verdicts import (
    cause_of_failure,
    cause_of_logout,
    cause_of_raise,
    end_of_ban,
    why_not_resolved,
    why_not_sent,
)
from chatbot_erp.actors.wa_watch import Watch

log = logging.getLogger(__name__)

LIFE_PATIENCE_S = 30.0
QUIET_S, DRAIN_PATIENCE_S = 0.1, 2.0

UNLINK_PATIENCE_S = 10.0
"""How long a connection that is on its way is waited for where it is wanted to unlink the device."""

MESSAGES = frozenset({"Message", "UndecryptableMessage"})
"""Events that tell of what somebody wrote."""


class WhatsAppSocket:
    """A `Socket` over one client of the library."""

    def __init__(self, order: OpenSocket, report: Report, make_client: ClientFactory, session: Session) -> None:
        self._order = order
        self._report = report
        self._session = session
        self._client = make_client(
            session,
            Hearing(
                event=self._hear,
                garbled=self._hear_garbled,
                qr=self._hear_qr,
                login_word=lambda word: self._pairing.hear(word),
            ),
        )
        self._addresses = Addresses(self._client)
        self._people = People(self._client, self._addresses, report)
        self._files = SocketFiles(self._client)
        self._me: Any = None
        self._last_heard = 0.0
        self._end_is_news = True
        self._watch = Watch(
            order.instance,
            self._client,
            give_up=self._end,
            report=report,
            ask=lambda: self._client.find([self._me.JID.User]),
        )
        self._pairing = Pairing(
            self._client,
            session,
            self._watch,
            wanted=order.pairing,
            me=lambda: self._me,
            report=report,
            end=self._end_with,
        )

    def open(self) -> None:
        try:
            self._session.prepare(self._lose_session)
        except LibraryError as ex:
            self._end("unavailable", str(ex))
            return
        # After an expired QR this thread never ends, nor does the library's own behind it: see `run_host`.
        threading.Thread(target=self._connect, name=f"connect-{self._order.instance}", daemon=True).start()
        self._client.await_life(LIFE_PATIENCE_S)

    def upload(self, order: Transmit) -> Loaded | SocketFailedToSend:
        if not self._watch.connected:
            return failed(order, "not_connected", "The socket is not connected.")
        return self._files.upload(order)

    def show_typing(self, order: Transmit) -> bool:
        activity: Activity = "recording" if order.kind == "voice" else "typing"
        try:
            self._people.show_activity(order.to, activity)
        except (NotOnWhatsApp, LibraryError):
            return False
        return True

    def send(self, order: Transmit, file: Uploaded | None = None) -> SocketSent | SocketFailedToSend:
        if not self._watch.connected:
            return failed(order, "not_connected", "The socket is not connected.")
        try:
            if not (self._client.is_connected() and self._client.is_logged_in()):
                return failed(order, "not_connected", "The library is not connected.")
            jid = self._addresses.resolve(order.to)
        except NotOnWhatsApp as ex:
            return failed(order, "not_on_whatsapp", str(ex))
        except LibraryError as ex:
            return failed(order, why_not_resolved(str(ex)), str(ex))
        try:
            content = join(order.kind, order.text, order.content)
            receipt = self._client.send(jid, content, file)
        except LibraryError as ex:
            return failed(order, why_not_sent(str(ex)), str(ex), jid)
        sent_at = datetime.fromtimestamp(receipt.at, UTC) if receipt.at else datetime.now(UTC)
        return SocketSent(
            command_id=order.command_id,
            message_id=receipt.message_id,
            jid=jid,
            sent_at=sent_at,
            text=order.text,
            kind=order.kind,
            content=order.content,
            to=order.to,
        )

    def offer_pairing_code(self, order: OfferPairingCode) -> SocketOfferedCode | SocketRefusedCode:
        try:
            return SocketOfferedCode(command_id=order.command_id, code=self._client.pairing_code(order.number))
        except LibraryError as ex:
            return SocketRefusedCode(command_id=order.command_id, detail=str(ex))

    def answer(self, order: Ask) -> Reply:
        if not self._watch.connected:
            detail = "The socket is not connected."
            return SocketDeclined(request=order.request, reason="not_connected", detail=detail)
        return self._people.answer(order)

    def ping(self) -> SocketPinged:
        try:
            receipt = self._client.send(jid_text(self._me.JID) or "", Text(text="ping"))
        except LibraryError as ex:
            return SocketPinged(message_id="", error=str(ex))
        return SocketPinged(message_id=receipt.message_id, error="")

    def standing(self) -> SocketStands:
        if self._pairing.is_due:
            # The library is logged in from the scan on; whose number it is has not been said, and a new socket would undo it.
            return SocketStands(connected=self._watch.standing().connected, logged_in=False)
        return self._watch.standing()

    def close(self, *, unlink: bool) -> bool:
        unlinked = False
        if unlink and self._watch.await_connection(0.0 if self._order.pairing else UNLINK_PATIENCE_S):
            self._end_is_news = False
            try:
                self._client.log_out()
                unlinked = True
            except LibraryError as ex:
                log.warning("The device of %s could not be unlinked: %s", self._order.instance, ex)
        self._files.stop()
        self._watch.end()
        self._client.disconnect()
        self._drain()
        self._client.stop()
        self._session.release()
        return unlinked

    def _lose_session(self) -> None:
        """Without its keys nothing that comes can be read. WhatsApp keeps it for who is not there."""
        self._client.disconnect()
        self._end("unavailable", "The database with the session is away.")

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
        """Say it once; after that, and to the one who closes the socket, only that it was the last: the session is no more.

        Of the last it is noted first: nobody may be left to say it, or to hear it. Who has been given up for something
        else may still meet it, as the library goes on until it is stopped.
        """
        last = observation.cause if isinstance(observation, SocketEnded) and observation.cause in LAST_CAUSES else None
        if last and self._end_is_news:
            self._session.end(last)
        is_open = self._watch.end()
        if self._end_is_news and (is_open or last):
            self._end_is_news = last is None
            self._report(observation)

    def _hear_qr(self, qr: str) -> None:
        if not self._order.pairing:
            self._end(self._session.ended() or "unusable_session", "The session holds no device link.")
            return
        self._pairing.offer(qr)

    def _hear_garbled(self, info: Any) -> None:
        """The library has acknowledged it to WhatsApp: it comes no more, so it is told as far as it can be read."""
        self._last_heard = time.monotonic()
        self._pass_on(wa_message.unreadable(info))

    def _hear(self, event: Any) -> None:
        self._last_heard = time.monotonic()
        try:
            self._take_in(event)
        except Exception:
            log.exception("%s: %s could not be handled.", self._order.instance, event.DESCRIPTOR.name)
            if event.DESCRIPTOR.name in MESSAGES:
                self._pass_on(wa_message.unreadable(event.Info))

    def _take_in(self, event: Any) -> None:
        match event.DESCRIPTOR.name:
            case "Device":
                self._me = event
            case "Message":
                self._pass_on(wa_message.received(event, self._jids(), self._chosen(event)))
            case "Receipt":
                self._pass_on(wa_message.receipt(event))
            case "UndecryptableMessage":
                self._pass_on(wa_message.undecryptable(event))
            case "CallOffer" | "CallOfferNotice":
                self._pass_on(wa_message.call(event, self._jids()))
            case "JoinedGroup":
                self._pass_on(wa_groups.joined(event))
            case "GroupInfoEvent":
                self._pass_on(wa_groups.changed(event))
            case "BlocklistEvent":
                self._pass_on(wa_groups.blocklist(event))
            case "Presence":
                self._pass_on(self._people.watched.presence(event))
            case "ChatPresence":
                self._pass_on(self._people.watched.activity(event))
            case "PairStatus":
                if event.HasField("Error"):
                    self._end("pairing_failed", event.Error)
            case "LoggedOut":
                self._end(cause_of_logout(event.Reason), f"on connecting: {event.OnConnect}")
            case "StreamReplaced":
                self._end("stream_replaced")
            case "TemporaryBan":
                self._end("temporarily_banned", retry_at=end_of_ban(datetime.now(UTC), event.Expire))
            case "ConnectFailure":
                code = _code_of(event.Raw)
                self._end(cause_of_failure(code), f"{code} {event.Message}".strip())
            case "ClientOutdated":
                self._end("client_outdated")
            case "Connected":
                self._hear_connected()
            case "KeepAliveTimeout":
                self._watch.was_not_answered()
            case "StreamError":
                self._watch.was_complained_of()
            case "Disconnected" if not self._watch.is_over:
                self._pass_on(SocketDisconnected(reason="dropped"))
                self._people.watched.forget()
                if not self._pairing.is_due:
                    self._watch.broke()
            case name:
                log.warning("%s: %s", self._order.instance, name)

    def _hear_connected(self) -> None:
        if self._watch.is_over:
            return
        if self._pairing.is_due:
            self._pairing.connected()
            return
        self._watch.opened()
        self._report(
            SocketConnected(
                jid=jid_text(self._me.JID) or "", lid=jid_text(self._me.LID), push_name=self._me.PushName or ""
            )
        )

    def _jids(self) -> wa_message.Me:
        me = self._me
        return tuple(filter(None, (jid_text(me.JID), jid_text(me.LID)))) if me is not None else ()

    def _chosen(self, event: Any) -> tuple[bytes, ...] | None:
        """What a vote in a poll is for, or None for all else, and where the library lacks the poll's key."""
        if not event.Message.HasField("pollUpdateMessage"):
            return None
        try:
            return self._client.chosen(event)
        except LibraryError as ex:
            log.warning("%s: a vote could not be decrypted: %s", self._order.instance, ex)
        except Exception:
            log.exception("%s: a vote could not be decrypted.", self._order.instance)
        return None

    def _pass_on(self, observation: Observation | None) -> None:
        if observation is not None:
            self._report(observation)


def _code_of(node: Any) -> int:
    """The number in a `<failure reason=…>`; neonize's own enum knows only some."""
    for attribute in node.Attrs:
        if attribute.name == "reason":
            digits = attribute.text or str(attribute.integer)
            return int(digits) if digits.isdecimal() else 0
    return 0
