"""A connection as the server's loop and its threads share it."""

import math
import socket
from threading import Condition
from types import SimpleNamespace

import pytest
from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer

from chatbot_erp.http.channel import Channel


class Sending(Channel):
    """One whose socket takes four bytes and then no more; it notes whether the loop would wait for it meanwhile."""

    def __init__(self) -> None:
        buffer = OverflowableBuffer(100)
        buffer.append(b"answer")
        self.outbufs = [buffer]
        self.total_outbufs_len, self.sendbuf_len = len(buffer), 100
        self.will_close = self.close_when_flushed = False
        self.connected, self.outbuf_lock, self.current_outbuf_count = True, Condition(), 0
        self.adj = Adjustments()
        self.server = SimpleNamespace(pull_trigger=lambda: None)
        self.last_activity = 0.0
        self.seen: list[bool] = []

    def send(self, data: bytes, do_close: bool = True) -> int:
        self.seen.append(self.writable())
        return 4 if len(self.seen) == 1 else 0


def test_the_loop_does_not_turn_for_a_connection_whose_answer_is_being_sent() -> None:
    """Who sends wakes it afterwards, where something is left."""
    channel = Sending()
    assert channel.writable()
    channel._flush_some()
    assert channel.seen == [False, False]
    assert channel.writable()


def test_an_answer_has_its_whole_time_to_be_taken_however_long_it_was_in_coming() -> None:
    channel = Sending()
    channel.taken_at = -math.inf
    assert channel.is_stuck()
    channel.total_outbufs_len = 0
    channel.write_soon(b"another answer")
    assert channel.total_outbufs_len
    assert not channel.is_stuck()


def test_a_caller_that_takes_a_little_of_its_answer_is_not_stuck() -> None:
    channel = Sending()
    channel.taken_at = -math.inf
    channel._flush_some()
    assert channel.total_outbufs_len
    assert not channel.is_stuck()


def test_a_caller_that_goes_before_it_is_told_to_go_on_is_nothing_to_complain_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Or anybody could fill the log: waitress does not expect its connection to end while it tells somebody to go on."""
    ours, theirs = socket.socketpair()
    server = SimpleNamespace(active_channels={}, pull_trigger=lambda: None)
    channel = Channel(server, ours, ("127.0.0.1", 1), Adjustments(), map={})
    theirs.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
    theirs.close()
    channel.handle_read()
    channel.end()
    assert server.active_channels == {}
    assert caplog.records == []
