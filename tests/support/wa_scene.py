"""A socket over a library that obeys the test."""

import queue
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chatbot_erp.actors.host_preload  # noqa: F401  (neonize's protobufs without its shared library)
from chatbot_erp.actors import frames
from chatbot_erp.actors.frames import Observation, OpenSocket, Transmit
from chatbot_erp.actors.wa_client import Hearing
from chatbot_erp.actors.wa_session import Session, SessionFile
from chatbot_erp.actors.wa_socket import WhatsAppSocket
from fake_client import FakeClient

neonize: Any = sys.modules["neonize.proto.Neonize_pb2"]
e2e: Any = sys.modules["neonize.proto.waE2E.WAWebProtobufsE2E_pb2"]

PATIENCE_S = 60.0


class Scene:
    """A socket, its client, and what it reported."""

    def __init__(
        self,
        directory: Path,
        *,
        pairing: bool,
        dial_error: str | None = None,
        session_at: Callable[[Path], Session] = SessionFile,
    ) -> None:
        self.seen: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        self.client: FakeClient
        order = OpenSocket(
            instance="a", generation=1, session=str(directory / "s" / "a.db"), pairing=pairing, ping=False
        )

        def make(session: Session, hearing: Hearing) -> FakeClient:
            self.client = FakeClient(session, hearing)
            self.client.dial_error = dial_error
            return self.client

        self.socket = WhatsAppSocket(order, self.seen.put, make, session_at(Path(order.session)))
        self.socket.open()

    def hear(self, event: Any) -> None:
        self.client.hearing.event(event)

    def connect(self) -> None:
        me = neonize.Device(JID=jid("5511", "s.whatsapp.net"), LID=jid("9", "lid"), PushName="Shop")
        self.hear(me)
        self.hear(neonize.Connected())

    def next(self) -> Observation:
        return self.seen.get(timeout=PATIENCE_S)

    def send(self, to: str = "55") -> frames.SocketSent | frames.SocketFailedToSend:
        return self.socket.send(Transmit(instance="a", command_id="c", to=to, text="hi"))


def jid(user: str, server: str) -> Any:
    return neonize.JID(User=user, Server=server, Device=1, RawAgent=0, Integrator=0, IsEmpty=False)


def failure(code: int) -> Any:
    node = neonize.Node(Tag="failure", Attrs=[neonize.NodeAttrs(name="reason", text=str(code))])
    return neonize.ConnectFailure(Message="because", Raw=node)
