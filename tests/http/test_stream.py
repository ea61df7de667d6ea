"""The log as Server-Sent Events, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Thread
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.http.conftest import MOMENT

from chatbot_erp.actors.api_keys import Scope
from chatbot_erp.actors.config import Config
from chatbot_erp.eventstore.errors import LogCorrupt, StoreUnavailable
from chatbot_erp.eventstore.events import PingSent, Status, SubjectErased
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.http import channel, stream
from chatbot_erp.http.serving import Serving, start_http
from http_caller import PATIENCE_S, channels
from waiting import wait_until

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager

KEY = "a-key-for-streams"


@pytest.fixture
def store(own_store: EventStore) -> EventStore:
    return own_store


@pytest.fixture
def server(manager: FakeManager) -> Iterator[Serving]:
    manager.bring("a", Status.CONNECTED)
    manager.bring("b", Status.CONNECTED)
    serving = start_http(manager, Config(port=0, http_threads=4))
    yield serving
    manager.draining = True
    serving.stop()


class Ear:
    """Reads frames: id and data."""

    def __init__(self, server: Serving, path: str, headers: dict[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        self._connection.request("GET", path, headers=headers)
        self.answer = self._connection.getresponse()

    def frame(self) -> dict[str, str]:
        """The next event; heartbeats are left out."""
        found: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif "data" in found:
                return found
            else:
                found = {}

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


@contextmanager
def listening(server: Serving, path: str = "/events/stream", **headers: str) -> Iterator[Ear]:
    ear = Ear(server, path, headers)
    try:
        yield ear
    finally:
        ear.close()


def ping(manager: FakeManager, name: str, message_id: str) -> None:
    manager.happen(manager.directory.find(name).id, PingSent(message_id=message_id))


def test_what_happens_is_told_as_it_happens_in_the_shape_of_the_log(server: Serving, manager: FakeManager) -> None:
    with listening(server) as ear:
        assert ear.answer.headers["Content-Type"] == "text/event-stream"
        ping(manager, "a", "one")
        frame = ear.frame()
        (record,) = manager.store.read(after=int(frame["id"]) - 1, limit=1)
        data = msgspec.json.decode(frame["data"])
        assert (data["type"], data["position"], data["data"]) == ("ping.sent", record.position, {"messageId": "one"})
        assert frame.keys() == {"id", "data"}  # a name would hide it from a browser's onmessage


def test_a_consumer_that_comes_back_misses_nothing_and_hears_nothing_twice(
    server: Serving, manager: FakeManager
) -> None:
    for n in range(250):
        ping(manager, "a", str(n))
    with listening(server, "/events/stream?after=0&type=ping.sent") as ear:
        heard = [ear.frame() for _ in range(120)]
    ping(manager, "a", "250")
    with listening(server, "/events/stream?after=0&type=ping.sent", **{"Last-Event-ID": heard[-1]["id"]}) as ear:
        heard += [ear.frame() for _ in range(131)]
    assert [msgspec.json.decode(frame["data"])["data"]["messageId"] for frame in heard] == [str(n) for n in range(251)]


@pytest.mark.parametrize(
    ("path", "headers", "wrong"),
    [("?after=99999", {}, ("after", "query")), ("", {"Last-Event-ID": "99999"}, ("Last-Event-ID", "header"))],
)
def test_a_consumer_that_is_ahead_of_the_log_is_told_so_instead_of_nothing(
    server: Serving, path: str, headers: dict[str, str], wrong: tuple[str, str]
) -> None:
    with listening(server, f"/events/stream{path}", **headers) as ear:
        assert ear.answer.status == 422
        problem = msgspec.json.decode(ear.answer.read())
        assert "The log ends at" in problem["detail"]
        assert [(each["field"], each["in"]) for each in problem["errors"]] == [wrong]


def test_filters_are_those_of_the_log(server: Serving, manager: FakeManager) -> None:
    with listening(server, "/events/stream?after=0&instance=b&type=ping.sent") as ear:
        ping(manager, "a", "not this")
        ping(manager, "b", "this")
        assert msgspec.json.decode(ear.frame()["data"])["data"]["messageId"] == "this"
    with listening(server, "/events/stream?type=nonsense") as ear:
        assert ear.answer.status == 422
    with listening(server, "/events/stream", **{"Last-Event-ID": "9" * 5000}) as ear:
        assert ear.answer.status == 422
    with listening(server, "/events/stream", **{"Last-Event-ID": "x"}) as ear:
        assert ear.answer.status == 422
    with listening(server, "/events/stream?instance=nobody") as ear:
        assert ear.answer.status == 404


def test_a_key_for_some_instances_hears_of_those_and_that_something_is_forgotten(
    guarded: Serving, manager: FakeManager
) -> None:
    key, _ = manager.keys.create(frozenset({Scope.READ}), frozenset({"a", "later"}), "", MOMENT)
    with listening(guarded, **{"X-API-Key": key}) as ear:
        manager.bring("b", Status.CONNECTED)
        for n in range(2 * stream.PAGE):
            ping(manager, "b", str(n))
        ping(manager, "a", "of its own")
        manager.bring("later", Status.CONNECTED)
        manager.store.append("privacy", 0, [forgotten()], snapshot=b"").result()
        heard = [msgspec.json.decode(ear.frame()["data"]) for _ in range(3)]
    later = manager.directory.find("later").id
    assert [(each["type"], each["stream"]) for each in heard] == [
        ("ping.sent", manager.directory.find("a").id),
        ("instance.created", later),
        ("subject.erased", "privacy"),
    ]
    with listening(guarded, "/events/stream?instance=b", **{"X-API-Key": key}) as other:
        assert other.answer.status == 403


def test_a_key_for_some_instances_does_not_hear_of_those_that_had_the_name_before(
    guarded: Serving, manager: FakeManager
) -> None:
    key, _ = manager.keys.create(frozenset({Scope.READ}), frozenset({"a"}), "", MOMENT)
    former = manager.directory.find("a").id
    manager.remove("a", unlink=True)
    manager.bring("a", Status.CONNECTED)
    with listening(guarded, "/events/stream?after=0", **{"X-API-Key": key}) as ear:
        first = msgspec.json.decode(ear.frame()["data"])
    assert (first["type"], first["stream"]) == ("instance.created", manager.directory.find("a").id)
    assert first["stream"] != former


def test_a_key_for_some_instances_passes_what_is_of_others_and_hears_who_comes_later(manager: FakeManager) -> None:
    own = manager.bring("a", Status.CONNECTED)
    manager.bring("b", Status.CONNECTED)
    ping(manager, "b", "x")
    read = stream.reading(manager.store, None, (), {"a", "later"})
    found, reached = read(0)
    assert {record.stream for record in found} == {own}
    assert reached == manager.store.head()
    later = manager.bring("later", Status.CONNECTED)
    assert {record.stream for record in read(reached)[0]} == {later}


def forgotten() -> NewEvent:
    return NewEvent(id="forgotten", event=SubjectErased(subjects=("random",)), recorded_at=MOMENT)


def test_while_nothing_happens_a_heartbeat_says_how_far_the_log_has_come(
    server: Serving, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = stream.reading(manager.store, None, {"message.sent"}, None)
    told = stream.tell(manager, read, 0, 0.0, lambda: False, lambda: True)
    assert next(told) == b"retry: 2000\nid: 0\n\n"
    assert next(told) == f"id: {manager.store.head()}\n\n".encode()


def test_one_stream_too_many_is_refused_and_all_else_is_answered(server: Serving, manager: FakeManager) -> None:
    ears = [Ear(server, "/events/stream", {}) for _ in range(stream.STREAMS)]
    with listening(server) as late:
        assert (late.answer.status, late.answer.headers["Retry-After"]) == (503, "5")
    with listening(server, "/instances") as other:
        assert other.answer.status == 200
    ears.pop().close()
    ping(manager, "a", "x")

    def again() -> int:
        with listening(server) as ear:
            return int(ear.answer.status)

    wait_until(lambda: again() == 200)
    for ear in ears:
        ear.close()


def test_a_key_for_some_instances_leaves_places_to_others(guarded: Serving, manager: FakeManager) -> None:
    key, _ = manager.keys.create(frozenset({Scope.READ}), frozenset({"a"}), "", MOMENT)
    ears = [Ear(guarded, "/events/stream", {"X-API-Key": key}) for _ in range(stream.STREAMS_OF_ONE)]
    with listening(guarded, "/events/stream?instance=a", **{"X-API-Key": key}) as late:
        assert msgspec.json.decode(late.answer.read())["type"] == "/problems/too-many-streams"
    ears += [Ear(guarded, "/events/stream", {"X-API-Key": KEY}) for _ in range(stream.STREAMS - len(ears))]
    assert {ear.answer.status for ear in ears} == {200}
    ears.pop(0).close()
    ping(manager, "a", "x")

    def again() -> int:
        with listening(guarded, **{"X-API-Key": key}) as ear:
            return int(ear.answer.status)

    wait_until(lambda: again() == 200)
    for ear in ears:
        ear.close()


def test_a_store_that_refuses_for_a_while_costs_no_place_for_streams(
    guarded: Serving, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = manager.keys.create(frozenset({Scope.READ}), frozenset({"a"}), "", MOMENT)

    def refuse(name: str) -> list[str]:
        raise StoreUnavailable("locked", "on purpose")

    with monkeypatch.context() as sick:
        sick.setattr(manager.store, "streams_named", refuse)
        for _ in range(stream.STREAMS):
            with listening(guarded, **{"X-API-Key": key}) as ear:
                assert msgspec.json.decode(ear.answer.read())["type"] == "/problems/store-unavailable"
    with listening(guarded, **{"X-API-Key": key}) as ear:
        assert ear.answer.status == 200


def test_a_stream_ends_in_order_where_the_log_cannot_be_read_any_more(
    server: Serving, manager: FakeManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: object) -> list[object]:
        raise StoreUnavailable("io", "on purpose")

    with listening(server) as ear, capture_logs() as lines:
        ping(manager, "a", "x")
        ear.frame()
        monkeypatch.setattr(manager.store, "read_on", refuse)
        assert b"data" not in ear.answer.read()
    assert caplog.records == []
    assert [line["error"] for line in lines if line["action"] == "stream_ended"] == ["StoreUnavailable"]


def test_a_consumer_that_comes_to_a_log_that_cannot_be_read_is_told_so(
    server: Serving, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> list[object]:
        raise LogCorrupt("on purpose", 7)

    monkeypatch.setattr(manager.store, "read_on", refuse)
    with listening(server, "/events/stream?after=0") as ear:
        assert ear.answer.status == 500
        assert msgspec.json.decode(ear.answer.read())["type"] == "/problems/internal-error"


def test_a_stream_ends_when_the_manager_stops(server: Serving, manager: FakeManager) -> None:
    with listening(server) as ear:
        ping(manager, "a", "x")
        ear.frame()
        manager.draining = True
        stopping = Thread(target=server.stop)
        stopping.start()
        assert ear.answer.read() == b""
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()


@pytest.fixture
def guarded(manager: FakeManager) -> Iterator[Serving]:
    """A manager with an API key."""
    manager.bring("a", Status.CONNECTED)
    serving = start_http(manager, Config(port=0, http_threads=4, api_key=KEY))
    yield serving
    manager.draining = True
    serving.stop()


def test_a_stream_ends_when_its_key_is_revoked_and_no_other_does(guarded: Serving, manager: FakeManager) -> None:
    key, record = manager.keys.create(frozenset({Scope.READ}), None, "", MOMENT)
    with (
        listening(guarded, **{"X-API-Key": key}) as ear,
        listening(guarded, "/events/stream?type=ping.sent", **{"X-API-Key": KEY}) as other,
    ):
        ping(manager, "a", "before")
        ear.frame()
        manager.keys.revoke(record.id, MOMENT)
        ear.answer.read()
        ping(manager, "a", "after")
        assert [msgspec.json.decode(other.frame()["data"])["data"]["messageId"] for _ in range(2)] == [
            "before",
            "after",
        ]
    with listening(guarded, **{"X-API-Key": key}) as late:
        assert late.answer.status == 401


def test_a_stream_ends_when_the_browser_signs_out(guarded: Serving, manager: FakeManager) -> None:
    host = f"127.0.0.1:{guarded.port}"
    connection = HTTPConnection(host, timeout=PATIENCE_S)
    ours = {"Origin": f"http://{host}", "Content-Type": "application/json"}
    connection.request("PUT", "/session", msgspec.json.encode({"key": KEY}), ours)
    signed = connection.getresponse()
    signed.read()
    mine = {"Cookie": (signed.getheader("Set-Cookie") or "").partition(";")[0]}
    with listening(guarded, **mine) as ear:
        ping(manager, "a", "before")
        ear.frame()
        connection.request("DELETE", "/session", headers=ours | mine)
        assert connection.getresponse().status == 204
        ear.answer.read()
    connection.close()


def test_a_stream_without_a_key_ends_with_the_first_key_that_is_made(server: Serving, manager: FakeManager) -> None:
    with listening(server) as ear:
        ping(manager, "a", "before")
        ear.frame()
        manager.keys.create(frozenset({Scope.READ}), None, "", MOMENT)
        ear.answer.read()


def test_a_consumer_that_does_not_read_is_let_go_and_holds_nobody_up(
    server: Serving, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", server.port))
    deaf.sendall(b"GET /events/stream?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    with listening(server, "/events/stream?type=ping.sent") as ear:
        large = [
            NewEvent(id=f"large-{n}", event=PingSent(message_id="x" * 500_000), recorded_at=MOMENT) for n in range(30)
        ]
        manager.store.append("elsewhere", 0, large, snapshot=b"").result()
        assert len([ear.frame() for _ in range(30)]) == 30
    assert pending(server) < 2 * 1024 * 1024
    monkeypatch.setattr(channel, "STUCK_S", 0.5)
    wait_until(lambda: not any(each.streaming for each in channels(server)))
    deaf.close()


def pending(server: Serving) -> int:
    return sum(each.total_outbufs_len for each in channels(server))
