"""Who waits for an instance: callers with a message on its way, or for a pairing code."""

import random
import time
from concurrent.futures import Future
from typing import Any

from chatbot_erp.actors.commands import SendMessage
from chatbot_erp.actors.errors import NotPairing, OutcomeUnknown, Unavailable
from chatbot_erp.actors.journal import Journal, Settle
from chatbot_erp.actors.pacing import Pacer
from chatbot_erp.actors.state import Instance, pacing_of
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import MessageFailed, MessageOutcomeUnknown, MessageSent

MOST_PENDING = 256
"""Messages that may wait for WhatsApp, where no caller waits with them: all of them are in every snapshot."""

Verdict = MessageSent | MessageFailed | MessageOutcomeUnknown


class Callers:
    """Stages in `journal` what callers want sent, and tells them what comes of it. Used by one actor, in its thread.

    `most` may wait for a verdict: behind a message that is not answered, each holds a thread of the HTTP server.
    """

    def __init__(self, journal: Journal, most: int) -> None:
        self._journal = journal
        self._most = most
        self._pacer = Pacer(time.monotonic, random.random)
        self._senders: dict[str, Future[Verdict]] = {}
        self._depositors: dict[str, Future[None]] = {}
        self._code_seekers: dict[str, Future[str]] = {}

    def check(self, *, waits: bool) -> None:
        """Raise `Unavailable` or `SendingTooFast` where no message may go now, with a caller who waits for it or without."""
        state = self._journal.ahead
        if waits and len(self._senders) >= self._most:
            raise Unavailable(f"{self._most} messages of this instance wait for WhatsApp already.")
        if not waits and isinstance(state, Instance) and len(state.pending) >= MOST_PENDING:
            raise Unavailable(f"{MOST_PENDING} messages of this instance wait for WhatsApp already.")
        self._pacer.check(pacing_of(self._journal.state))

    def deliver(self, command: SendMessage, caller: Future[Verdict]) -> None:
        """Have this sent. The verdict is in the log before its caller has it."""
        if not caller.set_running_or_notify_cancel():
            return

        def settle(failure: StoreError | None) -> None:
            if failure is not None and (sender := self._senders.pop(command.command_id, None)):
                sender.set_exception(failure)

        try:
            self._stage(command, settle, waits=True)
        except Exception as ex:  # noqa: BLE001 - it is the caller's, whatever it is
            caller.set_exception(ex)
        else:
            self._senders[command.command_id] = caller

    def accept(self, command: SendMessage) -> Future[None]:
        """Have this sent. Done when it is on record; this caller does not wait for the verdict."""

        def settle(failure: StoreError | None) -> None:
            if depositor := self._depositors.pop(command.command_id, None):
                depositor.set_result(None) if failure is None else depositor.set_exception(failure)

        self._stage(command, settle, waits=False)
        return self._depositors.setdefault(command.command_id, Future())

    def tell_verdict(self, verdict: Verdict) -> None:
        if sender := self._senders.pop(verdict.command_id, None):
            sender.set_result(verdict)

    def await_code(self, command_id: str) -> Future[str]:
        return self._code_seekers.setdefault(command_id, Future())

    def tell_code(self, command_id: str, code: str) -> None:
        if seeker := self._code_seekers.pop(command_id, None):
            seeker.set_result(code)

    def tell_no_code(self, command_id: str, failure: Exception) -> None:
        if seeker := self._code_seekers.pop(command_id, None):
            seeker.set_exception(failure)

    def expect_no_codes(self) -> None:
        """The attempt to pair is over, one way or the other: nobody answers any more."""
        for command_id in tuple(self._code_seekers):
            self.tell_no_code(command_id, NotPairing())

    def release(self) -> None:
        """Nobody waits for an actor that is gone, nor is told anything by it any more."""
        waiting: tuple[dict[str, Future[Any]], ...] = (self._senders, self._depositors, self._code_seekers)
        for futures in waiting:
            while futures:
                _, future = futures.popitem()
                future.set_exception(OutcomeUnknown("The instance stopped before there was an answer."))

    def _stage(self, command: SendMessage, settle: Settle, *, waits: bool) -> None:
        self.check(waits=waits)
        self._journal.stage(command, settle)
        self._pacer.spend(pacing_of(self._journal.state))
