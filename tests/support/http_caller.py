"""A caller on real sockets, for what waitress does for us, and what we do for waitress."""

import socket
from collections.abc import Callable
from http.client import HTTPConnection
from threading import Event

import msgspec

from chatbot_erp.http.channel import Channel
from chatbot_erp.http.serving import Serving

PATIENCE_S = 60.0
MESSAGE = msgspec.json.encode({"number": "5591999999999", "message": "Olá!"})

Answer = tuple[int, dict[str, str], bytes]


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


def channels(server: Serving) -> list[Channel]:
    """The connections that the server has."""
    return [each for listener in server._listeners for each in list(listener.active_channels.values())]


def hold(begun: Event, go_on: Event, done: Event | None = None) -> Callable[[], None]:
    """What tells that it is begun, and waits, and tells that it is done: a send, or a look for keys."""

    def hold() -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        if done is not None:
            done.set()

    return hold
