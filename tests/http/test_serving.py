"""The server over real sockets on 127.0.0.1: how it starts, answers, refuses and stops."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from http.client import HTTPConnection
from threading import Event, Thread
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.errors import OutcomeUnknown
from chatbot_erp.http import channel, serving
from chatbot_erp.http.serving import LOOKING_THREADS, Serving, start_http
from http_caller import MESSAGE, PATIENCE_S, ask, assert_problem, channels, hear, hold, say, send
from waiting import wait_until

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager


def test_a_free_port_is_found_and_told(start: Callable[..., Serving]) -> None:
    server = start()
    assert server.url == f"http://127.0.0.1:{server.port}"
    status, headers, _ = ask(server, "GET", "/livez")
    assert status == 200
    assert "Server" not in headers
    (node,) = msgspec.json.decode(ask(server, "GET", "/nodes")[2])
    assert node["url"] == server.url


def test_a_taken_port_is_said_so(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start()
    with pytest.raises(OSError, match=f"127.0.0.1:{server.port}"):
        start_http(manager, Config(port=server.port))


def test_what_a_proxy_says_is_seen_and_nobody_poses_as_another_address_by_it(start: Callable[..., Serving]) -> None:
    assert_problem(ask(start(), "GET", "/instances", headers={"X-Forwarded-For": "203.0.113.7"}), 403, "foreign-host")
    with capture_logs() as lines:
        told = {"X-Forwarded-For": "203.0.113.7", "X-API-Key": "wrong"}
        assert ask(start(api_key="right"), "GET", "/instances", headers=told)[0] == 401
    assert [line["address"] for line in lines] == ["127.0.0.1"]


def test_a_connection_serves_many_requests(start: Callable[..., Serving]) -> None:
    connection = HTTPConnection("127.0.0.1", start().port, timeout=PATIENCE_S)
    for _ in range(3):
        connection.request("GET", "/livez")
        assert connection.getresponse().read() == b'{"status":"alive"}'
    connection.close()


def test_an_answer_comes_in_one_piece(start: Callable[..., Serving]) -> None:
    with say(start(), b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(65536).endswith(b'\r\n\r\n{"status":"alive"}')


def test_a_caller_who_would_go_on_and_has_nothing_more_is_answered(start: Callable[..., Serving]) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
    assert hear(say(start(), head))[0] == 200


def test_who_asks_whether_a_body_may_come_is_told_to_go_on_and_answered(start: Callable[..., Serving]) -> None:
    head = f"POST /instances/a/message HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(MESSAGE)}\r\n".encode()
    with say(start(), head + b"Connection: close\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(MESSAGE)
        assert hear(connection)[0] == 200


def test_an_answer_without_a_body_has_its_head(start: Callable[..., Serving]) -> None:
    server = start()
    assert ask(server, "HEAD", "/livez")[::2] == (200, b"")


@pytest.mark.parametrize(
    ("octets", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n", 400, "bad-request"),
        (b"\x00" * 100 + b"\r\n\r\n", 400, "bad-request"),
        (b"GET\r\n\r\n", 400, "bad-request"),
        (b"get /livez HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad-request"),
        (b"GET http://[x/ HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad-request"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", 400, "bad-request"),
        (b"POST /x HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, "bad-request"),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n", 400, "bad-request"),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not-implemented"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", 431, "headers-too-large"),
        (b"BREW /instances HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "bad-request"),
        (b"WEBSOCKET /instances HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "bad-request"),
        (b"GET /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n", 404, "not-found"),
    ],
)
def test_what_is_not_http_is_a_problem_too(
    start: Callable[..., Serving], octets: bytes, status: int, code: str
) -> None:
    server = start()
    assert_problem(hear(say(server, octets)), status, code)
    assert ask(server, "GET", "/livez")[0] == 200


def test_slow_callers_hold_no_thread_and_are_told_when_it_takes_too_long(start: Callable[..., Serving]) -> None:
    server = start(threads=1, request_patience_s=0.2)
    begun = [
        b"G",
        b"POST /instances/a/message HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /instances/a/message HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n{",
    ]
    slow = [say(server, octets) for octets in begun * LOOKING_THREADS]
    assert ask(server, "GET", "/livez")[0] == 200
    assert send(server)[0] == 200
    silent = say(server, b"")
    for connection in slow:
        assert_problem(hear(connection), 408, "request-timeout")
    with silent:
        assert silent.recv(1) == b""


def test_who_takes_nothing_of_an_answer_is_let_go(
    start: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask for what is open to all, and connections are not without number."""
    server = start()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(64 * b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: any(each.total_outbufs_len for each in channels(server)))
        monkeypatch.setattr(channel, "STUCK_S", 0.5)
        wait_until(lambda: not channels(server))


def test_who_asks_to_go_on_behind_an_answer_that_nobody_takes_holds_up_nobody(start: Callable[..., Serving]) -> None:
    server = start(request_patience_s=0.2)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        wait_until(lambda: channels(server))
        (its,) = channels(server)
        assert its.socket is not None
        its.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        its.adj = copy(its.adj)
        its.adj.outbuf_high_watermark = 1
        head = (
            b"POST /instances/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" + head)
        wait_until(lambda: its.refused)
        assert its.total_outbufs_len > 1
        assert ask(server, "GET", "/livez")[0] == 200


def test_who_left_is_not_served_any_more(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start(threads=1)
    begun, go_on = Event(), Event()
    manager.on_send = hold(begun, go_on)
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(send, server)
        assert begun.wait(PATIENCE_S)
        manager.calls.clear()
        gone = MESSAGE.replace(b"!", b"?")
        head = f"POST /instances/a/message HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(gone)}\r\n\r\n".encode()
        say(server, head + gone).close()
        # The server's I/O thread has seen the farewell when it answers what came later.
        assert ask(server, "GET", "/livez")[0] == 200
        last = callers.submit(send, server)
        go_on.set()
        assert (first.result()[0], last.result()[0]) == (200, 200)
    assert [call[-1] for call in manager.calls] == ["Olá!"]


def test_stopping_lets_what_runs_finish_and_takes_nothing_new(
    start: Callable[..., Serving], manager: FakeManager
) -> None:
    server = start()
    begun, go_on = Event(), Event()
    manager.on_send = hold(begun, go_on)
    idle = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    idle.request("GET", "/livez")
    idle.getresponse().read()
    with ThreadPoolExecutor(1) as callers:
        running = callers.submit(send, server)
        assert begun.wait(PATIENCE_S)
        stopping = Thread(target=server.stop, args=(PATIENCE_S,))
        stopping.start()
        assert idle.sock.recv(1) == b""
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
        assert stopping.is_alive()
        go_on.set()
        assert running.result()[0] == 200
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()
    idle.close()


def test_stopping_waits_no_longer_than_it_was_told(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start()
    begun, go_on, done = Event(), Event(), Event()
    manager.on_send = hold(begun, go_on, done)
    head = f"POST /instances/a/message HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(MESSAGE)}\r\n\r\n".encode()
    connection = say(server, head + MESSAGE)
    assert begun.wait(PATIENCE_S)
    server.stop(0.05)
    assert connection.recv(1) == b""
    connection.close()
    go_on.set()
    assert done.wait(PATIENCE_S)


def test_who_still_waits_shortly_before_the_end_is_answered(
    start: Callable[..., Serving], manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    begun, released = Event(), Event()

    def wait_in_vain() -> None:
        begun.set()
        assert released.wait(PATIENCE_S)
        raise OutcomeUnknown("on purpose")

    manager.on_send, manager.on_release = wait_in_vain, released.set
    monkeypatch.setattr(serving, "LAST_WORD_S", PATIENCE_S)
    with ThreadPoolExecutor(1) as callers:
        running = callers.submit(send, server)
        assert begun.wait(PATIENCE_S)
        server.stop(PATIENCE_S)
        assert_problem(running.result(), 504, "outcome-unknown")


def test_stopping_twice_is_stopping_once(start: Callable[..., Serving]) -> None:
    server = start()
    server.stop()
    server.stop()
