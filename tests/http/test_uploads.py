"""What is uploaded: how large a body may be, and how many files may come at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from chatbot_erp.http.channel import UPLOADS_AT_ONCE, UPLOADS_OF_ONE
from chatbot_erp.http.exchange import LARGEST_BODY
from chatbot_erp.http.serving import Serving
from http_caller import ask, assert_problem, hear, say, send

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager

UPLOAD = b"POST /instances/a/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


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
    with capture_logs() as lines:
        answer = hear(say(server, head + b"\r\n{"))
    assert_problem(answer, 401, "unauthenticated")
    assert [(line["problem"], line["address"]) for line in lines] == [("unauthenticated", "127.0.0.1")]
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
