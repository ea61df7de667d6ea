"""The shell around one instance: decide, append, evolve, then do what follows. Nothing else has effects.

The actor is the only writer of its stream. What it is told while the disk refuses writes is not lost: commands wait
in `_owed`, and what a socket saw stays with its host; `RepeatDue` takes both up again.
"""

from concurrent.futures import Future
from datetime import timedelta
from typing import Any, assert_never
from uuid import uuid4

import pykka
import structlog

from chatbot_erp.actors import effects, frames, tidings
from chatbot_erp.actors.commands import (
    ChangeWebhook,
    Command,
    CreateInstance,
    DoubtPending,
    LoseSocket,
    Observed,
    RecordVerdict,
    RemoveInstance,
    RestartInstance,
    SendText,
)
from chatbot_erp.actors.directory import Qr
from chatbot_erp.actors.errors import NotPairing, OutcomeUnknown, WhatsAppRefused
from chatbot_erp.actors.house import Host, HostGone, House
from chatbot_erp.actors.identities import event_ids
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.state import Instance, State, encode_state, evolve
from chatbot_erp.actors.webhook_mail import ChangeUrl, Finish, Wake
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import MessageFailed, MessageOutcomeUnknown, MessageSent, Status
from chatbot_erp.eventstore.store import NewEvent, Recorded

log = structlog.get_logger()

APPEND_PATIENCE_S = 30.0
"""A disk that has not answered by then leaves the outcome unknown: the actor stops rather than guess."""

REPEAT_AFTER_S = 1.0
CONFIRM_EVERY = 32

Verdict = MessageSent | MessageFailed | MessageOutcomeUnknown


class InstanceActor(pykka.ThreadingActor):
    """One number. `CreateInstance`, `SendText`, `ChangeWebhook` and `RemoveInstance` are asked, all else is told."""

    use_daemon_thread = True

    def __init__(self, instance: str, house: House, webhook: pykka.ActorRef[Any], state: State, version: int) -> None:
        super().__init__()
        self._id = instance
        self._house = house
        self._webhook = webhook
        self._state = state
        self._version = version
        self._qr: Qr | None = None
        self._callers: dict[str, Future[Verdict]] = {}
        self._code_seekers: dict[str, Future[str]] = {}
        self._owed: list[Command] = []
        self._stalled = False
        self._unconfirmed: tuple[Host, int] | None = None

    def on_stop(self) -> None:
        """Runs in the actor's thread, after an orderly stop only."""
        self._release_callers()

    def on_failure(self, exception_type: object, exception_value: object, traceback: object) -> None:
        """Runs in the actor's thread after an error under `tell`, in place of `on_stop`."""
        self._release_callers()
        self._house.supervisor.tell(tidings.ActorFailed(instance=self._id))

    def on_receive(self, message: object) -> object:
        answer = self._take(message)
        if self.actor_inbox.empty():
            self._send_confirmation()
        return answer

    def _take(self, message: object) -> object:
        match message:
            case tidings.Introduce():
                self._publish()
            case tidings.Heard():
                self._hear(message)
            case tidings.RepeatDue():
                self._take_up()
            case tidings.AskPairingCode(number=number):
                return self._seek_code(number)
            case SendText():
                return self._send(message)
            case Observed():
                return self._observe(message)
            case CreateInstance() | ChangeWebhook() | RemoveInstance():
                self._perform(message)
            case RestartInstance() | LoseSocket() | DoubtPending() | RecordVerdict():
                self._owe(message)
            case _:
                raise TypeError(f"An instance cannot take {type(message).__name__}.")
        return None

    def _perform(self, command: Command) -> None:
        """Decide, append, evolve, follow up. If it raises, nothing has happened, or the actor has stopped."""
        events = decide(self._state, command)
        if not events:
            return
        at = command.at if isinstance(command, Observed) else self._house.now()
        ahead = self._state
        for event in events:
            ahead = evolve(ahead, event, at)
        ids = event_ids(self._id, command, len(events))
        new = [NewEvent(id=id_, event=event, recorded_at=at) for id_, event in zip(ids, events, strict=True)]
        snapshot = encode_state(ahead) if isinstance(ahead, Instance) else b""
        try:
            future = self._house.store.append(self._id, self._version, new, snapshot=snapshot)
            appended = future.result(APPEND_PATIENCE_S)
        except StoreError as ex:
            if not ex.retryable:
                self._fail()
            raise
        except TimeoutError:
            self._fail()
            raise
        self._version = appended.version
        for record in appended.records:
            self._state = evolve(self._state, record.event, record.recorded_at)
        self._publish()
        self._follow_up(appended.records)

    def _fail(self) -> None:
        """The stream is not what this actor thinks it is: the next one reads it anew."""
        self._release_callers()
        self.stop()
        self._house.supervisor.tell(tidings.ActorFailed(instance=self._id))

    def _owe(self, command: Command) -> None:
        """Perform what was told; keep it for later while the store refuses."""
        if self._stalled:
            self._owed.append(command)
            return
        try:
            self._perform(command)
        except StoreError as ex:
            if not ex.retryable:
                raise
            self._owed.append(command)
            self._stall(ex)

    # what sockets see

    def _hear(self, heard: tidings.Heard) -> None:
        if not self._observe(heard.observed):
            return
        if heard.number:
            self._confirm(heard.host, heard.number)

    def _observe(self, observed: Observed) -> bool:
        """Whether it is settled; if not, the host keeps it (or the spool) and says it again."""
        if self._stalled:
            return False
        current = isinstance(self._state, Instance) and observed.generation == self._state.generation
        try:
            self._perform(observed)
        except StoreError as ex:
            if not ex.retryable:
                raise
            self._stall(ex)
            return False
        match observed.observation:
            case frames.SocketOfferedQr(qr=text, valid_s=valid_s) if current:
                self._qr = Qr(text=text, expires_at=observed.at + timedelta(seconds=valid_s))
                self._publish()
                self._house.show_qr(self._state.name if self._state else "", text)
            case frames.SocketOfferedCode(command_id=command_id, code=code):
                if seeker := self._code_seekers.pop(command_id, None):
                    seeker.set_result(code)
            case frames.SocketRefusedCode(command_id=command_id, detail=detail):
                if seeker := self._code_seekers.pop(command_id, None):
                    seeker.set_exception(WhatsAppRefused(detail))
        return True

    def _confirm(self, host: Host, number: int) -> None:
        """Confirming is cumulative, so a burst is confirmed every now and then and when the mailbox is empty."""
        if self._unconfirmed is not None and self._unconfirmed[0] is not host:
            self._send_confirmation()
        self._unconfirmed = (host, number)
        if number % CONFIRM_EVERY == 0:
            self._send_confirmation()

    def _send_confirmation(self) -> None:
        if self._unconfirmed is None:
            return
        host, number = self._unconfirmed
        self._unconfirmed = None
        try:
            host.order(frames.Confirm(instance=self._id, number=number))
        except HostGone:
            log.debug("host gone before its confirmation", action="confirm_missed", instance=self._id)

    def _stall(self, ex: StoreError) -> None:
        log.warning("the log refuses writes", action="instance_stalled", instance=self._id, error=str(ex))
        self._stalled = True
        self._house.alarms.set(REPEAT_AFTER_S, lambda: self.actor_ref.tell(tidings.RepeatDue()))

    def _take_up(self) -> None:
        """Go on where the store refused: first what was told here, then what the host still holds."""
        self._stalled = False
        owed, self._owed = self._owed, []
        for command in owed:
            self._owe(command)
        if not self._stalled:
            self._order(frames.Repeat(instance=self._id))

    # what callers want

    def _send(self, command: SendText) -> Future[Verdict]:
        """Answers a future of the verdict; it is in the log before it is in the future."""
        caller: Future[Verdict] = Future()
        self._callers[command.command_id] = caller
        try:
            self._perform(command)
        except BaseException:
            self._callers.pop(command.command_id, None)
            raise
        return caller

    def _seek_code(self, number: str) -> Future[str]:
        if not isinstance(self._state, Instance) or self._state.status is not Status.SCAN_QR_CODE:
            raise NotPairing
        command_id = str(uuid4())
        seeker: Future[str] = Future()
        self._code_seekers[command_id] = seeker
        if not self._order(frames.OfferPairingCode(instance=self._id, command_id=command_id, number=number)):
            raise NotPairing
        return seeker

    def _release_callers(self) -> None:
        """Nobody waits for an actor that is gone."""
        waiting: list[Future[Verdict] | Future[str]] = [*self._callers.values(), *self._code_seekers.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(OutcomeUnknown("The instance stopped before there was an answer."))

    # what follows

    def _follow_up(self, records: tuple[Recorded, ...]) -> None:
        for record in records:
            for effect in effects.follow_up(record.event, self._state):
                self._run(effect)
        if any(record.sequence is not None for record in records):
            self._webhook.tell(Wake())

    def _run(self, effect: effects.Effect) -> None:
        supervisor = self._house.supervisor
        match effect:
            case effects.OpenSocket(generation=generation, pairing=pairing, session_from=session_from):
                supervisor.tell(
                    tidings.PlaceSocket(
                        instance=self._id, generation=generation, pairing=pairing, session_from=session_from
                    )
                )
            case effects.EndSocket(unlink=unlink, erase=erase):
                supervisor.tell(tidings.EndSocketOf(instance=self._id, unlink=unlink, erase=erase))
            case effects.AskForHealing(cause=cause, retry_at=retry_at):
                supervisor.tell(tidings.SocketLost(instance=self._id, cause=cause, retry_at=retry_at))
            case effects.ReportHealth():
                supervisor.tell(tidings.SocketHealthy(instance=self._id))
            case effects.Transmit(command_id=command_id, to=to, text=text):
                if not self._order(frames.Transmit(instance=self._id, command_id=command_id, to=to, text=text)):
                    self._report_unsent(command_id)
            case effects.AnswerCaller(verdict=verdict):
                if caller := self._callers.pop(verdict.command_id, None):
                    caller.set_result(verdict)
            case effects.Readdress(webhook_url=url):
                self._webhook.tell(ChangeUrl(url=url))
            case effects.Retire():
                self._webhook.tell(Finish())
            case _:
                assert_never(effect)

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
        if self._state is None:
            return
        if not isinstance(self._state, Instance) or self._state.status is not Status.SCAN_QR_CODE:
            self._qr = None
        self._house.directory.publish(self._id, self._state, self._qr)
