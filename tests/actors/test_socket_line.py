"""One instance inside a socket host that is to go before it has come."""

import threading
from multiprocessing import Pipe
from typing import cast

import pytest

from chatbot_erp.actors import frames
from chatbot_erp.actors.socket_line import Line
from chatbot_erp.actors.socket_words import Mouth
from fake_sockets import PATIENCE_S, FakeSockets


class Former:
    """The line before, which takes its time."""

    def __init__(self) -> None:
        self.may_close = threading.Event()

    def close(self) -> None:
        assert self.may_close.wait(PATIENCE_S)


@pytest.mark.parametrize(
    ("unlink", "pairing", "opens"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_one_that_is_to_be_unlinked_before_it_is_open_is_opened_for_that(
    unlink: bool, pairing: bool, opens: bool
) -> None:
    ours, theirs = Pipe()
    former, sockets = Former(), FakeSockets()
    order = frames.OpenSocket(instance="a", generation=2, session="", pairing=pairing, ping=False)
    line = Line(order, sockets, Mouth(theirs), cast(Line, former))
    line.put(frames.Transmit(instance="a", command_id="c", to="55", text="Olá"))
    closer = threading.Thread(target=line.close, kwargs={"unlink": unlink, "grace_s": PATIENCE_S})
    closer.start()
    (declined,) = frames.decode_words(ours.recv_bytes())
    assert isinstance(declined, frames.Said)
    assert isinstance(declined.observation, frames.SocketFailedToSend), "it is closing"
    former.may_close.set()
    closer.join(PATIENCE_S)
    assert line.close() == opens, "whether it was unlinked"
    socket = sockets.made("a", 2)
    assert (socket.opened.is_set(), socket.closed.is_set(), socket.unlinked) == (opens, True, unlink)
