"""What a socket does whose session can be lost."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path

from chatbot_erp.actors.frames import Observation, OpenSocket, SocketEnded
from chatbot_erp.actors.sessions import Sessions
from chatbot_erp.actors.wa_client import Hearing, LibraryError
from chatbot_erp.actors.wa_session import Link, Session, SessionFile, SessionInDatabase
from chatbot_erp.actors.wa_socket import WhatsAppSocket
from chatbot_erp.eventstore.places import open_vault
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

    def end(self, cause: str) -> None:
        """Nobody opens it again."""

    def ended(self) -> str | None:
        return None


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


def test_why_a_session_has_ended_is_known_until_a_phone_is_linked_or_it_is_erased(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session, adopted = SessionFile(tmp_path / "a.db"), SessionFile(tmp_path / "b.db")
    session.prepare(lambda: None)
    assert session.ended() is None
    for cause in ("locked", "locked"):
        session.end(cause)
    sessions.adopt("a", "b")
    assert (session.ended(), adopted.ended()) == (None, "locked")
    adopted.keep("1:1@s.whatsapp.net")
    assert adopted.ended() is None
    adopted.end("banned")
    sessions.erase("b")
    assert adopted.ended() is None
    assert not list(tmp_path.iterdir())


def test_why_a_session_in_a_database_has_ended_is_known_there(database: str) -> None:
    open_vault(database).close()
    session, next_one = SessionInDatabase(database, "a"), SessionInDatabase(database, "a")
    session.keep("1:1@s.whatsapp.net")
    session.end("locked")
    assert next_one.ended() == "locked"
    next_one.keep("2:1@s.whatsapp.net")
    assert session.ended() is None


def test_where_the_database_is_away_nobody_knows_why_a_session_has_ended() -> None:
    session = SessionInDatabase("postgresql://127.0.0.1:1/nowhere", "a")
    session.end("locked")
    assert session.ended() is None
