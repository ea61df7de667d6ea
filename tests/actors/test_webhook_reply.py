"""Answers of receivers in all sizes of pieces."""

import weakref

import pytest
from httptools import HttpParserError

from chatbot_erp.actors.webhook_reply import READ_AT_MOST, Reply

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def fed(*pieces: bytes) -> Reply:
    reply = Reply()
    for piece in pieces:
        reply.feed(piece)
    return reply


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(size: int) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    head = b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = hint + head + b"3\r\nabc\r\n0\r\n\r\n"
    reply = fed(*(answer[start : start + size] for start in range(0, len(answer), size)))
    assert (reply.status, reply.retry_after, reply.body) == (429, "7", b"abc")
    assert (reply.whole, reply.over, reply.reusable) == (True, True, True)


def test_an_interim_answer_is_none() -> None:
    reply = fed(b"HTTP/1.1 100 Continue\r\nRetry-After: 1\r\n\r\n")
    assert (reply.status, reply.over) == (None, False)
    reply.feed(OK)
    assert (reply.status, reply.retry_after, reply.over) == (200, None, True)


UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_another_protocol_is_no_answer() -> None:
    with pytest.raises(HttpParserError):
        fed(UPGRADE)


@pytest.mark.parametrize("more", [OK, UPGRADE, b"\x00nonsense"])
def test_what_follows_an_answer_is_no_part_of_it_and_spoils_the_connection(more: bytes) -> None:
    reply = fed(OK + more)
    assert (reply.status, reply.body, reply.whole, reply.reusable) == (200, b"ok", True, False)


@pytest.mark.parametrize("pieces", [(OK,), (OK[:-1], b""), (b"HTTP/1.0 200 OK\r\n\r\nall", b"")])
def test_an_answer_that_is_over_leaves_nothing_to_the_garbage_collector(pieces: tuple[bytes, ...]) -> None:
    reply = fed(*pieces)
    seen = weakref.ref(reply)
    del reply
    assert seen() is None


def test_an_answer_that_closes_says_so() -> None:
    reply = fed(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert (reply.whole, reply.reusable) == (True, False)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    reply = fed(b"HTTP/1.0 200 OK\r\n\r\nall", b" of it", b"")
    assert (reply.body, reply.whole, reply.reusable) == (b"all of it", True, False)


def test_an_answer_that_is_cut_short_is_not_whole_and_over_all_the_same() -> None:
    reply = fed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall", b"")
    assert (reply.status, reply.whole, reply.over) == (200, False, True), "else its end would be read again and again"


def test_no_answer_at_all_is_a_broken_connection() -> None:
    with pytest.raises(ConnectionResetError):
        fed(b"HTTP/1.1 20", b"")


def test_a_head_without_an_end_is_no_answer() -> None:
    with pytest.raises(HttpParserError):
        fed(b"HTTP/1.1 200 OK\r\nX-Long: ", *[b"a" * 8192] * (READ_AT_MOST // 8192 + 1))
