"""What a node answers for others, and has answered by them, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from math import inf
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import requests

import http_caller

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager

MOMENT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.errors import InstanceNotFound, InstanceNotOperational, ManagerError, Unavailable
from chatbot_erp.eventstore.company import Alone, Seat, Seen
from chatbot_erp.eventstore.events import InstanceConnected, InstanceRestarted, Status
from chatbot_erp.http import forwarding
from chatbot_erp.http.forwarding import FORWARDED, MOVE_PATIENCE_S
from chatbot_erp.http.node_seal import Seal
from chatbot_erp.http.serving import LOOKING_THREADS, Serving, start_http

PATIENCE_S = 60.0
SECRET = b"of all nodes"
HELLO = {"number": "5511987654321", "message": "Olá"}


class Fellows(Alone):
    """The nodes "here" and "there"; every instance that is not here is where the test says."""

    node = "here"

    def secret(self) -> bytes:
        return SECRET

    def __init__(self, url: str) -> None:
        super().__init__()
        self.there = Seen("there", url, MOMENT, alive=True, instances=0)
        self.owner = "there"
        self.more: list[Seen] = []
        self.sought: list[str] = []
        self.names = {"a": ("id-a", "there"), "b": ("id-b", "there")}

    def nodes(self) -> list[Seen]:
        return [Seen("here", "http://here", MOMENT, alive=True, instances=5), self.there, *self.more]

    def seat(self, name: str, /) -> Seat | None:
        self.sought.append(name)
        if name not in self.names:
            return None
        return Seat(self.names[name][0], self.owner, self.there.url, self.there.alive)

    def seats(self) -> dict[str, tuple[str, str]]:
        return self.names


@pytest.fixture
def fellows(httpserver: HTTPServer, manager: FakeManager) -> Fellows:
    fellows = Fellows(httpserver.url_for("").rstrip("/"))
    manager.store.company = fellows
    return fellows


@pytest.fixture
def node(fellows: Fellows, manager: FakeManager) -> Iterator[Serving]:
    server = start_http(manager, Config(port=0, api_key="secret", share=True))
    yield server
    server.stop()


def ask(node: Serving, method: str, path: str, **more: Any) -> requests.Response:
    more.setdefault("headers", {})
    more["headers"] = {"Authorization": "Bearer secret"} | more["headers"]
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, node.url + path, timeout=PATIENCE_S, allow_redirects=False, **more)


def sealed(method: str, path: str) -> dict[str, str]:
    """What another node adds to such a call."""
    return {FORWARDED: Seal(lambda: SECRET).stamp(method, path)}


def go(manager: FakeManager, instance: str, failure: ManagerError) -> None:
    """The instance goes to another node while it is asked."""
    manager.directory.leave(instance)
    raise failure


def test_a_request_and_its_answer_pass_as_they_are(node: Serving, httpserver: HTTPServer) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        request.get_data()
        return Response(b"\x00\xff", 302, {"Location": "/elsewhere", "Set-Cookie": "a=1", "Content-Type": "x/y"})

    httpserver.expect_request("/instances/a/message", method="POST").respond_with_handler(answer)
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer secret", "Host": "example.org"}
    got = ask(node, "POST", "/instances/a/message?x=%2F&y", data=b"12345", headers=headers)
    assert (got.status_code, got.content, got.headers["Content-Type"]) == (302, b"\x00\xff", "x/y")
    assert (got.headers["Location"], got.headers["Set-Cookie"]) == ("/elsewhere", "a=1")
    (request,) = seen
    assert request.get_data() == b"12345"
    assert {name: request.headers[name] for name in headers} == headers
    assert request.environ["QUERY_STRING"] == "x=%2F&y"
    assert request.headers["X-Request-Id"] == got.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["instances/a", "//instances/a", "http://elsewhere.example/instances/a"])
def test_however_a_path_begins_it_is_one_of_the_node_that_has_it(
    node: Serving, httpserver: HTTPServer, path: str
) -> None:
    httpserver.expect_oneshot_request("/instances/a").respond_with_data(b"of that node")
    answer = http_caller.ask(node, "GET", path, headers={"Authorization": "Bearer secret"})
    assert (answer[0], answer[2]) == (200, b"of that node")


def test_the_id_that_a_caller_gave_goes_on_as_it_is(node: Serving, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances/a", headers={"X-Request-Id": "order-42"}).respond_with_json({})
    assert ask(node, "GET", "/instances/a", headers={"X-Request-Id": "order-42"}).status_code == 200


def test_what_others_forward_is_answered_while_every_thread_waits_for_them(
    node: Serving, fellows: Fellows, manager: FakeManager
) -> None:
    manager.bring("here", Status.CONNECTED)
    came, end = Semaphore(0), Event()

    def hang(request: Request) -> Response:
        came.release()
        end.wait(2 * PATIENCE_S)
        return Response("{}")

    with HTTPServer(threaded=True) as there, ThreadPoolExecutor(LOOKING_THREADS) as pool:
        there.expect_request("/instances/a/webhook").respond_with_handler(hang)
        fellows.there = msgspec.structs.replace(fellows.there, url=there.url_for("").rstrip("/"))
        waits = [pool.submit(ask, node, "GET", "/instances/a/webhook") for _ in range(LOOKING_THREADS)]
        try:
            assert all(came.acquire(timeout=PATIENCE_S) for _ in waits)
            assert ask(node, "GET", "/instances/here", headers=sealed("GET", "/instances/here")).status_code == 200
        finally:
            end.set()
        assert {each.result(PATIENCE_S).status_code for each in waits} == {200}


def test_where_nobody_has_it_just_now_nothing_is_done_and_it_says_when_to_come_back(
    node: Serving, fellows: Fellows
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        fellows.there = msgspec.structs.replace(fellows.there, url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        refused = [ask(node, "POST", "/instances/a/message", data=b"{}")]
        fellows.there = msgspec.structs.replace(fellows.there, alive=False)
        refused.append(ask(node, "GET", "/instances/a"))
        fellows.owner = "here"  # it is on its way
        refused.append(ask(node, "GET", "/instances/a"))
    for got in refused:
        assert (got.status_code, got.json()["type"]) == (503, "/problems/no-node")
        assert int(got.headers["Retry-After"]) > 0


def test_an_answer_that_breaks_off_is_not_taken_for_whole_and_nobody_is_named_in_the_log(
    node: Serving, fellows: Fellows, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there, ThreadPoolExecutor(1) as pool:
        fellows.there = msgspec.structs.replace(fellows.there, url=f"http://127.0.0.1:{there.getsockname()[1]}")
        asked = pool.submit(ask, node, "GET", "/instances/a/contacts/5511987654321")
        with there.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            asked.result(PATIENCE_S)
    assert [each.getMessage() for each in caplog.records if "5511987654321" in each.getMessage()] == []


def no_node(node: Serving) -> dict[str, Any]:
    """What a node says of what it has no more."""
    path = "/instances/a/restart"
    got = ask(node, "POST", path, headers=sealed("POST", path))
    assert (got.status_code, got.json()["type"]) == (503, "/problems/no-node")
    return {"response_data": got.content, "status": 503, "content_type": got.headers["Content-Type"]}


def test_what_was_forwarded_once_is_neither_forwarded_again_nor_waited_for(node: Serving, fellows: Fellows) -> None:
    no_node(node)
    assert fellows.sought == ["a"]


def test_a_call_that_comes_when_an_instance_has_just_gone_finds_it_where_it_is_then(
    node: Serving, httpserver: HTTPServer
) -> None:
    gone = no_node(node)
    seen: list[bytes] = []

    def answer(request: Request) -> Response:
        seen.append(request.get_data())
        return Response(gone["response_data"], 503) if len(seen) < 3 else Response("sent", 200)

    httpserver.expect_request("/instances/a/message", method="POST").respond_with_handler(answer)
    assert ask(node, "POST", "/instances/a/message", data=b"12345").text == "sent"
    assert seen == 3 * [b"12345"]


def test_a_call_that_was_forwarded_in_vain_is_answered_here_when_the_instance_has_come(
    node: Serving, manager: FakeManager, httpserver: HTTPServer
) -> None:
    gone = no_node(node)

    def answer(request: Request) -> Response:
        manager.bring("a", Status.CONNECTED)
        return Response(gone["response_data"], 503)

    httpserver.expect_ordered_request("/instances/a/messages", method="POST").respond_with_handler(answer)
    got = ask(node, "POST", "/instances/a/messages", files={"message": b'{"to":"551","type":"nonsense"}'})
    assert [each["field"] for each in got.json()["errors"]] == ["type"]  # the body was read, here, too


@pytest.mark.parametrize("answers", [InstanceNotFound, InstanceNotOperational, Unavailable])
def test_a_call_to_an_instance_that_goes_while_it_is_asked_is_answered_where_it_is_then(
    node: Serving, manager: FakeManager, httpserver: HTTPServer, answers: type[ManagerError]
) -> None:
    instance = manager.bring("a", Status.CONNECTED)
    manager.on_send = lambda: go(manager, instance, answers("It has gone."))
    httpserver.expect_request("/instances/a/message", method="POST").respond_with_json({"messageId": "there"})
    got = ask(node, "POST", "/instances/a/message", json=HELLO, headers={"Idempotency-Key": "k"})
    assert (got.status_code, got.json()) == (200, {"messageId": "there"})
    assert "Retry-After" not in got.headers
    assert httpserver.log[0][0].get_json() == HELLO


def test_a_message_that_the_log_has_as_failed_is_not_sent_once_more_where_its_instance_is_then(
    node: Serving, manager: FakeManager
) -> None:
    instance = manager.bring("a", Status.CONNECTED)
    failure = InstanceNotOperational("The socket was gone before the message left.")
    failure.on_record = True
    manager.on_send = lambda: go(manager, instance, failure)
    got = ask(node, "POST", "/instances/a/message", json=HELLO)
    assert (got.status_code, got.json()["type"]) == (409, "/problems/instance-not-operational")


def test_an_answer_without_a_body_has_nothing_of_the_refusal_before_it(
    node: Serving, manager: FakeManager, httpserver: HTTPServer
) -> None:
    instance = manager.bring("a", Status.CONNECTED)
    manager.on_send = lambda: go(manager, instance, Unavailable())
    httpserver.expect_request("/instances/a/message", method="POST").respond_with_handler(lambda _: empty())
    got = ask(node, "POST", "/instances/a/message", json=HELLO)
    assert (got.status_code, got.headers.get("Content-Type"), got.headers.get("Retry-After")) == (204, None, None)


def empty() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def test_where_a_name_is_nowhere_is_asked_once(node: Serving, fellows: Fellows) -> None:
    assert ask(node, "POST", "/instances/nobody/restart").status_code == 404
    assert fellows.sought == ["nobody"]


def test_a_call_waits_for_an_instance_that_moves_as_long_as_its_patience_lasts_and_not_once_more_after_it_was_asked(
    node: Serving, fellows: Fellows, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = manager.bring("a", Status.CONNECTED)
    clock = Clock()
    monkeypatch.setattr(forwarding, "time", clock)

    def go() -> None:
        manager.directory.leave(instance)
        fellows.owner = "here"  # between two nodes, for good
        raise Unavailable

    manager.on_send = go
    manager.directory.part(instance)
    clock.then(2.0, lambda: manager.directory.come(instance, 0.0))
    got = ask(node, "POST", "/instances/a/message", json=HELLO)
    assert (got.status_code, got.json()["type"]) == (503, "/problems/no-node")
    assert MOVE_PATIENCE_S <= clock.now < MOVE_PATIENCE_S + 0.5


class Clock:
    """Time passes only where it is slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due = inf
        self._what: Callable[[], None] = lambda: None

    def then(self, at: float, what: Callable[[], None]) -> None:
        """Have this done when it is so late."""
        self._due, self._what = at, what

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self._due:
            self._due = inf
            self._what()


def test_who_forwards_a_call_to_an_instance_that_goes_while_it_is_asked_is_told_that_it_has_gone(
    node: Serving, manager: FakeManager
) -> None:
    instance = manager.bring("a", Status.CONNECTED)
    manager.on_send = lambda: go(manager, instance, InstanceNotFound())
    path = "/instances/a/message"
    got = ask(node, "POST", path, json=HELLO, headers=sealed("POST", path))
    assert (got.status_code, got.json()["type"]) == (503, "/problems/no-node")


def test_what_is_here_is_answered_here_and_what_is_nowhere_is_not_found(node: Serving, manager: FakeManager) -> None:
    manager.bring("here", Status.CONNECTED)
    assert ask(node, "GET", "/instances/here").json()["status"] == "CONNECTED"
    assert ask(node, "GET", "/instances/nobody").status_code == 404
    assert ask(node, "GET", "/instances/nobody/events").status_code == 404


def test_what_is_here_and_could_not_be_brought_back_is_said_to_be_so(
    node: Serving, fellows: Fellows, manager: FakeManager
) -> None:
    fellows.owner = "here"
    manager.directory.miss("id-a", "a")
    got = ask(node, "GET", "/instances/a")
    assert (got.status_code, "cannot be read" in got.json()["detail"]) == (503, True)
    manager.directory.leave("id-a")
    assert not manager.directory.has("a"), "another node has it by now, which may well read it"


def test_who_shares_with_nobody_refuses_what_stays_with_another_machine(
    node: Serving, fellows: Fellows, manager: FakeManager
) -> None:
    fellows.node = ""
    manager.bring("here", Status.CONNECTED)
    got = ask(node, "POST", "/instances/a/restart")
    assert (got.status_code, got.json()["type"]) == (503, "/problems/no-node")
    assert ask(node, "GET", "/instances/here").status_code == 200
    assert ask(node, "GET", "/instances/nobody").status_code == 404


def test_a_call_waits_for_an_instance_that_comes_until_what_is_seen_of_it_is_true_and_it_is_connected(
    node: Serving, manager: FakeManager
) -> None:
    instance = manager.bring("comes", Status.CONNECTED)
    directory = manager.directory
    directory.come(instance, PATIENCE_S)
    assert ask(node, "GET", "/instances/comes").json()["type"] == "/problems/no-node"  # who looks is not kept waiting
    with ThreadPoolExecutor() as pool:
        call = pool.submit(ask, node, "POST", "/instances/comes/restart")
        manager.happen(instance, InstanceRestarted(cause="manager_started", generation=2, previous=Status.CONNECTED))
        directory.came(instance)
        assert ask(node, "GET", "/instances/comes").json()["status"] == "INITIALIZING"
        assert directory.is_opening("comes", PATIENCE_S)
        assert not directory.is_opening("comes", 0.0)
        manager.happen(
            instance, InstanceConnected(previous=Status.INITIALIZING, jid="1@s.whatsapp.net", lid=None, push_name="")
        )
        assert call.result(PATIENCE_S).status_code == 202
    assert not directory.is_opening("comes", PATIENCE_S)
    assert not directory.is_coming("comes")


def test_an_instance_that_comes_is_listed_as_disconnected_and_counted_under_no_status_until_it_is_here(
    node: Serving, fellows: Fellows, manager: FakeManager, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/instances").respond_with_json([])
    instance = manager.bring("comes", Status.CONNECTED)
    fellows.names = {"comes": (instance, "here")}

    def seen() -> tuple[list[str], bool]:
        listed = ask(node, "GET", "/instances").json()
        counted = 'chatbot_erp_instances{status="CONNECTED"} 1.0' in ask(node, "GET", "/metrics").text
        return [each["status"] for each in listed], counted

    manager.directory.come(instance, PATIENCE_S)
    assert seen() == (["DISCONNECTED"], False)
    manager.directory.came(instance)
    assert seen() == (["CONNECTED"], True)


def test_an_instance_is_made_where_there_are_fewest(node: Serving, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances/create", method="POST").respond_with_data("made there", 201)
    assert ask(node, "POST", "/instances/create", json={"name": "c", "webhookUrl": "http://x"}).text == "made there"
    headers = sealed("POST", "/instances/create")
    made = ask(node, "POST", "/instances/create", json={"name": "d", "webhookUrl": "http://x"}, headers=headers)
    assert made.json()["name"] == "d"


def test_an_instance_is_made_at_none_that_ends_or_cannot_be_reached_where_there_is_another(
    node: Serving, fellows: Fellows, manager: FakeManager, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/instances/create", method="POST").respond_with_data("made there", 201)
    reached = fellows.there
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        dead = msgspec.structs.replace(reached, name="dead", url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        fellows.more = [dead]
        fellows.there = msgspec.structs.replace(reached, instances=1)
        wanted = {"name": "c", "webhookUrl": "http://x"}
        assert ask(node, "POST", "/instances/create", json=wanted).text == "made there"
        fellows.there = msgspec.structs.replace(reached, leaving=True)
        assert ask(node, "POST", "/instances/create", json=wanted).json()["name"] == "c"
    assert [view.name for view in manager.directory.views()] == ["c"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/instances"), ("GET", "/instances/a"), ("POST", "/instances/create")]
)
def test_nobody_but_a_node_is_believed_to_be_one(node: Serving, manager: FakeManager, method: str, path: str) -> None:
    seal = sealed(method, "/instances/another")[FORWARDED]
    for shown in ("1", "", "\xff", seal, Seal(lambda: b"guessed").stamp(method, path)):
        got = ask(node, method, path, headers={FORWARDED: shown}, json={"name": "c", "webhookUrl": "http://x"})
        assert (got.status_code, got.json()["type"]) == (403, "/problems/not-allowed")
    assert manager.calls == []


def test_the_list_has_the_instances_of_all_nodes_and_those_of_a_silent_one_as_disconnected(
    node: Serving, manager: FakeManager, httpserver: HTTPServer
) -> None:
    manager.bring("c", Status.CONNECTED)
    there = [{"id": "id-a", "name": "a", "status": "SCAN_QR_CODE"}]
    httpserver.expect_ordered_request("/instances").respond_with_json(there)
    httpserver.expect_ordered_request("/instances").respond_with_data("", 500)

    def seen() -> list[tuple[str, str]]:
        return [(each["name"], each["status"]) for each in ask(node, "GET", "/instances").json()]

    assert seen() == [("a", "SCAN_QR_CODE"), ("b", "DISCONNECTED"), ("c", "CONNECTED")]
    assert seen() == [("a", "DISCONNECTED"), ("b", "DISCONNECTED"), ("c", "CONNECTED")]
    assert ask(node, "HEAD", "/instances").status_code == 200
    own = ask(node, "GET", "/instances", headers=sealed("GET", "/instances"))
    assert [each["name"] for each in own.json()] == ["c"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/instances/a/profile", 503), ("POST", "/instances/a/restart", 504)]
)
def test_who_waits_for_a_node_that_froze_is_told_when_others_took_over(
    node: Serving, manager: FakeManager, httpserver: HTTPServer, method: str, path: str, status: int
) -> None:
    came, end = Event(), Event()

    def hang(request: Request) -> Response:
        came.set()
        end.wait(PATIENCE_S)
        return Response("late")

    httpserver.expect_request(path).respond_with_handler(hang)
    with ThreadPoolExecutor() as pool:
        waits = pool.submit(ask, node, method, path)
        assert came.wait(PATIENCE_S)
        manager._told_of_nodes({"here": "http://here"})
        try:
            assert waits.result(PATIENCE_S).status_code == status
        finally:
            end.set()


def test_of_a_large_body_nothing_is_taken_in_that_shows_no_key(node: Serving, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances/a/messages").respond_with_data("taken")
    large = b"x" * (2 << 20)
    form = {"Content-Type": "multipart/form-data"}
    refused = ask(node, "POST", "/instances/a/messages", data=large, headers=form | {"Authorization": "Bearer wrong"})
    assert refused.status_code == 401
    assert ask(node, "POST", "/instances/a/messages", data=large, headers=form).text == "taken"
