"""One instance inside a socket host: its socket, and the thread that works with it."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from chatbot_erp.actors.frames import (
    Observation,
    OfferPairingCode,
    OpenSocket,
    SocketConnected,
    SocketEnded,
    SocketFailedToSend,
    SocketPairingExpired,
    SocketPinged,
    SocketRefusedCode,
    SocketSawReceipt,
    Transmit,
)
from chatbot_erp.actors.people_frames import Ask, Reply, SocketDeclined
from chatbot_erp.actors.socket_desk import Desk, left_in
from chatbot_erp.actors.socket_words import Mouth
from chatbot_erp.actors.wa_port import Loaded, SocketFactory

log = logging.getLogger(__name__)

GRACE_S = 5.0
HOLD_S = 2.0
"""How long receipts wait for the verdict of a send that is under way: they may be about that very message."""

PING_AFTER_S = 10.0
"""Lines that are opening are waited for that long before a number sends its first message, to itself."""

CLOSING = "The socket is closing."

Job = Transmit | Loaded | OfferPairingCode | Literal["ping"]


class Openings:
    """How many lines of a host are opening, one after the other: each waits for the calls that have just begun (wa_guard.py)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around one."""
        with self._changed:
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def await_end(self, patience_s: float) -> None:
        """Returns when none is under way, or after so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, patience_s)


class Line:
    """Makes the socket of one `OpenSocket` and serves it, in order, on a thread of its own.

    `former` is the line that carried this instance before: the new socket opens only after that one has closed.
    `may_send` is asked last of all before a message goes.
    """

    def __init__(
        self,
        order: OpenSocket,
        sockets: SocketFactory,
        mouth: Mouth,
        former: "Line | None",
        may_send: Callable[[], bool] = lambda: True,
        openings: Openings | None = None,
    ) -> None:
        self.order = order
        self._openings = openings or Openings()
        self._may_send = may_send
        self._mouth = mouth
        self._former = former
        self._socket = sockets(order, self._hear)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closing = False
        self._may_open = True
        self._hurry = threading.Event()
        self._close_turn = threading.Lock()
        self._closed = self._unlinked = False
        self._ping_due = order.ping
        self._holding = threading.Lock()
        self._held: list[SocketSawReceipt] = []
        self._hold_until = 0.0
        self._last_word: SocketEnded | SocketPairingExpired | None = None
        self._desk = Desk(f"desk-{order.instance}", self._socket.answer, _undone, self._say)
        self._files = Desk(f"files-{order.instance}", self._socket.upload, _unsent, self._take_file)
        self._worker = threading.Thread(target=self._work, name=f"line-{order.instance}", daemon=True)
        self._worker.start()

    def put(self, job: Job) -> None:
        """Have this done after all that was put before; what has a file, when that is uploaded."""
        if isinstance(job, Transmit) and job.file:
            self._files.put(job)
            return
        with self._door:
            if not self._closing:
                self._jobs.put(job)
                return
        self._decline(job)

    def ask(self, question: Ask) -> None:
        """Have this asked, after all questions before it and beside what is put."""
        self._desk.put(question)

    def stand(self) -> None:
        """Say how the library sees the connection, out of turn: a send may keep the worker busy for a minute.

        A socket that has ended says again why: who was told first may not have been able to keep it.
        """
        if self._last_word is not None:
            self._say(self._last_word)
            return
        threading.Thread(
            target=lambda: self._say(self._socket.standing()), name=f"stand-{self.order.instance}", daemon=True
        ).start()

    def close(self, *, unlink: bool = False, grace_s: float = GRACE_S) -> bool:
        """End the socket; whether its device was unlinked. What is being done may finish for `grace_s`.

        Waits until all is over, also when another thread is closing already. One that is about to open does so first
        where it is to `unlink`: that takes a connection.
        """
        with self._close_turn:
            if self._closed:
                return self._unlinked
            for job in self._shut(may_open=unlink and not self.order.pairing):
                self._decline(job)
            self._desk.close()
            self._files.close()
            self._worker.join(grace_s)
            with self._door:
                self._may_open = False
            self._mouth.ledger.hold_up(self.order.instance, when_full=False)
            try:
                self._unlinked = self._socket.close(unlink=unlink)
            except Exception:
                log.exception("The socket of %s did not close properly.", self.order.instance)
            self._worker.join(GRACE_S)
            with self._holding:
                self._release()
            if (former := self._former) is not None:  # the worker may forget it just now
                former.close()
            self._closed = True
            return self._unlinked

    def _shut(self, *, may_open: bool) -> list[Job]:
        """Take no more jobs; give back those that were not begun."""
        with self._door:
            self._closing = True
            self._may_open = may_open
            self._hurry.set()
            waiting: list[Job] = left_in(self._jobs)
            self._jobs.put(None)
            return waiting

    def _work(self) -> None:
        if self._former is not None:
            self._former.close()
            self._former = None
        with self._door:
            if not self._may_open:
                return
        self._mouth.ledger.hold_up(self.order.instance, when_full=True)
        try:
            with self._openings.one():
                self._socket.open()
        except Exception as ex:
            log.exception("The socket of %s could not be opened.", self.order.instance)
            self._hear(SocketEnded(cause="socket_failed", detail=repr(ex)))
        while (job := self._jobs.get()) is not None:
            if isinstance(job, Transmit | Loaded):
                order = job.order if isinstance(job, Loaded) else job
                if (order.typing_s and not self._type(order)) or not self._may_send():
                    self._decline(job)
                else:
                    self._transmit(job)
            else:
                self._say(self._do(job))

    def _take_file(self, upload: Loaded | SocketFailedToSend) -> None:
        if isinstance(upload, Loaded):
            self.put(upload)
        else:
            self._say(upload)

    def _type(self, order: Transmit) -> bool:
        """Be seen typing for as long as is wanted; whether the line is still open then."""
        try:
            seen = self._socket.show_typing(order)
        except Exception:
            log.exception("The socket of %s could not be seen typing.", self.order.instance)
            seen = False
        return not (seen and self._hurry.wait(order.typing_s))

    def _transmit(self, job: Transmit | Loaded) -> None:
        """Say the verdict before the receipts: the library may hear those before its own send has returned."""
        with self._holding:
            self._hold_until = time.monotonic() + HOLD_S
        verdict = self._do(job)
        with self._holding:
            self._say(verdict)
            self._release()

    def _hold(self, receipt: SocketSawReceipt) -> None:
        with self._holding:
            if time.monotonic() < self._hold_until:
                self._held.append(receipt)
            else:
                self._release()
                self._say(receipt)

    def _release(self) -> None:
        """Say what was held, in order; `_holding` is held by the caller."""
        self._hold_until = 0.0
        held, self._held = self._held, []
        for receipt in held:
            self._say(receipt)

    def _do(self, job: Job) -> Observation:
        try:
            match job:
                case Transmit():
                    return self._socket.send(job)
                case Loaded(order=order, file=file):
                    return self._socket.send(order, file)
                case OfferPairingCode():
                    return self._socket.offer_pairing_code(job)
                case "ping":
                    return self._socket.ping()
        except Exception as ex:
            log.exception("The socket of %s failed.", self.order.instance)
            return _failure(job, repr(ex))

    def _decline(self, job: Job) -> None:
        match job:
            case (Transmit() as order) | Loaded(order=order):
                self._say(_unsent(order, None))
            case _:
                self._say(_failure(job, CLOSING))

    def _hear(self, observation: Observation) -> None:
        if isinstance(observation, SocketSawReceipt):
            self._hold(observation)
            return
        if isinstance(observation, SocketEnded | SocketPairingExpired):
            self._last_word = observation
        self._say(observation)
        if isinstance(observation, SocketConnected) and self._ping_due:
            # Not at each reconnection of the library: a flapping line would make us a sender of many equal texts.
            self._ping_due = False
            threading.Thread(target=self._ping, name=f"ping-{self.order.instance}", daemon=True).start()
        elif isinstance(observation, SocketEnded | SocketPairingExpired):
            # At once: what still comes to a library that has given up would be lost.
            threading.Thread(
                target=self.close, kwargs={"grace_s": 0.0}, name=f"close-{self.order.instance}", daemon=True
            ).start()

    def _ping(self) -> None:
        """Not before those that open now: they would wait for the answer to it, one after the other."""
        self._openings.await_end(PING_AFTER_S)
        with self._door:
            if not self._closing:
                self._jobs.put("ping")

    def _say(self, observation: Observation | Reply) -> None:
        self._mouth.say(self.order, observation)


def _undone(question: Ask, ex: Exception | None) -> Reply:
    if ex is None:
        return SocketDeclined(request=question.request, reason="not_connected", detail=CLOSING)
    return SocketDeclined(request=question.request, reason="unanswered", detail=type(ex).__name__)


def _unsent(order: Transmit, ex: Exception | None) -> SocketFailedToSend:
    if ex is None:
        return SocketFailedToSend(command_id=order.command_id, reason="not_connected", detail=CLOSING)
    return SocketFailedToSend(command_id=order.command_id, reason="not_uploaded", detail=f"{type(ex).__name__}.")


def _failure(job: Job, detail: str) -> Observation:
    match job:
        case Transmit(command_id=command_id) | Loaded(order=Transmit(command_id=command_id)):
            return SocketFailedToSend(command_id=command_id, reason="unknown", detail=detail)
        case OfferPairingCode():
            return SocketRefusedCode(command_id=job.command_id, detail=detail)
        case "ping":
            return SocketPinged(message_id="", error=detail)
