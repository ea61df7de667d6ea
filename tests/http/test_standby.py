"""What a node answers while another one works, over real sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.turns import stand_by
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.postgres_store import open_store
from chatbot_erp.http.serving import Serving, start_standby
from chatbot_erp.http.standby import FORWARDED

PATIENCE_S = 60.0


class NoKeys:
    """A vault in which nothing is."""

    def put(self, kind: str, owner: str, secret: bytes, /) -> None: ...

    def get(self, kind: str, owner: str, /) -> bytes | None:
        return None

    def all(self, kind: str, /) -> dict[str, bytes]:
        return {}


class Company:
    """The other nodes, as the test says."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.changed: Callable[[], None] = lambda: None

    def leader(self) -> str | None:
        return self.address

    def heed(self, changed: Callable[[], None], /) -> None:
        self.changed = changed


@pytest.fixture
def company(httpserver: HTTPServer) -> Company:
    company = Company()
    company.address = httpserver.url_for("").rstrip("/")
    return company


@pytest.fixture
def node(company: Company) -> Iterator[Serving]:
    config = Config(port=0, api_key="secret")
    server = start_standby(config, company, NoKeys())
    yield server
    server.stop()


def ask(node: Serving, method: str, path: str, **more: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, node.url + path, timeout=PATIENCE_S, allow_redirects=False, **more)


def test_a_request_and_its_answer_pass_as_they_are(node: Serving, httpserver: HTTPServer) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        request.get_data()
        return Response(b"\x00\xff", 302, {"Location": "/elsewhere", "Set-Cookie": "a=1", "Content-Type": "x/y"})

    httpserver.expect_request("/instances/a b/message", method="POST").respond_with_handler(answer)
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer secret", "Host": "example.org"}
    got = ask(node, "POST", "/instances/a%20b/message?x=%2F&y", data=b"12345", headers=headers)
    assert (got.status_code, got.content, got.headers["Content-Type"]) == (302, b"\x00\xff", "x/y")
    assert (got.headers["Location"], got.headers["Set-Cookie"]) == ("/elsewhere", "a=1")
    (request,) = seen
    assert request.get_data() == b"12345"
    assert {name: request.headers[name] for name in headers} == headers
    assert request.environ["QUERY_STRING"] == "x=%2F&y"
    assert request.headers["X-Request-Id"] == got.headers["X-Request-Id"]


def test_a_request_that_names_a_whole_address_goes_nowhere_else(node: Serving, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances", query_string="a=1").respond_with_data("here")
    for address in ("http://elsewhere.invalid", "x.elsewhere.invalid://h"):
        with socket.create_connection(("127.0.0.1", node.port), PATIENCE_S) as line:
            line.sendall(f"GET {address}/instances?a=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            with line.makefile("rb") as answer:
                assert answer.read().endswith(b"\r\n\r\nhere")


def test_without_a_node_that_works_nothing_is_done_and_it_says_when_to_come_back(
    node: Serving, company: Company
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        for company.address in (None, f"http://127.0.0.1:{taken.getsockname()[1]}"):
            got = ask(node, "POST", "/instances/a/message", data=b"{}")
            assert (got.status_code, got.json()["type"]) == (503, "/problems/no-node")
            assert int(got.headers["Retry-After"]) > 0
    assert ask(node, "GET", "/livez").status_code == 200
    company.address = None
    assert ask(node, "GET", "/readyz").status_code == 503


def test_what_was_forwarded_once_is_not_forwarded_again(node: Serving) -> None:
    got = ask(node, "GET", "/instances", headers={FORWARDED: "1"})
    assert (got.status_code, got.json()["type"]) == (503, "/problems/no-node")


@pytest.mark.parametrize(("method", "status"), [("GET", 503), ("POST", 504)])
def test_who_waits_for_a_node_that_froze_is_told_when_it_is_superseded(
    node: Serving, company: Company, httpserver: HTTPServer, method: str, status: int
) -> None:
    came, end = Event(), Event()

    def hang(request: Request) -> Response:
        came.set()
        end.wait(PATIENCE_S)
        return Response("late")

    httpserver.expect_request("/instances").respond_with_handler(hang)
    with ThreadPoolExecutor() as pool:
        waits = pool.submit(ask, node, method, "/instances", data=b"{}" if method == "POST" else None)
        assert came.wait(PATIENCE_S)
        company.changed()
        try:
            assert waits.result(PATIENCE_S).status_code == status
        finally:
            end.set()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
    except OSError:
        return False
    return True


def test_a_node_that_ends_lets_the_calls_finish_that_it_forwarded(
    database: str, tmp_path: Path, httpserver: HTTPServer
) -> None:
    came, end = Event(), Event()

    def slow(request: Request) -> Response:
        came.set()
        end.wait(PATIENCE_S)
        return Response("done")

    httpserver.expect_request("/instances", method="POST").respond_with_handler(slow)
    working = Node(name="a", url=httpserver.url_for("").rstrip("/"), movable=True, lease_s=3600)
    config = Config(port=0, api_key="secret", node="b", database=database, data_dir=tmp_path / "b")
    with open_store(database, tmp_path / "a", node=working), ThreadPoolExecutor() as pool, ExitStack() as house:
        node = house.enter_context(stand_by(config, start_standby, PATIENCE_S)).server
        while ask(node, "GET", "/readyz").status_code != 200:
            time.sleep(0.05)
        waits = pool.submit(ask, node, "POST", "/instances", data=b"{}")
        assert came.wait(PATIENCE_S)
        ends = pool.submit(house.pop_all().close)
        while listens(node.port):
            time.sleep(0.05)
        end.set()
        assert waits.result(PATIENCE_S).text == "done"
        ends.result(PATIENCE_S)


def test_of_a_large_body_nothing_is_taken_in_that_shows_no_key(node: Serving, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances/a/messages").respond_with_data("taken")
    large = b"x" * (2 << 20)
    refused = ask(node, "POST", "/instances/a/messages", data=large, headers={"Content-Type": "multipart/form-data"})
    assert refused.status_code == 401
    shown = {"Authorization": "Bearer secret", "Content-Type": "multipart/form-data"}
    assert ask(node, "POST", "/instances/a/messages", data=large, headers=shown).text == "taken"
