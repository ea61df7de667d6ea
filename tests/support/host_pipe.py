"""The manager's end of the pipe of a socket host that runs in the test's own process, with sockets that obey the test."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from chatbot_erp.actors import frames
from chatbot_erp.actors.frames import Observation, Said
from chatbot_erp.actors.people_frames import Ask, Reply
from chatbot_erp.actors.questions import ListGroups
from chatbot_erp.actors.socket_host import SocketHost
from chatbot_erp.actors.socket_words import Mouth
from fake_sockets import PATIENCE_S, FakeSockets


class Manager:
    """The other end of the pipe."""

    def __init__(self, pipe: Connection, sockets: FakeSockets) -> None:
        self.pipe = pipe
        self.sockets = sockets
        self.spooled: list[Said] = []
        self.aside: list[Said] = []
        self.full = False
        self._heard: deque[frames.Word] = deque()
        self.ended = threading.Event()

    def order(self, order: frames.Order) -> None:
        self.pipe.send_bytes(frames.encode_frame(order))

    def open(self, instance: str, generation: int = 1, *, ping: bool = False) -> None:
        self.order(frames.OpenSocket(instance=instance, generation=generation, session="", pairing=False, ping=ping))
        self.hear(lambda word: isinstance(word.observation, frames.SocketConnected))

    def send(self, instance: str, text: str, *, file: str = "") -> None:
        self.order(frames.Transmit(instance=instance, command_id=text, to="55", text=text, file=file))

    def ask(self, instance: str, request: str) -> None:
        self.order(Ask(instance=instance, request=request, question=ListGroups()))

    def hear(self, wanted: Callable[[Said], bool]) -> Said:
        """The next word that is wanted; those before it are passed over."""
        while self._heard or self.pipe.poll(PATIENCE_S):
            if not self._heard:
                self._heard += frames.decode_words(self.pipe.recv_bytes())
            word = self._heard.popleft()
            if isinstance(word, Said) and wanted(word):
                return word
        raise TimeoutError

    def hear_of(self, *kinds: type[Observation | Reply]) -> Said:
        return self.hear(lambda word: isinstance(word.observation, kinds))

    def is_silent(self) -> bool:
        """Whether nothing but heartbeats comes before the answer to a question."""
        self.order(frames.Repeat(instance="nobody"))
        return isinstance(self.hear(lambda _: True).observation, frames.SocketStands)

    def set_aside(self, words: list[Said]) -> None:
        if self.full:
            raise OSError("no space left")
        self.aside += words

    def keep(self, mouth: Mouth) -> None:
        self.spooled = mouth.ledger.unconfirmed()


@contextmanager
def managing() -> Iterator[Manager]:
    """A manager, and a host that ends with it."""
    ours, theirs = Pipe()
    manager = Manager(ours, FakeSockets())

    def run() -> None:
        SocketHost(theirs, manager.sockets, manager.set_aside).serve(manager.keep)
        theirs.close()
        manager.ended.set()

    threading.Thread(target=run, daemon=True).start()
    yield manager
    ours.close()
    assert manager.ended.wait(PATIENCE_S)
