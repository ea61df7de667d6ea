"""The server over real sockets on 127.0.0.1: what waitress does for us, and what we do for waitress."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Barrier, Event, Semaphore, Thread
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.errors import InstanceNotFound
from chatbot_erp.eventstore.events import Status
from chatbot_erp.http.channel import UPLOADS_AT_ONCE, UPLOADS_OF_ONE
from chatbot_erp.http.exchange import LARGEST_BODY
from chatbot_erp.http.people_operations import PEOPLE_AND_GROUPS
from chatbot_erp.http.serving import CHANGING_THREADS, LOOKING_THREADS, WAITING_CALLS, Serving, start_http

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager

PATIENCE_S = 60.0
MESSAGE = msgspec.json.encode({"number": "5591999999999", "message": "Olá!"})

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def start(manager: FakeManager) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(*, threads: int = 4, api_key: str | None = None, **more: Any) -> Serving:
        started.append(start_http(manager, Config(port=0, http_threads=threads, api_key=api_key), **more))
        return started[-1]

    manager.bring("a", Status.CONNECTED)
    yield start
    for server in started:
        server.stop()


def ask(
    server: Serving, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def send(server: Serving, **headers: str) -> Answer:
    return ask(server, "POST", "/instances/a/message", MESSAGE, {"Content-Type": "application/json", **headers})


def say(server: Serving, octets: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    connection.sendall(octets)
    return connection


def hold(begun: Event, go_on: Event, done: Event | None = None) -> Callable[[], None]:
    """A send that tells when it is begun, and waits."""

    def hold() -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        if done is not None:
            done.set()

    return hold


def hear(connection: socket.socket) -> Answer:
    """The one answer on a connection that the server then closes."""
    with connection:
        whole = b""
        while chunk := connection.recv(65536):
            whole += chunk
    head, _, body = whole.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def assert_problem(answer: Answer, status: int, code: str) -> None:
    problem = msgspec.json.decode(answer[2])
    assert (answer[0], problem["status"], problem["type"]) == (status, status, f"/problems/{code}")
    assert answer[1]["Content-Type"] == "application/problem+json"
    assert problem["instance"] == f"urn:uuid:{answer[1]['X-Request-Id']}"


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


def test_a_connection_serves_many_requests(start: Callable[..., Serving]) -> None:
    connection = HTTPConnection("127.0.0.1", start().port, timeout=PATIENCE_S)
    for _ in range(3):
        connection.request("GET", "/livez")
        assert connection.getresponse().read() == b'{"status":"alive"}'
    connection.close()


def test_an_answer_comes_in_one_piece(start: Callable[..., Serving]) -> None:
    with say(start(), b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(65536).endswith(b'\r\n\r\n{"status":"alive"}')


def test_an_answer_without_a_body_has_its_head(start: Callable[..., Serving]) -> None:
    server = start()
    assert ask(server, "HEAD", "/livez")[::2] == (200, b"")


def test_sends_run_at_once_and_do_not_keep_others_waiting(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start(threads=16)
    together = Barrier(17)

    def meet_twice() -> None:
        together.wait(PATIENCE_S)
        together.wait(PATIENCE_S)

    manager.on_send = meet_twice
    with ThreadPoolExecutor(20) as callers:
        sends = [callers.submit(send, server) for _ in range(16)]
        together.wait(PATIENCE_S)
        # All sixteen threads are in the middle of a send now, and more wait behind them.
        manager.on_send = lambda: None
        waiting = [callers.submit(send, server) for _ in range(4)]
        assert ask(server, "GET", "/livez")[0] == 200
        assert ask(server, "GET", "/instances/a")[0] == 200
        assert ask(server, "POST", "/instances/a/restart")[0] == 202
        together.wait(PATIENCE_S)
        assert {each.result()[0] for each in sends + waiting} == {200}


def test_questions_of_deaf_numbers_keep_neither_looks_nor_changes_waiting(
    start: Callable[..., Serving], manager: FakeManager
) -> None:
    server = start(threads=2 * (LOOKING_THREADS + CHANGING_THREADS))
    asked, answered = Semaphore(0), Event()

    def be_deaf() -> None:
        asked.release()
        assert answered.wait(PATIENCE_S)

    manager.inquiries.on_ask = be_deaf
    asking = [("GET", "groups"), ("DELETE", "blocklist/5591999999999")] * max(LOOKING_THREADS, CHANGING_THREADS)
    with ThreadPoolExecutor(len(asking)) as callers:
        questions = [callers.submit(ask, server, method, f"/instances/a/{path}") for method, path in asking]
        for _ in questions:
            assert asked.acquire(timeout=PATIENCE_S)
        for method, path, status in (
            ("GET", "/livez", 200),
            ("GET", "/readyz", 200),
            ("GET", "/instances/a", 200),
            ("POST", "/instances/a/restart", 202),
            ("DELETE", "/instances/a", 204),
        ):
            assert ask(server, method, path)[0] == status
        answered.set()
        assert {each.result()[0] for each in questions} == {200}


def test_every_call_that_waits_for_somebody_else_is_one_that_waits() -> None:
    others = ("/audit/verify", "/subjects/{number}", "/instances/{name}/webhook/test")
    for path in (*(each.path for each in PEOPLE_AND_GROUPS), *others):
        assert WAITING_CALLS.fullmatch(path), path
    for path in ("/instances/media", "/instances/message", "/instances/groups/restart", "/instances/{name}/events"):
        assert not WAITING_CALLS.fullmatch(path)


def test_health_is_told_while_everything_else_stands_still(
    start: Callable[..., Serving], manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    begun, go_on = Semaphore(0), Event()

    def stand_still(_: str) -> None:
        begun.release()
        assert go_on.wait(PATIENCE_S)
        raise InstanceNotFound

    monkeypatch.setattr(manager.directory, "view", stand_still)
    monkeypatch.setattr(manager, "restart", stand_still)
    asking = [("GET", "/instances/a")] * LOOKING_THREADS + [("POST", "/instances/a/restart")] * CHANGING_THREADS
    with ThreadPoolExecutor(len(asking)) as callers:
        waiting = [callers.submit(ask, server, method, path) for method, path in asking]
        for _ in waiting:
            assert begun.acquire(timeout=PATIENCE_S)
        assert ask(server, "GET", "/livez")[0] == 200
        assert ask(server, "GET", "/readyz")[0] == 200
        go_on.set()
        assert {each.result()[0] for each in waiting} == {404}


def test_fifty_equal_requests_at_once_send_one_message(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start(threads=16)
    manager.calls.clear()
    with ThreadPoolExecutor(50) as callers:
        answers = [
            each.result() for each in [callers.submit(send, server, **{"Idempotency-Key": "k"}) for _ in range(50)]
        ]
    assert len(manager.calls) == 1
    bodies = {body for status, _, body in answers if status == 200}
    assert len(bodies) == 1
    assert {status for status, _, _ in answers} <= {200, 409}
    status, headers, body = send(server, **{"Idempotency-Key": "k"})
    assert (status, {body}, headers["Idempotent-Replay"]) == (200, bodies, "true")


def test_a_body_of_the_allowed_size_is_read_and_one_byte_more_is_not(start: Callable[..., Serving]) -> None:
    server = start()
    body = b'{"name": "' + b"x" * (LARGEST_BODY - 12) + b'"}'
    assert ask(server, "POST", "/instances/create", body)[0] == 422
    assert_problem(ask(server, "POST", "/instances/create", body + b" "), 413, "content-too-large")


def test_a_body_that_is_far_too_large_is_refused_before_it_is_read(start: Callable[..., Serving]) -> None:
    head = b"POST /instances/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n\r\n"
    assert_problem(hear(say(start(), head + b"x" * 4 * LARGEST_BODY)), 413, "content-too-large")


def test_a_chunked_body_has_the_same_bound(start: Callable[..., Serving]) -> None:
    head = b"POST /instances/create HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert_problem(hear(say(start(), head + 40 * chunk)), 413, "content-too-large")


UPLOAD = b"POST /instances/a/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_a_file_to_be_sent_may_be_larger_than_other_bodies(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start()
    body = b'{"to": "5591999999999", "type": "document", "data": "' + b"QUJD" * (LARGEST_BODY // 2) + b'"}'
    headers = {"Content-Type": "application/json"}
    assert ask(server, "POST", "/instances/a/messages", body, headers)[0] == 200
    chunks = (body[at : at + LARGEST_BODY] for at in range(0, len(body), LARGEST_BODY))
    assert ask(server, "POST", "/instances/a/messages", chunks, headers)[0] == 200  # type: ignore[arg-type]
    assert manager.uploaded == [b"ABC" * (LARGEST_BODY // 2)] * 2
    assert_problem(hear(say(server, UPLOAD + b"Content-Length: 2147483648\r\n\r\n")), 413, "content-too-large")


def test_a_file_that_takes_longer_because_it_is_large_is_waited_for(start: Callable[..., Serving]) -> None:
    server = start(request_patience_s=0.2)
    with say(server, UPLOAD + b"Content-Length: 104857600\r\n\r\n{") as large:
        assert_problem(hear(say(server, UPLOAD + b"Content-Length: 100\r\n\r\n{")), 408, "request-timeout")
        large.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            large.recv(1)


def test_the_slow_files_of_one_number_leave_room_for_those_of_others(start: Callable[..., Serving]) -> None:
    server = start()
    arriving = [say(server, UPLOAD + b"Content-Length: 9999999\r\n\r\n{") for _ in range(UPLOADS_OF_ONE)]
    assert ask(server, "GET", "/livez")[0] == 200
    assert_problem(hear(say(server, UPLOAD + b"Content-Length: 9999999\r\n\r\n{")), 503, "too-many-uploads")
    with say(server, UPLOAD.replace(b"/a/", b"/b/") + b"Content-Length: 9999999\r\n\r\n{") as admitted:
        assert ask(server, "GET", "/livez")[0] == 200
        admitted.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            admitted.recv(1)
    for each in arriving:
        each.close()


def test_a_file_too_many_is_told_to_come_later(start: Callable[..., Serving]) -> None:
    server = start()
    head = [UPLOAD.replace(b"/a/", f"/n{number // UPLOADS_OF_ONE}/".encode()) for number in range(UPLOADS_AT_ONCE)]
    arriving = [say(server, each + b"Content-Length: 9999999\r\n\r\n{") for each in head]
    # The server's one thread reads what came before this first.
    assert ask(server, "GET", "/livez")[0] == 200
    answer = hear(say(server, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n"))
    assert_problem(answer, 503, "too-many-uploads")
    assert answer[1]["Retry-After"] == "5"
    assert send(server)[0] == 200
    arriving.pop().close()
    assert ask(server, "GET", "/livez")[0] == 200
    arriving.append(say(server, UPLOAD + b"Content-Length: 9999999\r\n\r\n{"))
    assert ask(server, "GET", "/livez")[0] == 200
    arriving[-1].settimeout(0.0)
    with pytest.raises(BlockingIOError):
        arriving[-1].recv(1)
    for each in arriving:
        each.close()


def test_a_file_of_somebody_without_a_key_is_not_even_taken_in(start: Callable[..., Serving]) -> None:
    server = start(api_key="right")
    head = UPLOAD + b"Content-Length: 9999999\r\n"
    answer = hear(say(server, head + b"\r\n{"))
    assert_problem(answer, 401, "unauthenticated")
    assert answer[1]["Www-Authenticate"].startswith("Bearer")
    assert_problem(hear(say(server, head + b"X-API-Key: wrong\r\n\r\n{")), 401, "unauthenticated")
    with say(server, head + b"X-API-Key: right\r\n\r\n{") as admitted:
        assert ask(server, "GET", "/livez")[0] == 200
        admitted.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            admitted.recv(1)


def test_who_goes_on_talking_after_a_refusal_is_cut_off(start: Callable[..., Serving]) -> None:
    head = b"POST /instances/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n\r\n"
    with say(start(), head) as connection, pytest.raises(OSError, match="reset|[Bb]roken"):
        connection.sendall(b"x" * 1000 * LARGEST_BODY)


@pytest.mark.parametrize(
    ("octets", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n", 400, "bad-request"),
        (b"\x00" * 100 + b"\r\n\r\n", 400, "bad-request"),
        (b"GET\r\n\r\n", 400, "bad-request"),
        (b"get /livez HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad-request"),
        (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad-request"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", 400, "bad-request"),
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


def test_stopping_twice_is_stopping_once(start: Callable[..., Serving]) -> None:
    server = start()
    server.stop()
    server.stop()
