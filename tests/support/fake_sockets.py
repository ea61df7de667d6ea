"""Sockets that do what a test tells them, in this process or in a host's."""

import itertools
import os
import sys
import threading
from datetime import UTC, datetime

from chatbot_erp.actors.frames import (
    OfferPairingCode,
    OpenSocket,
    SocketConnected,
    SocketFailedToSend,
    SocketOfferedCode,
    SocketPinged,
    SocketReceived,
    SocketRefusedCode,
    SocketSent,
    SocketStands,
    Transmit,
)
from chatbot_erp.actors.people_frames import Ask, SocketAnswered, SocketDeclined
from chatbot_erp.actors.questions import Done
from chatbot_erp.actors.wa_client import Uploaded
from chatbot_erp.actors.wa_port import Loaded, Report

PATIENCE_S = 60.0
_numbers = itertools.count(1)

UPLOADED = Uploaded(url="", direct_path="/v/1", key=b"k" * 32, sha256=b"", encrypted_sha256=b"", size=1)


def received(text: str) -> SocketReceived:
    """A message that somebody wrote."""
    return SocketReceived(
        message_id=f"in-{text}",
        jid="111@lid",
        jid_alt=None,
        participant=None,
        push_name="Maria",
        kind="text",
        text=text,
        sent_at=datetime.now(UTC),
        raw="{}",
    )


class FakeSocket:
    """A `Socket`. What it sends waits for `gate`, what it answers for `asking`; when it is closed it still has
    `leftovers`."""

    def __init__(self, order: OpenSocket, report: Report) -> None:
        self.order = order
        self.report = report
        self.opening, self.opened, self.closing, self.closed = (threading.Event() for _ in range(4))
        self.typing, self.begun = threading.Event(), threading.Event()
        self.gate, self.may_close, self.may_open = threading.Event(), threading.Event(), threading.Event()
        self.gate.set()
        self.may_open.set()
        self.may_close.set()
        self.asked, self.asking = threading.Semaphore(0), threading.Event()
        self.asking.set()
        self.uploading = threading.Event()
        self.uploading.set()
        self.leftovers: list[str] = []
        self.unlinked = False
        self.sent: list[str] = []

    def open(self) -> None:
        self.opening.set()
        assert self.may_open.wait(PATIENCE_S)
        self.opened.set()
        self.report(SocketConnected(jid="5511@s.whatsapp.net", lid=None, push_name="Shop"))

    def upload(self, order: Transmit) -> Loaded | SocketFailedToSend:
        if order.text == "raise":
            raise RuntimeError("Nobody foresaw this.")
        assert self.uploading.wait(PATIENCE_S)
        if self.closing.is_set():
            return SocketFailedToSend(command_id=order.command_id, reason="not_connected", detail="Closing.")
        return Loaded(order, UPLOADED)

    def show_typing(self, order: Transmit) -> bool:
        self.typing.set()
        return True

    def send(self, order: Transmit, file: Uploaded | None = None) -> SocketSent | SocketFailedToSend:
        self.begun.set()
        if order.text == "close never":
            self.may_close.clear()
        act(order.text, self.report)
        assert self.gate.wait(PATIENCE_S)
        if self.closing.is_set():
            return SocketFailedToSend(command_id=order.command_id, reason="unknown", detail="The socket went away.")
        assert (file is not None) == bool(order.file)
        self.sent.append(order.text)
        return SocketSent(
            command_id=order.command_id,
            message_id=f"out-{next(_numbers)}",
            jid=order.to,
            sent_at=datetime.now(UTC),
            text=order.text,
            to=order.to,
        )

    def offer_pairing_code(self, order: OfferPairingCode) -> SocketOfferedCode | SocketRefusedCode:
        return SocketOfferedCode(command_id=order.command_id, code="ABCD-1234")

    def answer(self, order: Ask) -> SocketAnswered | SocketDeclined:
        self.asked.release()
        assert self.asking.wait(PATIENCE_S)
        return SocketAnswered(request=order.request, answer=Done())

    def ping(self) -> SocketPinged:
        return SocketPinged(message_id="ping-1", error="")

    def standing(self) -> SocketStands:
        return SocketStands(connected=self.opened.is_set(), logged_in=not self.closed.is_set())

    def close(self, *, unlink: bool) -> bool:
        self.unlinked = unlink
        self.closing.set()
        self.gate.set()
        self.uploading.set()
        assert self.may_close.wait(PATIENCE_S)
        for text in self.leftovers:
            self.report(received(text))
        self.closed.set()
        return unlink and self.opened.is_set()


class FakeSockets:
    """A `SocketFactory` that remembers what it made. Those of the instances in `late` open when they are let."""

    def __init__(self) -> None:
        self.late: set[str] = set()
        self._made: dict[tuple[str, int], FakeSocket] = {}
        self._news = threading.Condition()

    def __call__(self, order: OpenSocket, report: Report) -> FakeSocket:
        socket = FakeSocket(order, report)
        if order.instance in self.late:
            socket.may_open.clear()
        with self._news:
            self._made[order.instance, order.generation] = socket
            self._news.notify_all()
        return socket

    def made(self, instance: str, generation: int = 1) -> FakeSocket:
        """The socket of this instance and generation, as soon as it was made."""
        with self._news:
            assert self._news.wait_for(lambda: (instance, generation) in self._made, PATIENCE_S)
            return self._made[instance, generation]


def fake_sockets() -> FakeSockets:
    """What `HostProcess` calls in the host to get its sockets."""
    return FakeSockets()


def act(text: str, report: Report) -> None:
    """A text to be sent may be an instruction, for a socket in another process."""
    match text.split():
        case ["exit", code]:
            os._exit(int(code))
        case ["abort"]:
            os.abort()
        case ["write", *words]:
            sys.stderr.write(" ".join(words) + "\n")
            sys.stderr.flush()
        case ["print", *words]:
            print(*words, flush=True)
        case ["receive", count]:
            for number in range(int(count)):
                report(received(str(number)))
        case ["modules", *names]:
            report(received(" ".join(name for name in names if name in sys.modules)))
        case ["environ", name]:
            report(received(os.environ.get(name, "")))
