"""What a socket does whose session can be lost."""

import queue
import threading
from collections.abc import Callable

from chatbot_erp.actors.frames import Observation, OpenSocket, SocketEnded
from chatbot_erp.actors.wa_client import Hearing, LibraryError
from chatbot_erp.actors.wa_session import Link, Session
from chatbot_erp.actors.wa_socket import WhatsAppSocket
from fake_client import FakeClient

PATIENCE_S = 60.0


class FrailSession:
    """In a database that the test takes away."""

    link = Link(address="", device=None, new=False)

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.lost: Callable[[], None] | None = None

    def prepare(self, lost: Callable[[], None]) -> None:
        if self.away:
            raise LibraryError("no route to host")
        self.lost = lost

    def keep(self, device: str) -> None:
        """It has no place for it."""

    def release(self) -> None:
        self.lost = None


class Scene:
    """A socket over such a session."""

    def __init__(self, session: FrailSession, instance: str = "a") -> None:
        self.seen: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        order = OpenSocket(instance=instance, generation=1, session="", pairing=False, ping=False)
        self.client: FakeClient

        def make(session: Session, hearing: Hearing) -> FakeClient:
            self.client = FakeClient(session, hearing)
            return self.client

        self.socket = WhatsAppSocket(order, self.seen.put, make, session)
        self.socket.open()


def test_who_loses_its_session_leaves_whatsapp_and_says_so() -> None:
    session = FrailSession()
    scene = Scene(session)
    assert session.lost is not None
    session.lost()
    assert "disconnect" in scene.client.done
    ended = scene.seen.get(timeout=PATIENCE_S)
    assert isinstance(ended, SocketEnded)
    assert ended.cause == "unavailable"


def test_where_no_session_can_be_had_nobody_connects() -> None:
    scene = Scene(FrailSession(away=True), "homeless")
    assert scene.seen.get(timeout=PATIENCE_S) == SocketEnded(cause="unavailable", detail="no route to host")
    assert "connect-homeless" not in {thread.name for thread in threading.enumerate()}


def test_a_socket_that_closed_waits_for_no_loss() -> None:
    session = FrailSession()
    scene = Scene(session)
    scene.socket.close(unlink=False)
    assert session.lost is None
