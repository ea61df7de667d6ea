"""neonize, tamed: typed, quiet, safe to call from several threads. The only file that imports its library.

Relied on here, and found in the source of neonize 0.5.2 only: the Go library keeps its clients in unlocked maps
(wa_guard.py); it keeps pointers to a client's callbacks for as long as it likes; `connect` blocks until `stop`, and
after a QR that ran out for ever; `stop` throws away events that were not handed over yet; an answer about a number
may be a LID, whose phone number only the library's own store knows; where files are uploaded to it says in an error only;
it listens when its dial is over, and for ever in vain where a refused login has erased the session by then.
"""

import ctypes
import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

# python-magic, which neonize imports, finds the libmagic of this package where the system has none.
import pylibmagic  # noqa: F401
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]
from neonize import _binder, client, events  # type: ignore[import-untyped]
from neonize.client import NewClient  # type: ignore[import-untyped]
from neonize.exc import NeonizeError  # type: ignore[import-untyped]
from neonize.proto.Neonize_pb2 import JID, MessageInfo  # type: ignore[import-untyped]
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps  # type: ignore[import-untyped]
from neonize.utils.enum import MediaType  # type: ignore[import-untyped]
from neonize.utils.jid import build_jid  # type: ignore[import-untyped]

from chatbot_erp.actors import wa_neonize_people
from chatbot_erp.actors.contents import Sendable
from chatbot_erp.actors.questions import AnyAnswer, AnyQuestion
from chatbot_erp.actors.wa_client import (
    NO_CLIENT,
    NOT_COMPOSED,
    Hearing,
    LibraryError,
    MediaConnection,
    Receipt,
    Uploaded,
)
from chatbot_erp.actors.wa_compose import compose
from chatbot_erp.actors.wa_guard import MapGuard
from chatbot_erp.actors.wa_media_connection import overhear
from chatbot_erp.actors.wa_message import jid_text
from chatbot_erp.actors.wa_session import Link, Session

log = logging.getLogger(__name__)

# Left alone, the Go side formats every node it sees and hands it over, only to be dropped here.
logging.getLogger("neonize.utils.log").setLevel(logging.WARNING)
# It warns that ffmpeg is missing, which is not used here.
logging.getLogger("neonize.utils.ffmpeg").setLevel(logging.ERROR)

# neonize 0.5.2 reads the answers of all functions of Go but this one, which it hands on as a pointer.
_binder.gocode.DecryptPollVote.errcheck = _binder.consume_bytes_struct


class _UntilSet(threading.Event):
    """What neonize waits for in `connect`, five times a second, to notice a Ctrl-C that comes to the main thread only.

    With 200 numbers those looks were most of what a manager did while nothing happened: 3.4 of 5.3 % of a core.
    """

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait()


client.ThreadEvent = _UntilSet

Heard = TypeVar("Heard")

_HEARD = (
    events.PairStatusEv,
    events.ConnectedEv,
    events.DisconnectedEv,
    events.LoggedOutEv,
    events.StreamReplacedEv,
    events.TemporaryBanEv,
    events.ConnectFailureEv,
    events.ClientOutdatedEv,
    events.StreamErrorEv,
    events.KeepAliveTimeoutEv,
    events.KeepAliveRestoredEv,
    events.MessageEv,
    events.ReceiptEv,
    events.UndecryptableMessageEv,
    events.CallOfferEv,
    events.CallOfferNoticeEv,
    events.JoinedGroupEv,
    events.GroupInfoEv,
    events.BlocklistEv,
    events.PresenceEv,
    events.ChatPresenceEv,
)

_guard = MapGuard()
_numbers = itertools.count(1)
_kept: list[NewClient] = []


class NeonizeClient:
    """A `wa_client.Client` over one client of the Go library."""

    def __init__(self, session: Session, hearing: Hearing) -> None:
        self._session = session
        self._library = _Library(hearing)
        self._stopped = False
        self._asking = threading.Lock()

    def connect(self) -> None:
        self._library.point_at(self._session.link)
        _guard.begin_long_change(self._library.alive)
        try:
            # It may have waited for its turn longer than anybody wanted it.
            if not self._stopped:
                _translated(self._library.connect)
        finally:
            self._library.alive.set()

    def await_life(self, patience_s: float) -> bool:
        return self._library.alive.wait(patience_s)

    def disconnect(self) -> None:
        with _guard.look_up():
            self._library.disconnect()

    def stop(self) -> None:
        with _guard.change():
            self._stopped = True
            self._library.stop()

    def log_out(self) -> None:
        with self._client() as library:
            _translated(library.logout)

    def is_connected(self) -> bool:
        with self._client() as library:
            return bool(library.is_connected)

    def is_logged_in(self) -> bool:
        with self._client() as library:
            return bool(library.is_logged_in)

    def send(self, jid: str, content: Sendable, file: Uploaded | None = None) -> Receipt:
        try:
            message = compose(content, jid, file, at_ms=int(time.time() * 1000), secret=secrets.token_bytes(32))
        except Exception as ex:
            log.exception("A message of the type %s could not be composed.", type(content).__name__)
            raise LibraryError(f"{NOT_COMPOSED}: {type(ex).__name__}") from ex
        with self._client() as library:
            response = _translated(library.send_message, _jid(jid), message)
        return Receipt(message_id=response.ID, at=response.Timestamp)

    def media_connection(self) -> MediaConnection:
        with self._asking, self._client() as library:
            return overhear(
                lambda: _translated(library.upload, b"\0", MediaType.MediaDocument),
                lambda proxy: library.set_proxy_address(proxy, no_websocket=True),
            )

    def find(self, numbers: Sequence[str]) -> dict[str, str]:
        with self._client() as library:
            answers = _translated(library.is_on_whatsapp, *(f"+{number}" for number in numbers))
        found = {answer.Query.lstrip("+"): jid_text(answer.JID) for answer in answers if answer.IsIn}
        return {number: jid for number, jid in found.items() if jid}

    def phone_number_of(self, lid: str) -> str | None:
        with self._client() as library:
            return jid_text(_translated(library.get_pn_from_lid, _jid(lid)))

    def ask(self, question: AnyQuestion) -> AnyAnswer:
        answer: AnyAnswer = _translated(wa_neonize_people.answer, self._call, question)
        return answer

    def own_name(self) -> str:
        with self._client() as library:
            return str(_translated(library.get_me).PushName)

    def pairing_code(self, number: str) -> str:
        with self._client() as library:
            code: str = _translated(library.PairPhone, number, True)
        return code

    def chosen(self, vote: Any) -> tuple[bytes, ...]:
        # The key comes from the library's store alone, so this does not wait for WhatsApp.
        with self._client() as library:
            return tuple(_translated(library.decrypt_poll_vote, vote).selectedOptions)

    def _call(self, method: str, *arguments: object, **named: object) -> Any:
        """One method of the library: what makes several calls must be admitted to the maps for each."""
        with self._client() as library:
            return getattr(library, method)(*arguments, **named)

    @contextmanager
    def _client(self) -> "Iterator[_Library]":
        """Many calls on a client that Go does not have, not yet or no more, would end the process."""
        with _guard.look_up():
            if self._stopped or not self._library.heard:
                raise LibraryError(NO_CLIENT)
            yield self._library


class _Library(NewClient):  # type: ignore[misc]
    def __init__(self, hearing: Hearing) -> None:
        super().__init__(
            "",
            props=DeviceProps(os="chatbot-erp", platformType=DeviceProps.CHROME),
            uuid=f"client-{next(_numbers)}",
        )
        # At some garbage collection it would stop the client behind the guard's back.
        self._stop_finalizer.detach()
        # Go may still call back, or log, after the client was stopped; into freed memory it would be fatal.
        _kept.append(self)
        self._hearing = hearing
        self.alive = threading.Event()
        self.heard = False
        self.event = _Events(self)
        self.event.list_func = dict.fromkeys((events.EVENT_TO_INT[kind] for kind in _HEARD), self.hear)
        self.event.qr(self._hear_qr)

    def point_at(self, link: Link) -> None:
        """What `connect` opens. Given to the constructor, a device would take the place of the unique `uuid`."""
        self.name, self.new_device = link.address, link.new
        if link.device is not None:
            user, _, server = link.device.partition("@")
            number, _, device = user.partition(":")
            self.jid = JID(User=number, Device=int(device), RawAgent=0, Integrator=0, Server=server, IsEmpty=False)

    def contact_of(self, jid: Any) -> Any:
        """The names of somebody that this number has seen."""
        return self.contact.get_contact(jid)

    def hear(self, event: Any) -> None:
        self._live()
        self._hearing.event(event)

    def hear_bytes(self, kind: Any, data: bytes) -> None:
        try:
            event = kind.FromString(data)
        except DecodeError:
            log.exception("A %s could not be read.", kind.DESCRIPTOR.name)
            if kind in (events.MessageEv, events.UndecryptableMessageEv):
                self._hearing.garbled(_info_in(data))
        else:
            self.hear(event)

    def _hear_qr(self, _: NewClient, code: bytes) -> None:
        self._live()
        _careful(self._hearing.qr, code.decode())

    def _live(self) -> None:
        self.heard = True
        self.alive.set()

    def _NewClient__onLoginStatus(self, _uuid: int, word: int) -> None:
        """Overrides the private method that prints the address of the word."""
        _careful(self._hearing.login_word, ctypes.string_at(word).decode(errors="replace"))


class _Events(events.Event):  # type: ignore[misc]
    def execute(self, _uuid: int, binary: int, size: int, code: int) -> None:
        _careful(lambda data: self.client.hear_bytes(events.INT_TO_EVENT[code], data), ctypes.string_at(binary, size))


def _info_in(data: bytes) -> Any:
    """The `Info` of a message's event, as far as there is any."""
    info = MessageInfo()
    with suppress(DecodeError):
        for field in UnknownFieldSet(Empty.FromString(data)):
            if field.field_number == events.MessageEv.INFO_FIELD_NUMBER:
                info.MergeFromString(field.data)
    return info


def _careful(hear: Callable[[Heard], None], heard: Heard) -> None:
    """ctypes would swallow what is raised in a callback of Go."""
    try:
        hear(heard)
    except Exception:
        log.exception("What the WhatsApp library said could not be handled.")


def _translated(call: Callable[..., Any], *arguments: object) -> Any:
    try:
        return call(*arguments)
    except NeonizeError as ex:
        raise LibraryError(str(ex)) from ex


def _jid(text: str) -> Any:
    user, _, server = text.partition("@")
    return build_jid(user.partition(":")[0], server)
