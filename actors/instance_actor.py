"""The shell around one instance: decide, append, evolve, then do what follows (deeds.py). Nothing else has effects.

The actor is the only writer of its stream. What it is told while the disk refuses writes is not lost: commands wait
in `_owed`, and what a socket saw stays with its host; `RepeatDue` takes both up again.
"""

import math
import time
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pykka
import structlog

from chatbot_erp.actors import effects, frames, tidings
from chatbot_erp.actors.callers import Callers
from chatbot_erp.actors.commands import (
    Command,
    ConfigurePacing,
    CreateInstance,
    DoubtPending,
    LoseSocket,
    MissMedia,
    Observed,
    RemoveInstance,
    RestartInstance,
)
from chatbot_erp.actors.confirmations import Confirmations
from chatbot_erp.actors.deeds import Deeds, endpoint_ids
from chatbot_erp.actors.directory import Qr
from chatbot_erp.actors.downloads import Downloads
from chatbot_erp.actors.endpoint import DisableEndpoint, EndpointCommand
from chatbot_erp.actors.errors import NotPairing, Refused, Unavailable, WhatsAppRefused
from chatbot_erp.actors.fates import fate_of
from chatbot_erp.actors.hearsay import Hearsay, needs_what_was_staged
from chatbot_erp.actors.house import HostGone, House
from chatbot_erp.actors.instance_mail import Mailbox
from chatbot_erp.actors.journal import Journal, JournalBroken, Settle
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_frames import SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.parking import Parking, kind_of
from chatbot_erp.actors.state import Instance, State
from chatbot_erp.actors.tallies import DISREGARDED, EVENTS, FATES
from chatbot_erp.actors.webhook_news import Bulletin
from chatbot_erp.actors.webhooks import Webhooks
from chatbot_erp.eventstore.errors import NotStorable, StoreError
from chatbot_erp.eventstore.events import Status

log = structlog.get_logger()

LARGEST_BATCH = 64
"""Commands that share an append at most."""

REPEAT_AFTER_S = 1.0
SAME_OUTAGE_S = 60.0
"""A log that refuses again within this time, and took nothing meanwhile, is in the outage of which it was said."""


class InstanceActor(pykka.ThreadingActor):
    """One number. Its creation and removal, and what concerns endpoints, are asked, most else is told.

    Messages, sends and verdicts of deliveries are staged while the mailbox has more, and appended together; what is
    rare is appended alone.
    """

    use_daemon_thread = True

    def __init__(self, instance: str, house: House, webhooks: Webhooks, state: State, version: int) -> None:
        super().__init__()
        self._id = instance
        self._house = house
        self._webhooks = webhooks
        self._journal = Journal(instance, house.store, house.now, state, version)
        self._qr: Qr | None = None
        self._callers = Callers(self._journal, most=max(1, house.config.http_threads // 2))
        self._owed: list[Command] = []
        self._stalled = False
        self._refused_at = -math.inf
        """When the log last refused something, where it took nothing since. Of monotonic time."""
        self._confirmations = Confirmations(instance)
        self._parking = Parking(instance, house)
        self._downloads = Downloads(
            instance, MediaFiles(house.config), self._order, lambda: house.store.losses, self._miss
        )
        self._hearsay = Hearsay(instance, house.store)
        self._deeds = Deeds(
            instance, house, webhooks, self._callers, self._downloads, order=self._order, unsent=self._report_unsent
        )

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Mailbox()

    def on_stop(self) -> None:
        """Runs in the actor's thread, after an orderly stop only."""
        try:
            self._write()
        finally:
            self._let_go()

    def on_failure(self, exception_type: object, exception_value: object, traceback: object) -> None:
        """Runs in the actor's thread after an error under `tell`, in place of `on_stop`."""
        self._let_go()
        self._report_failure()

    def on_receive(self, message: object) -> object:
        try:
            try:
                return self._take(message)
            finally:
                # Also after a refusal: what others staged must not wait for the next message.
                if self.actor_inbox.empty() or len(self._journal) >= LARGEST_BATCH:
                    self._write()
                    self._confirmations.send()
        except JournalBroken:
            self._fail()
            raise
        except StoreError as ex:
            if not ex.retryable and not isinstance(ex, NotStorable):
                self._fail()
            raise

    def _take(self, message: object) -> object:
        match message:
            case tidings.Heard(observed=Observed(observation=seen)) if isinstance(seen, frames.Fact):
                self._hear(message)
            case tidings.Deliver(command=command, caller=caller):
                self._callers.deliver(command, caller)
            case tidings.Settled(verdicts=verdicts):
                for verdict in verdicts:
                    self._owe(verdict)
            case tidings.Accept(command=command):
                return self._callers.accept(command)
            case tidings.Ping():
                self._house.supervisor.tell(tidings.Pong(urn=self.actor_urn))
            case _:
                self._write()
                return self._take_alone(message)
        return None

    def _take_alone(self, message: object) -> object:
        match message:
            case tidings.Introduce():
                self._publish()
                self._webhooks.adjust(endpoint_ids(self._journal.state))
            case tidings.Heard(observed=Observed(observation=SocketFetched() | SocketFailedToFetch() as seen)):
                self._downloads.settle(seen)
            case tidings.Heard(observed=observed):
                self._see(observed)
            case Observed():
                return self._take_in(message)
            case tidings.RepeatDue():
                self._take_up()
            case tidings.Came():
                self._house.directory.came(self._id)
            case tidings.IsQuiet():
                return not (self._stalled or self._owed)
            case tidings.AskPairingCode(number=number):
                return self._seek_code(number)
            case tidings.AskRoom(waits=waits):
                self._callers.check(waits=waits)
            case tidings.AskMedia(media=media, target=target):
                return self._downloads.order(media, Path(target))
            case DisableEndpoint(reason="gone" | "failing"):
                self._owe(message)
                self._write()
            case CreateInstance() | RemoveInstance() | ConfigurePacing():
                self._perform(message)
            case _ if isinstance(message, EndpointCommand):
                self._perform(message)
            case RestartInstance() | LoseSocket() | DoubtPending() | MissMedia():
                if isinstance(message, LoseSocket | DoubtPending):
                    self._downloads.give_up()
                self._owe(message)
                self._write()
            case _:
                raise TypeError(f"An instance cannot take {type(message).__name__}.")
        return None

    def _perform(self, command: Command) -> None:
        """Decide and append this alone. Raises what `decide` or the store raises; then nothing has happened."""
        outcome: list[StoreError | None] = []
        self._journal.stage(command, outcome.append)
        self._write()
        if outcome[0] is not None:
            raise outcome[0]

    def _write(self) -> None:
        """Append what is staged, then do what follows from it, which may stage more."""
        while len(self._journal):
            losses = self._house.store.losses
            with self._house.latencies.append.time():
                written = self._journal.write()
            if not written:
                continue
            self._refused_at = -math.inf
            self._publish()
            for each in written:
                self._house.tallies.count(EVENTS, each.record.type)
                if (fate := fate_of(each.record.event)) is not None:
                    self._house.tallies.count(FATES, fate)
                for effect in effects.follow_up(each.record.event, each.state):
                    self._deeds.do(effect, self._journal.state)
            if told := [each for each in written if each.record.sequence is not None]:
                self._webhooks.wake(Bulletin(told, losses))

    def _fail(self) -> None:
        """The stream is not what this actor thinks it is: the next one reads it anew."""
        # First, so that what giving up has to say is not taken up by this actor any more.
        self.stop()
        self._callers.release()
        self._downloads.give_up()
        self._report_failure()

    def _let_go(self) -> None:
        """Nothing more is taken: whoever still waits is told so."""
        inbox = self.actor_inbox
        assert isinstance(inbox, Mailbox)
        try:
            self._callers.release()
            for message in inbox.left():
                if message.caller.set_running_or_notify_cancel():
                    message.caller.set_exception(Unavailable("The instance is being brought back to life."))
            self._downloads.give_up()
        finally:
            inbox.ended.set()

    def _report_failure(self) -> None:
        self._house.supervisor.tell(tidings.ActorFailed(instance=self._id, urn=self.actor_urn))

    def _owe(self, command: Command) -> None:
        """Stage what was told; it is kept for later while the store refuses."""

        def settle(failure: StoreError | None) -> None:
            if isinstance(failure, NotStorable):
                self._parking.put(command, failure)
            elif failure is not None:
                self._owed.append(command)
                self._stall(failure)

        if self._stalled:
            # Whoever is not heeded says the same again and again, for as long as the log refuses it.
            if command not in self._owed:
                self._owed.append(command)
            return
        failure = self._stage(command, settle)
        if isinstance(failure, Refused):
            log.info("too late", action="command_moot", instance=self._id, command=kind_of(command), why=repr(failure))
        elif failure is not None:
            self._parking.put(command, failure)

    def _stage(self, command: Command, settle: Settle) -> Exception | None:
        """Why the command can never be carried out, if it cannot be decided at all."""
        try:
            if self._hearsay.is_forged(command):
                log.warning("of another's message", action="disregarded", instance=self._id, kind=kind_of(command))
                self._house.tallies.count(DISREGARDED, kind_of(command))
                settle(None)
            else:
                self._journal.stage(self._hearsay.in_words(command), settle)
        except Exception as ex:  # noqa: BLE001 - what always fails would fail every actor that is put in this one's place
            return ex
        return None

    # what sockets see

    def _hear(self, heard: tidings.Heard) -> None:
        """Stage a fact and confirm it once it is stored; until then its host keeps it and can say it again."""
        if needs_what_was_staged(heard.observed):
            self._write()
        if self._stalled:
            return
        if not self._confirmations.is_next(heard.host, heard.number, heard.oldest):
            return

        def settle(failure: Exception | None) -> None:
            if self._stalled:
                # Confirming is cumulative: after a loss nothing is, until the host has said all of it again.
                self._confirmations.lost()
                return
            poison = failure is not None and not (isinstance(failure, StoreError) and failure.retryable)
            if failure is None or (poison and self._parking.put(heard.observed, failure)):
                self._confirmations.stored(heard.host, heard.number)
            else:
                self._confirmations.lost()
                self._stall(failure)

        failure = self._stage(heard.observed, settle)
        if failure is not None:
            # Confirming is cumulative: what was heard before this must be stored first.
            self._write()
            if not self._stalled:
                settle(failure)

    def _take_in(self, observed: Observed) -> bool:
        """Take in what was told outside a batch: whether it is stored, or parked."""
        outcome: list[Exception | None] = []
        undecided = self._stage(observed, outcome.append)
        self._write()
        failure = undecided or outcome[0]
        if failure is None:
            return True
        if isinstance(failure, StoreError) and failure.retryable:
            self._stall(failure)
            return False
        return self._parking.put(observed, failure)

    def _see(self, observed: Observed) -> None:
        """A turn in the life of a socket. One that cannot be stored is told by `SocketStands` later."""
        if self._stalled:
            return
        state = self._journal.state
        current = isinstance(state, Instance) and observed.generation == state.generation
        if not self._take_in(observed):
            return
        match observed.observation:
            case frames.SocketOfferedQr(qr=text, valid_s=valid_s) if current:
                self._qr = Qr(text=text, expires_at=observed.at + timedelta(seconds=valid_s))
                self._publish()
                self._house.show_qr(state.name if state else "", text)
            case frames.SocketOfferedCode(command_id=command_id, code=code):
                self._callers.tell_code(command_id, code)
            case frames.SocketRefusedCode(command_id=command_id, detail=detail):
                self._callers.tell_no_code(command_id, WhatsAppRefused(detail))

    def _stall(self, ex: Exception) -> None:
        if self._stalled:
            return
        now = time.monotonic()
        if now - self._refused_at > SAME_OUTAGE_S:
            # Not each second of an outage, for each number.
            log.warning("the log refuses writes", action="instance_stalled", instance=self._id, error=str(ex))
        self._refused_at, self._stalled = now, True
        self._house.alarms.set(REPEAT_AFTER_S, lambda: self.actor_ref.tell(tidings.RepeatDue()))

    def _take_up(self) -> None:
        """Go on where the store refused: first what was told here, then what the host still holds."""
        self._stalled = False
        owed, self._owed = self._owed, []
        for command in owed:
            self._owe(command)
        self._write()
        if not self._stalled:
            self._order(frames.Repeat(instance=self._id))

    def _miss(self, message_id: str, reason: str) -> None:
        log.warning("a file was not fetched", action="media_missed", instance=self._id, reason=reason)
        with suppress(pykka.ActorDeadError):
            self.actor_ref.tell(MissMedia(message_id=message_id, reason=reason))

    # what callers want

    def _seek_code(self, number: str) -> Future[str]:
        if not isinstance(self._journal.state, Instance) or self._journal.state.status is not Status.SCAN_QR_CODE:
            raise NotPairing
        command_id = str(uuid4())
        if not self._order(frames.OfferPairingCode(instance=self._id, command_id=command_id, number=number)):
            raise NotPairing
        return self._callers.await_code(command_id)

    # what is said elsewhere

    def _order(self, order: frames.Order) -> bool:
        """Whether the host of this instance took it."""
        try:
            self._house.switchboard.order(self._id, order)
        except HostGone:
            return False
        return True

    def _report_unsent(self, command_id: str) -> None:
        failed = frames.SocketFailedToSend(
            command_id=command_id, reason="not_connected", detail="The socket was gone before the message left."
        )
        self._owe(Observed(generation=0, observation=failed, at=self._house.now()))

    def _publish(self) -> None:
        state = self._journal.state
        if state is None:
            return
        if not isinstance(state, Instance) or state.status is not Status.SCAN_QR_CODE:
            self._qr = None
            self._callers.expect_no_codes()
        self._house.directory.publish(self._id, state, self._qr)
