"""What is uploaded: how large a body may be, and how many files may come at a time."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.http.conftest import MOMENT

from chatbot_erp.actors.api_keys import Scope
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.http.channel import UPLOADS_AT_ONCE, UPLOADS_OF_ONE
from chatbot_erp.http.exchange import LARGEST_BODY
from chatbot_erp.http.serving import Serving
from http_caller import PATIENCE_S, ask, assert_problem, channels, hear, hold, say, send
from waiting import wait_until

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager

UPLOAD = b"POST /instances/a/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LARGE = b"Content-Length: 9999999\r\n"


def admitted(server: Serving) -> int:
    """How many large bodies were let in, and are not done with."""
    return sum(len(each.uploads) for each in channels(server))


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


def test_a_file_to_be_sent_may_be_larger_than_other_bodies(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start()
    body = b'{"to": "5591999999999", "type": "document", "data": "' + b"QUJD" * (LARGEST_BODY // 2) + b'"}'
    headers = {"Content-Type": "application/json"}
    assert ask(server, "POST", "/instances/a/messages", body, headers)[0] == 200
    chunks = (body[at : at + LARGEST_BODY] for at in range(0, len(body), LARGEST_BODY))
    assert ask(server, "POST", "/instances/a/messages", chunks, headers)[0] == 200  # type: ignore[arg-type]
    assert manager.uploaded == [b"ABC" * (LARGEST_BODY // 2)] * 2
    assert_problem(hear(say(server, UPLOAD + b"Content-Length: 2147483648\r\n\r\n")), 413, "content-too-large")


def test_a_message_of_a_great_many_members_takes_no_memory_for_each(start: Callable[..., Serving]) -> None:
    server = start()
    body = b'{"to": "5591999999999", "type": "document", "data": "QUJD"%b}' % b"".join(
        b', "%x": 0' % number for number in range(300_000)
    )
    tracemalloc.start()
    try:
        answer = ask(server, "POST", "/instances/a/messages", body, {"Content-Type": "application/json"})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert_problem(answer, 413, "content-too-large")
    assert most < 4 * len(body)


def test_a_file_that_takes_longer_because_it_is_large_is_waited_for(start: Callable[..., Serving]) -> None:
    server = start(request_patience_s=0.2)
    with say(server, UPLOAD + b"Content-Length: 104857600\r\n\r\n{") as large:
        assert_problem(hear(say(server, UPLOAD + b"Content-Length: 100\r\n\r\n{")), 408, "request-timeout")
        large.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            large.recv(1)


def test_a_chunked_file_has_time_by_what_has_come_of_it(start: Callable[..., Serving]) -> None:
    server = start(request_patience_s=10 * PATIENCE_S)
    with say(server, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n") as connection:
        connection.sendall(b"1000000\r\n" + b" " * 0x1000000)
        (channel,) = channels(server)
        wait_until(lambda: channel.request is not None and channel.request.body_bytes_received > 0x1000000)
        assert not channel.is_overdue(0.0)  # 16 MiB have two minutes


def test_the_slow_files_of_one_number_leave_room_for_those_of_others(start: Callable[..., Serving]) -> None:
    server = start()
    arriving = [say(server, UPLOAD + LARGE + b"\r\n{") for _ in range(UPLOADS_OF_ONE)]
    wait_until(lambda: admitted(server) == UPLOADS_OF_ONE)
    assert_problem(hear(say(server, UPLOAD + LARGE + b"\r\n{")), 503, "too-many-uploads")
    with say(server, UPLOAD.replace(b"/a/", b"/b/") + LARGE + b"\r\n{"):
        wait_until(lambda: admitted(server) == UPLOADS_OF_ONE + 1)
    for each in arriving:
        each.close()


def test_a_file_too_many_is_told_to_come_later(start: Callable[..., Serving]) -> None:
    server = start()
    head = [UPLOAD.replace(b"/a/", f"/n{number // UPLOADS_OF_ONE}/".encode()) for number in range(UPLOADS_AT_ONCE)]
    arriving = [say(server, each + LARGE + b"\r\n{") for each in head]
    wait_until(lambda: admitted(server) == UPLOADS_AT_ONCE)
    answer = hear(say(server, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n"))
    assert_problem(answer, 503, "too-many-uploads")
    assert answer[1]["Retry-After"] == "5"
    assert send(server)[0] == 200
    arriving.pop().close()
    wait_until(lambda: admitted(server) == UPLOADS_AT_ONCE - 1)
    arriving.append(say(server, UPLOAD + LARGE + b"\r\n{"))
    wait_until(lambda: admitted(server) == UPLOADS_AT_ONCE)
    for each in arriving:
        each.close()


def test_a_file_of_somebody_without_a_key_is_not_even_taken_in(start: Callable[..., Serving]) -> None:
    server = start(api_key="right")
    with capture_logs() as lines:
        answer = hear(say(server, UPLOAD + LARGE + b"\r\n{"))
    assert_problem(answer, 401, "unauthenticated")
    assert [(line["problem"], line["address"]) for line in lines] == [("unauthenticated", "127.0.0.1")]
    assert answer[1]["Www-Authenticate"].startswith("Bearer")
    assert_problem(hear(say(server, UPLOAD + LARGE + b"X-API-Key: wrong\r\n\r\n{")), 401, "unauthenticated")
    with say(server, UPLOAD + LARGE + b"X-API-Key: right\r\n\r\n{"):
        wait_until(lambda: admitted(server) == 1)


@pytest.mark.parametrize(("scope", "instance"), [(Scope.READ, "a"), (Scope.SEND, "b")])
def test_nor_is_one_of_somebody_who_may_not_send_it(
    start: Callable[..., Serving], manager: FakeManager, scope: Scope, instance: str
) -> None:
    key, _ = manager.keys.create(frozenset({scope}), frozenset({instance}), "", MOMENT)
    head = UPLOAD + LARGE + f"X-API-Key: {key}\r\n\r\n{{".encode()
    assert_problem(hear(say(start(), head)), 403, "not-allowed")


def test_nor_is_one_behind_another_request_on_the_same_connection(start: Callable[..., Serving]) -> None:
    with say(
        start(api_key="right"), b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" + UPLOAD + LARGE + b"\r\n{"
    ) as behind:
        whole = b""
        while chunk := behind.recv(65536):
            whole += chunk
    first, second = whole.split(b"HTTP/1.1 ")[1:]
    assert (first[:3], second[:3]) == (b"200", b"401")


@pytest.mark.parametrize("path", [b"/static/messages", b"/problems/messages", b"/messages"])
def test_what_is_no_message_may_not_be_as_large_as_a_file(start: Callable[..., Serving], path: bytes) -> None:
    large = UPLOAD.replace(b"/instances/a/messages", path) + LARGE + b"\r\n{"
    assert_problem(hear(say(start(api_key="right"), large)), 413, "content-too-large")


def test_who_asks_whether_a_file_may_come_is_told_when_that_is_known(
    start: Callable[..., Serving], manager: FakeManager
) -> None:
    asked, go_on = Event(), Event()
    manager.vault.asked = hold(asked, go_on)
    server = start(api_key="right")
    head = UPLOAD + LARGE + b"Expect: 100-continue\r\n"
    stranger = say(server, head + b"X-API-Key: cerp_9f2c61d0_secret\r\n\r\n")
    assert asked.wait(PATIENCE_S)
    stranger.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        stranger.recv(1)
    stranger.settimeout(PATIENCE_S)
    go_on.set()
    assert_problem(hear(stranger), 401, "unauthenticated")
    with say(server, head + b"X-API-Key: right\r\n\r\n") as known:
        assert known.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_who_asks_whether_a_body_may_come_that_is_too_large_is_not_told_to_go_on(start: Callable[..., Serving]) -> None:
    head = b"POST /instances/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n"
    assert_problem(hear(say(start(), head + b"Expect: 100-continue\r\n\r\n")), 413, "content-too-large")


def test_nobody_waits_where_it_cannot_be_told_for_a_while_who_brings_a_file(
    start: Callable[..., Serving], manager: FakeManager
) -> None:
    asked, go_on = Event(), Event()
    manager.vault.asked = hold(asked, go_on)
    server = start(api_key="right")
    connection = say(server, UPLOAD + LARGE + b"X-API-Key: cerp_9f2c61d0_secret\r\n\r\n{")
    assert asked.wait(PATIENCE_S)
    assert ask(server, "GET", "/livez")[0] == 200
    assert send(server, **{"X-API-Key": "right"})[0] == 200
    go_on.set()
    assert_problem(hear(connection), 401, "unauthenticated")


def test_a_file_is_refused_before_it_comes_where_nobody_can_tell_who_brings_it(
    start: Callable[..., Serving], manager: FakeManager
) -> None:
    def fail() -> None:
        raise StoreUnavailable("io", "the server closed the connection")

    manager.vault.asked = fail
    head = UPLOAD + LARGE + b"X-API-Key: cerp_9f2c61d0_secret\r\n"
    assert_problem(hear(say(start(api_key="right"), head + b"\r\n{")), 503, "store-unavailable")


def test_who_brings_a_file_is_answered_where_something_that_nobody_foresaw_goes_wrong(
    start: Callable[..., Serving], manager: FakeManager
) -> None:
    def fail() -> None:
        raise RuntimeError("on purpose")

    manager.vault.asked = fail
    head = UPLOAD + LARGE + b"X-API-Key: cerp_9f2c61d0_secret\r\n"
    with capture_logs() as lines:
        assert_problem(hear(say(start(api_key="right"), head + b"\r\n{")), 500, "internal-error")
    assert [line["action"] for line in lines if line["log_level"] == "error"] == ["request_failed"]


def test_a_file_for_which_the_disk_has_no_room_is_refused_and_its_caller_told(
    start: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = start()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    body = b'{"to": "5591999999999", "type": "document", "data": "' + b"QUJD" * LARGEST_BODY + b'"}'
    answer = ask(server, "POST", "/instances/a/messages", body, {"Content-Type": "application/json"})
    assert_problem(answer, 503, "unavailable")
    assert answer[1]["Retry-After"] == "5"


def test_who_goes_on_talking_after_a_refusal_is_cut_off(start: Callable[..., Serving]) -> None:
    head = b"POST /instances/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n\r\n"
    with say(start(), head) as connection, pytest.raises(OSError, match="reset|[Bb]roken"):
        connection.sendall(b"x" * 1000 * LARGEST_BODY)
