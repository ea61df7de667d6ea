"""What callers can ask of the house: the synchronous, thread-safe face of the actors.

Every method may be called from any thread. It raises an error of errors.py (or a `StoreError` of the eventstore) and
then says truly what happened: nothing, or unknown.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from datetime import datetime
from threading import Thread
from typing import Any, BinaryIO
from uuid import uuid4

import msgspec
import pykka
from prometheus_client.metrics_core import Metric

from chatbot_erp.actors import media_specs, tidings
from chatbot_erp.actors.api_keys import KeyRing
from chatbot_erp.actors.audit import Audit
from chatbot_erp.actors.commands import ConfigurePacing, CreateInstance, RemoveInstance
from chatbot_erp.actors.directory import Directory, InstanceView
from chatbot_erp.actors.dispatch import (
    ASK_PATIENCE_S,
    UPLOAD_PATIENCE_S,
    Dispatch,
    Sent,
    ask,
    files_at_once,
    text_message,
)
from chatbot_erp.actors.erasing import Erased, Eraser, Held
from chatbot_erp.actors.errors import (
    BadName,
    MessageNotFound,
    NameTaken,
    NoMedia,
    OutcomeUnknown,
    Unavailable,
)
from chatbot_erp.actors.fates import Story
from chatbot_erp.actors.frames import Alive
from chatbot_erp.actors.house import House
from chatbot_erp.actors.lookup import find_received, find_story
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.outbox import Outbox, Parcel
from chatbot_erp.actors.pacing import Pacing
from chatbot_erp.actors.people import People
from chatbot_erp.actors.phone_numbers import digits
from chatbot_erp.actors.rebuild import Past, look_back
from chatbot_erp.actors.sending import Draft
from chatbot_erp.actors.webhook_address import check_url
from chatbot_erp.actors.webhook_control import WebhookControl
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.company import News
from chatbot_erp.eventstore.errors import OutcomeUnknown as StoreOutcomeUnknown
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import (
    EVENT_NAMES,
    InstanceRemoved,
)
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
PULSE_PATIENCE_S = 30.0
LOOK_EVERY_S = 0.05
MEDIA_PATIENCE_S = 600.0


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A new instance and the secret its webhooks are signed with, which is shown this once."""

    view: InstanceView
    webhook_secret: str


class MediaFile(msgspec.Struct, frozen=True, kw_only=True):
    """An open file, its size in bytes, and the type and name that its sender gave it, made harmless."""

    file: BinaryIO
    size: int
    mime_type: str
    name: str


class Manager:
    """Made by `main`; the HTTP room talks to nothing else."""

    def __init__(self, house: House, eraser: Eraser) -> None:
        self._house = house
        self._eraser = eraser
        self._files = MediaFiles(house.config)
        self._region = house.config.default_region
        self._downloads = files_at_once(house.config, "on their way here")
        self.outbox = Outbox(house.config)
        self._dispatch = Dispatch(house, self.outbox, self._ask)
        self.store: EventStore = house.store
        self.directory: Directory = house.directory
        self.people = People(house)
        self.keys = KeyRing(house.vault)
        self.webhooks = WebhookControl(house.store, house.vault, house.directory, house.config, house.now, self._ask)
        self.audit = Audit(house.config.data_dir, house.config.database)
        self.shelf: Vault | None = house.vault if house.store.company.node else None
        """Where what all nodes must know is kept; None where there is one only."""
        self._told_of_nodes: Callable[[Mapping[str, str]], None] = lambda living: None
        self.leaving = self.draining = False
        """Set when the end has begun, `leaving` while instances still work here: `unready` says so."""

    def join(self, url: str) -> None:
        """Have the other nodes, where there are any, know that this one is reached there."""
        supervisor = self._house.supervisor

        def hear(news: News) -> None:
            with suppress(pykka.ActorDeadError):
                supervisor.tell(tidings.Placements(mine=news.mine))
            self._told_of_nodes(news.living)

        self.store.company.announce(url, hear)

    def watch_nodes(self, told: Callable[[Mapping[str, str]], None]) -> None:
        """Have this told which nodes live and where they are reached, on a thread of the store."""
        self._told_of_nodes = told

    def create(self, name: str, webhook_url: str) -> Created:
        """Begin a new instance. Raises `BadName`, `BadWebhookUrl`, `NameTaken`, `OutcomeUnknown`, `Unavailable`.

        Where the outcome is unknown the name stays taken until the log says that nothing has come of it.
        """
        if not NAME.fullmatch(name):
            raise BadName("A name is 1 to 63 letters, digits, '-' or '_', beginning with a letter or digit.")
        check_url(webhook_url, self._house.config.webhook_deny)
        instance = str(uuid4())
        start = tidings.StartInstance(instance=instance, name=name)
        if not self.store.company.reserve(instance, name):
            raise NameTaken(name)
        try:
            actor = ask(self._house.supervisor, start)
            secret = Credentials(self._house.vault, instance, MAIN).make()
            command = CreateInstance(name=name, webhook_url=webhook_url, session_from=self._kept_session(name))
            ask(actor, command)
        except (OutcomeUnknown, StoreOutcomeUnknown):
            self._house.supervisor.tell(tidings.CreationDoubted(instance=instance))
            raise
        except BaseException:
            self._house.supervisor.tell(tidings.ForgetInstance(instance=instance))
            raise
        return Created(view=self.directory.view(name), webhook_secret=secret)

    def send_text(self, name: str, number: str, text: str) -> Sent:
        """Send and wait for the server's acknowledgement.

        Raises `InstanceNotFound`, `InstanceNotOperational`, `BadNumber`, `BadMessage`, `NotOnWhatsApp`,
        `WhatsAppRefused`, `AskedTooMuch`, `SendingTooFast`, `OutcomeUnknown`, `Unavailable`.
        """
        return self._dispatch.deliver(name, text_message(number, text, self._region))

    def accept_text(self, name: str, number: str, text: str) -> str:
        """Put a message on record, to be sent as soon as can be; the id of the command, by which `story` knows it.

        Raises as `send_text` what is wrong before anything is sent.
        """
        return self._dispatch.accept(name, text_message(number, text, self._region))

    def send(self, name: str, draft: Draft, file: Parcel | str | None = None) -> Sent:
        """As `send_text`, for a message of any kind; `file` is in the outbox, or the URL of one.

        Raises also `BadContent`, `BadMedia`, `BadMediaUrl`, `MediaTooLarge`, `MessageNotFound`. Whatever becomes of the
        message, a parcel is removed when that is known.
        """
        with self._dispatch.drafted(name, draft, file, waits=True) as command:
            return self._dispatch.deliver(name, command, UPLOAD_PATIENCE_S if file is not None else 0.0)

    def accept(self, name: str, draft: Draft, file: Parcel | str | None = None) -> str:
        """As `accept_text`, for a message of any kind; see `send`."""
        with self._dispatch.drafted(name, draft, file, waits=False) as command:
            return self._dispatch.accept(name, command)

    def story(self, instance: str, message_id: str) -> Story:
        """What became of a message of the instance with this id, sent or received. Raises `MessageNotFound`.

        `message_id` is WhatsApp's, or the id of an accepted command.
        """
        found = find_story(self.store, instance, message_id)
        if found is None:
            raise MessageNotFound(f"There is no message {message_id}.")
        return found

    def pairing_code(self, name: str, number: str) -> str:
        """A code to type into the phone instead of scanning. Raises `NotPairing`, `BadNumber`, `WhatsAppRefused`."""
        seeker: Future[str] = self._ask(name, tidings.AskPairingCode(number=digits(number, self._region)))
        try:
            return seeker.result(ASK_PATIENCE_S)
        except FutureTimeout as ex:
            raise Unavailable("WhatsApp gave no pairing code in time.") from ex

    def media(self, name: str, message_id: str) -> MediaFile:
        """The file of a message that was received; whoever gets it closes it.

        Raises `MessageNotFound`, `NoMedia`, `MediaGone`, `MediaUnavailable`, `InstanceNotOperational`, `Unavailable`.
        """
        instance, losses = self.directory.find(name).id, self.store.losses
        message = find_received(self.store, instance, message_id)
        if message is None:
            raise MessageNotFound(f"{name} has received no message {message_id}.")
        media = media_specs.media_in(message.raw, message_id)
        if media is None:
            raise NoMedia(f"A message of the type {message.kind} has no file.")
        try:
            file = self._files.open(instance, media)
            if file is None:
                file = self._fetch(name, instance, media, message.sent_at)
                if self.store.losses != losses:
                    self._files.drop(instance, media)  # it may be of somebody who was forgotten meanwhile
        except OSError as ex:
            raise Unavailable(f"The file could not be kept: {ex.strerror}.") from ex
        return MediaFile(file=file, size=os.fstat(file.fileno()).st_size, mime_type=media.mime_type, name=media.name)

    def _fetch(self, name: str, instance: str, media: media_specs.Media, said_at: datetime) -> BinaryIO:
        target = self._files.new(instance)
        with self._downloads.passed(instance):
            fetched: Future[None] = self._ask(name, tidings.AskMedia(media=media, target=str(target)))
            try:
                fetched.result(MEDIA_PATIENCE_S)
            except FutureTimeout as ex:
                raise Unavailable("The file has not come in time.") from ex
        return self._files.take(instance, media, target, said_at)

    def pace(self, name: str, pacing: Pacing) -> None:
        """Have the instance send so fast from now on."""
        self._ask(name, ConfigurePacing(pacing=pacing))

    def restart(self, name: str) -> None:
        """Have the instance make a new socket. Raises `Unavailable` where too many want that already."""
        entry = self.directory.find(name)
        self._house.supervisor.tell(tidings.RestartWanted(instance=entry.id))

    def remove(self, name: str, *, unlink: bool) -> None:
        """End the instance; with `unlink` the session goes too, and the device link where a connection can be had for it."""
        self._ask(name, RemoveInstance(unlink=unlink))

    def past(self, instance: str, *, position: int | None = None, at: datetime | None = None) -> Past:
        """The instance with this id, and its last messages, as they were after a global position or at a moment.

        Raises `HistoryTooLong`.
        """
        return look_back(self.store, instance, until=position, at=at)

    def held(self, number: str, *, after: int, limit: int) -> Held:
        """A page of what the log holds of somebody. Raises `BadNumber`."""
        return self._eraser.held(number, after=after, limit=limit)

    def erase(self, number: str) -> Erased:
        """Forget somebody for ever, at all nodes; WhatsApp and receivers of webhooks keep what they have.

        Raises `BadNumber`, `ErasureUnfinished`; `StoreError` where nothing was done.
        """
        return self._eraser.erase(number, self._house.now())

    def hand_over(self, patience_s: float) -> None:
        """The end has begun: have other nodes, where some can, take the instances, a few at a time; meanwhile all go on.

        Returns when they have them, or after so long.
        """
        if not self.store.company.node:
            return
        self.leaving = True
        deadline = time.monotonic() + patience_s
        # A database that does not answer holds up no end.
        handing_over = Thread(target=self._hand_over, args=(deadline,), name="hand-over", daemon=True)
        handing_over.start()
        handing_over.join(patience_s)

    def _hand_over(self, deadline: float) -> None:
        company, is_told = self.store.company, False
        while time.monotonic() < deadline:
            # The database may be away for a moment only.
            with suppress(StoreError):
                if not is_told:
                    company.leave()
                    is_told = True
                if not company.can_part():
                    return
            time.sleep(LOOK_EVERY_S)

    def drain(self) -> None:
        """The end has begun: take no new work, restart nothing, let webhooks end with their present attempt."""
        self.draining = True
        self.audit.stop()
        self._house.supervisor.tell(tidings.Drain())

    def release_callers(self) -> None:
        """Who still waits for what it sends is told that the outcome is unknown, before it is cut off. Once."""
        self._dispatch.release()

    def pulse_age_s(self) -> float:
        """How long ago the supervisor last looked around."""
        return self._house.pulse.age_s()

    def unready(self) -> str | None:
        """Why new work should go elsewhere right now, or None."""
        if self.leaving or self.draining:
            return "The manager is shutting down."
        if self.pulse_age_s() > PULSE_PATIENCE_S:
            return "The supervisor does not answer."
        return self.store.healthy()

    def tallies(self) -> dict[tuple[str, str], int]:
        """What was counted since the start, as in `Tallies`: restarts by cause, hosts lost by cause, parked by kind."""
        return self._house.tallies.read()

    def latencies(self) -> Iterator[Metric]:
        """How long appends and deliveries took since the start, for Prometheus."""
        return self._house.latencies.collect()

    def host_vitals(self) -> tuple[Alive, ...]:
        """What each socket host last said of itself, some seconds ago at most."""
        return self._house.pulse.hosts

    def _ask(self, name: str, message: object) -> Any:
        """Ask the actor of this name. Raises what it raises.

        `Unavailable` where it never took the message, `OutcomeUnknown` where it may still do so.
        """
        return ask(self.directory.find(name).actor, message)

    def _kept_session(self, name: str) -> str | None:
        """The last removed instance of this name, if its session was kept for the next one."""
        former = next(iter(self.store.streams_named(name)), None)
        if former is None:
            return None
        removals = self.store.read(stream=former, types={EVENT_NAMES[InstanceRemoved]}, limit=1)
        kept = any(isinstance(each.event, InstanceRemoved) and each.event.session_kept for each in removals)
        return former if kept else None
