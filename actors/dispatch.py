"""How what a caller wants gets to the actor of its instance, and the answer, or the verdict of what is sent, to the caller."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, assert_never

import msgspec
import pykka

from chatbot_erp.actors import spans, tidings
from chatbot_erp.actors.callers import Verdict
from chatbot_erp.actors.commands import SendMessage
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.contents import Media, Text
from chatbot_erp.actors.errors import (
    OF_FAILURE,
    BadContent,
    InstanceNotOperational,
    NotOnWhatsApp,
    OutcomeUnknown,
    Unavailable,
    WhatsAppRefused,
)
from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.journal import JournalBroken
from chatbot_erp.actors.lookup import find_message
from chatbot_erp.actors.media_probe import inspected
from chatbot_erp.actors.media_url import UrlFetcher
from chatbot_erp.actors.outbox import Outbox, Parcel
from chatbot_erp.actors.phone_numbers import normalise
from chatbot_erp.actors.requests import command_id
from chatbot_erp.actors.sending import Draft, check_text, complete
from chatbot_erp.actors.turnstile import Turnstile
from chatbot_erp.eventstore.events import MessageFailed, MessageOutcomeUnknown, MessageSent

ASK_PATIENCE_S = 35.0
"""How long an actor may take to answer; a little more than it grants the disk."""

UPLOAD_PATIENCE_S = 600.0


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """WhatsApp's server has the message."""

    message_id: str
    jid: str
    sent_at: datetime


class Dispatch:
    """Any thread may call. `ask(name, message)` is what the actor of this name answers, and raises what it raises."""

    def __init__(self, house: House, outbox: Outbox, ask: Callable[[str, object], Any]) -> None:
        config = house.config
        self._store = house.store
        self._directory = house.directory
        self._outbox = outbox
        self._ask = ask
        self._region = config.default_region
        self._send_timeout_s = config.send_timeout_s
        self._visits = files_at_once(config, "being fetched from URLs")
        self._urls = UrlFetcher(config.webhook_deny, config.media_max_bytes)
        self._end: Future[Any] = Future()

    def release(self) -> None:
        """Who waits for a verdict does so no longer, and nobody will. Once."""
        self._end.set_result(None)

    @contextmanager
    def drafted(self, name: str, draft: Draft, file: Parcel | str | None, *, waits: bool) -> Iterator[SendMessage]:
        """The command for a draft. Its parcel is removed where the caller of this is told that nothing is sent."""
        parcel = file if isinstance(file, Parcel) else None
        try:
            view = self._directory.view(name)
            if view.status not in OPERATIONAL or view.account is None:
                raise InstanceNotOperational(f"The instance is {view.status}, not CONNECTED or DEGRADED.")
            find = partial(find_message, self._store, view.id)
            whole = complete(draft, find, view.account, self._region)
            content = whole.content
            if isinstance(content, Media) != (file is not None):
                raise BadContent("A file belongs to this type." if file is None else "No file belongs to this type.")
            if isinstance(file, str):
                self._ask(name, tidings.AskRoom(waits=waits))
                with self._visits.passed(view.id), self._urls.open(file) as visit:
                    parcel = self._outbox.take(visit.file, mime_type=visit.file.mime_type)
            if isinstance(content, Media) and parcel is not None:
                content = inspected(content, self._outbox.path(parcel.id), parcel)
            own_id = parcel.id if parcel is not None else command_id()
            yield SendMessage(command_id=own_id, number=whole.to, content=content)
        except OutcomeUnknown:
            # The host may still need it; it goes when there is a verdict.
            raise
        except BaseException:
            if parcel is not None:
                self._outbox.remove(parcel.id)
            raise

    def accept(self, name: str, command: SendMessage) -> str:
        """Have it put on record, to be sent as soon as can be; the id of the command."""
        accepted: Future[None] = self._ask(name, tidings.Accept(command=command))
        try:
            accepted.result(ASK_PATIENCE_S)
        except FutureTimeout as ex:
            raise OutcomeUnknown("The disk has not answered in time; it may still be sent.") from ex
        return command.command_id

    def deliver(self, name: str, command: SendMessage, patience_s: float = 0.0) -> Sent:
        """Have it sent, and wait for the verdict; `patience_s` longer than for a text."""
        caller: Future[Verdict] = Future()
        send_timeout_s = self._send_timeout_s + patience_s
        try:
            self._directory.find(name).actor.tell(tidings.Deliver(command=command, caller=caller))
            with spans.span("await acknowledgement"):
                verdict = self._verdict(caller, send_timeout_s)
        except pykka.ActorDeadError as ex:
            raise Unavailable("The instance is being brought back to life.") from ex
        match verdict:
            case MessageSent():
                return Sent(message_id=verdict.message_id, jid=verdict.jid, sent_at=verdict.sent_at)
            case MessageFailed(reason=reason, detail=detail):
                kind = OF_FAILURE.get(reason, WhatsAppRefused)
                failure = kind(f"{command.number} is not on WhatsApp." if kind is NotOnWhatsApp else detail)
                failure.on_record = True
                raise failure
            case MessageOutcomeUnknown(reason=reason):
                raise OutcomeUnknown(f"No acknowledgement came ({reason}).")
            case _:
                assert_never(verdict)

    def _verdict(self, caller: Future[Verdict], patience_s: float) -> Verdict:
        taken_in_s = min(ASK_PATIENCE_S, patience_s)
        wait((caller, self._end), taken_in_s, FIRST_COMPLETED)
        if caller.cancel():
            raise Unavailable("The instance did not take the message in time. It is not sent.")
        wait((caller, self._end), patience_s - taken_in_s, FIRST_COMPLETED)
        if not caller.done():
            raise OutcomeUnknown("WhatsApp has not acknowledged the message in time.")
        return caller.result()


def files_at_once(config: Config, way: str) -> Turnstile:
    """So many files may be on this way at a time that most threads are left to others."""
    share = max(2, config.http_threads // 4)
    return Turnstile(most=share, most_of_one=share // 2, refusal=f"Too many files are {way} already.")


def text_message(number: str, text: str, region: str | None) -> SendMessage:
    """The command for a text to a number or jid as a caller wrote it. Raises `BadNumber`, `BadMessage`."""
    to = normalise(number, region)
    check_text(text)
    return SendMessage(command_id=command_id(), number=to, content=Text(text=text))


def ask(actor: pykka.ActorRef[Any], message: object) -> Any:
    """The actor's answer. Raises what it raises, `Unavailable` if it is gone, `OutcomeUnknown` if it is too slow."""
    try:
        return actor.ask(message, timeout=ASK_PATIENCE_S)
    except pykka.ActorDeadError as ex:
        raise Unavailable("The instance is being brought back to life.") from ex
    except JournalBroken as ex:
        raise OutcomeUnknown("The disk has not answered in time; it may still be done.") from ex
    except pykka.Timeout as ex:
        raise OutcomeUnknown("The instance has not answered in time; it may still do what was asked.") from ex
