"""A socket host: the child process in which sockets live, and in which alone the WhatsApp library is loaded.

It obeys orders from a pipe and says what its sockets see. It decides nothing. When the pipe breaks its manager is dead,
and where several nodes share the work it may have been superseded when it is not heard of for long: then the host
closes all sockets, writes what nobody confirmed to the spool, and ends. Its process is that of host_main.py.
"""

import logging
import math
import os
import resource
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import assert_never

from chatbot_erp.actors.frames import (
    Alive,
    CloseSocket,
    Confirm,
    EndHost,
    Observation,
    OfferPairingCode,
    OpenSocket,
    Order,
    Renew,
    Repeat,
    Said,
    SetAside,
    SocketClosed,
    SocketFailedToSend,
    SocketRefusedCode,
    SocketStands,
    Transmit,
    decode_order,
)
from chatbot_erp.actors.host_downloads import Downloads
from chatbot_erp.actors.media_frames import FetchMedia
from chatbot_erp.actors.people_frames import Ask, Reply, SocketDeclined
from chatbot_erp.actors.socket_line import GRACE_S, Line, Openings
from chatbot_erp.actors.socket_words import Mouth
from chatbot_erp.actors.wa_port import SocketFactory
from chatbot_erp.eventstore.lease import boot_time

log = logging.getLogger(__name__)

HEARTBEAT_S = 2.0
CLOSE_PATIENCE_S = 10.0
CONFIRM_PATIENCE_S = 3.0
ORPHAN_PATIENCE_S = 3.0
STDERR_LIMIT_BYTES = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ManagerGone(Exception):
    """Raised in the host when nobody is at the other end of the pipe any more, or nobody who may speak for its numbers."""


def neonize_sockets(database: str | None = None, *, pooled: bool = False) -> SocketFactory:
    """Load the WhatsApp library and say how to make sockets with it.

    Sessions without a file are in the database at this address, or behind the pool that is there.
    """
    from chatbot_erp.actors.wa_neonize import NeonizeClient
    from chatbot_erp.actors.wa_session import Session, SessionFile, SessionInDatabase
    from chatbot_erp.actors.wa_socket import WhatsAppSocket

    def session_of(order: OpenSocket) -> Session:
        if order.session or database is None:
            return SessionFile(Path(order.session))
        return SessionInDatabase(database, order.instance, pooled=pooled)

    return lambda order, report: WhatsAppSocket(order, report, NeonizeClient, session_of(order))


class SocketHost:
    """The main loop of a host over one pipe."""

    def __init__(self, pipe: Connection, sockets: SocketFactory, set_aside: Callable[[list[Said]], None]) -> None:
        """`set_aside` keeps words for another node, durably. Raises OSError."""
        self._pipe = pipe
        self._keep_aside = set_aside
        self._sockets = sockets
        self._mouth = Mouth(pipe)
        self._ledger = self._mouth.ledger
        self._lines: dict[str, Line] = {}
        self._openings = Openings()
        self._generations: dict[str, int] = {}
        self._next_beat = 0.0
        self._until = math.inf
        self._put_off: deque[Order] = deque()
        self._downloads = Downloads(self._say)

    def serve(self, spool: Callable[[Mouth], None]) -> None:
        """Obey until told to end or until the manager is gone; `spool` gets what is unconfirmed then."""
        try:
            while not isinstance(order := self._next_order(HEARTBEAT_S), EndHost):
                self._obey(order)
            self._downloads.end()
            closers = self._close_all(grace_s=GRACE_S)
            self._obey_while(lambda: any(closer.is_alive() for closer in closers), CLOSE_PATIENCE_S)
            self._obey_while(lambda: bool(self._ledger.unconfirmed()), CONFIRM_PATIENCE_S)
        except ManagerGone:
            self._close_at_once()
        except BaseException:
            # What an open socket took after the spool was written would be nobody's.
            self._close_at_once()
            raise
        finally:
            # Also after what nobody foresaw: WhatsApp does not say again what is in hand here.
            spool(self._mouth)
            self._mouth.finish(CONFIRM_PATIENCE_S)

    def _obey_while(self, wanted: Callable[[], bool], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while wanted() and time.monotonic() < deadline:
            self._obey(self._next_order(0.02))

    def _next_order(self, patience_s: float) -> Order | None:
        """The next order, or None after a while. Beats the heart when it is time."""
        if self._put_off and self._speaks_for_its_numbers():
            return self._put_off.popleft()
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT_S
            self._mouth.beat(vitals())
        try:
            came = self._pipe.poll(max(0.0, min(patience_s, self._next_beat - now, self._until - boot_time())))
            if self._speaks_for_its_numbers():
                return self._read() if came else None
            if not self._is_renewed():
                raise ManagerGone
        except (EOFError, OSError) as ex:
            raise ManagerGone from ex
        return None

    def _read(self) -> Order:
        order: Order = decode_order(self._pipe.recv_bytes())
        return order

    def _is_renewed(self) -> bool:
        """Whether what waits in the pipe says that it may go on: who took its time to begin reads the oldest word of that first."""
        while not self._speaks_for_its_numbers() and self._pipe.poll(0):
            order = self._read()
            if isinstance(order, Renew):
                self._until = order.until
            else:
                self._put_off.append(order)
        return self._speaks_for_its_numbers()

    def _speaks_for_its_numbers(self) -> bool:
        """False in a machine that was frozen for so long that another has them by now."""
        return boot_time() < self._until

    def _obey(self, order: Order | None) -> None:
        match order:
            case OpenSocket():
                self._open(order)
            case CloseSocket():
                threading.Thread(target=self._close, args=(order,), name="close", daemon=True).start()
            case Transmit() | OfferPairingCode() | Ask():
                self._hand_on(order)
            case FetchMedia():
                self._downloads.begin(order)
            case Renew(until=until):
                self._until = until
            case Confirm():
                self._ledger.confirm(order.instance, order.number)
            case Repeat():
                self._repeat(order.instance)
            case SetAside():
                self._set_aside(order.instance)
            case EndHost() | None:
                pass
            case _:
                assert_never(order)

    def _open(self, order: OpenSocket) -> None:
        former = self._lines.get(order.instance)
        if former is not None and former.order.generation == order.generation:
            return
        self._generations[order.instance] = order.generation
        self._lines[order.instance] = Line(
            order, self._sockets, self._mouth, former, self._speaks_for_its_numbers, self._openings
        )

    def _close(self, order: CloseSocket) -> None:
        line = self._lines.get(order.instance)
        unlinked = line is not None and line.close(unlink=order.unlink)
        self._say(order.instance, SocketClosed(unlinked=unlinked))

    def _hand_on(self, order: Transmit | OfferPairingCode | Ask) -> None:
        line = self._lines.get(order.instance)
        if line is not None:
            line.ask(order) if isinstance(order, Ask) else line.put(order)
            return
        detail = "There is no socket."
        match order:
            case Transmit(instance=instance, command_id=command_id):
                failure = SocketFailedToSend(command_id=command_id, reason="not_connected", detail=detail)
                self._say(instance, failure)
            case OfferPairingCode(instance=instance, command_id=command_id):
                self._say(instance, SocketRefusedCode(command_id=command_id, detail=detail))
            case Ask(instance=instance, request=request):
                self._say(instance, SocketDeclined(request=request, reason="not_connected", detail=detail))
            case _:
                assert_never(order)

    def _repeat(self, instance: str) -> None:
        self._mouth.repeat(instance)
        line = self._lines.get(instance)
        if line is not None:
            line.stand()
        else:
            self._say(instance, SocketStands(connected=False, logged_in=False))

    def _set_aside(self, instance: str) -> None:
        if not (words := self._ledger.unconfirmed(instance)):
            return
        try:
            self._keep_aside(words)
        except OSError:
            # They stay in hand, for the next such order or for the end.
            log.exception("Words of %s could not be set aside.", instance)
        else:
            self._ledger.confirm(instance, words[-1].number)

    def _say(self, instance: str, observation: Observation | Reply) -> None:
        self._mouth.say_of(instance, self._generations.get(instance, 0), observation)

    def _close_at_once(self) -> None:
        deadline = time.monotonic() + ORPHAN_PATIENCE_S
        for closer in self._close_all(grace_s=0.0):
            closer.join(max(0.0, deadline - time.monotonic()))

    def _close_all(self, *, grace_s: float) -> list[threading.Thread]:
        closers = [
            threading.Thread(target=line.close, kwargs={"grace_s": grace_s}, name="close", daemon=True)
            for line in self._lines.values()
        ]
        for closer in closers:
            closer.start()
        return closers


def vitals() -> Alive:
    """What this process uses. Also keeps its stderr file small."""
    if os.fstat(2).st_size > STDERR_LIMIT_BYTES:
        os.ftruncate(2, 0)
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
        descriptors = len(os.listdir("/proc/self/fd"))
    except OSError:
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        descriptors = len(os.listdir("/dev/fd"))
    return Alive(rss_bytes=resident, descriptors=descriptors)
