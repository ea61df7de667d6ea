"""Who waits for an instance: callers with a message on its way, or for a pairing code."""

from concurrent.futures import Future
from typing import Any

from chatbot_erp.actors.errors import OutcomeUnknown, Unavailable
from chatbot_erp.eventstore.events import MessageFailed, MessageOutcomeUnknown, MessageSent

Verdict = MessageSent | MessageFailed | MessageOutcomeUnknown


class Callers:
    """Futures by the id of the command they wait for. Used by one actor, in its thread.

    `most` messages may be on their way: behind one that is not answered, each holds a thread of the HTTP server.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._senders: dict[str, Future[Verdict]] = {}
        self._depositors: dict[str, Future[None]] = {}
        self._code_seekers: dict[str, Future[str]] = {}

    def check_room(self) -> None:
        """Raise `Unavailable` where one more message is one too many."""
        if len(self._senders) >= self._most:
            raise Unavailable(f"{self._most} messages of this instance wait for WhatsApp already.")

    def await_verdict(self, command_id: str, caller: Future[Verdict]) -> None:
        """Have `caller` told what becomes of this message."""
        self._senders[command_id] = caller

    def tell_verdict(self, verdict: Verdict) -> None:
        if sender := self._senders.pop(verdict.command_id, None):
            sender.set_result(verdict)

    def refuse(self, command_id: str, failure: Exception) -> None:
        """The message was not even taken."""
        if sender := self._senders.pop(command_id, None):
            sender.set_exception(failure)

    def await_record(self, command_id: str) -> Future[None]:
        """Done when the message is on record; this caller does not wait for the verdict."""
        return self._depositors.setdefault(command_id, Future())

    def tell_recorded(self, command_id: str, failure: Exception | None) -> None:
        depositor = self._depositors.pop(command_id)
        depositor.set_result(None) if failure is None else depositor.set_exception(failure)

    def await_code(self, command_id: str) -> Future[str]:
        return self._code_seekers.setdefault(command_id, Future())

    def tell_code(self, command_id: str, code: str) -> None:
        if seeker := self._code_seekers.pop(command_id, None):
            seeker.set_result(code)

    def tell_no_code(self, command_id: str, failure: Exception) -> None:
        if seeker := self._code_seekers.pop(command_id, None):
            seeker.set_exception(failure)

    def release(self) -> None:
        """Nobody waits for an actor that is gone."""
        waiting: list[Future[Any]] = [
            *self._senders.values(),
            *self._depositors.values(),
            *self._code_seekers.values(),
        ]
        for future in waiting:
            if not future.done():
                future.set_exception(OutcomeUnknown("The instance stopped before there was an answer."))
