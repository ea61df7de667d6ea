"""What a receiver can do to the one that posts: rows 15 to 17 of the fault matrix, over real sockets on 127.0.0.1."""

import gzip
import socket
import time
from queue import SimpleQueue

import pytest

from chatbot_erp.actors.webhook import Answer, NoAnswer
from chatbot_erp.actors.webhook_post import KEEP_TEXT, Postman, Withdrawn
from chatbot_erp.actors.webhook_reply import READ_AT_MOST
from scripted_receiver import OK, SOON_S, Hire, Listen, Script, drips, hang_up, post, says


def test_a_post_is_plain_http_and_nothing_ambient_is_in_it(
    listen: Listen, postman: Postman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    peer = listen(says(OK))
    outcome = post(postman, peer.url, b'{"a":1}')
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.text, outcome.retry_after) == (200, "ok", None)
    assert outcome.address == f"127.0.0.1:{peer.port}"
    head, _, body = peer.requests.get(timeout=60).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /hook?a=b HTTP/1.1"
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert names <= {b"host", b"accept-encoding", b"content-length", b"content-type", b"webhook-id", b"user-agent"}
    assert body == b'{"a":1}'


def test_the_connection_is_kept_for_the_next_post(listen: Listen, postman: Postman) -> None:
    peer = listen(says(OK))
    for _ in range(5):
        assert isinstance(post(postman, peer.url), Answer)
    assert peer.connections == 1


def test_a_chunked_answer_is_read_and_its_connection_kept(listen: Listen, postman: Postman) -> None:
    peer = listen(says(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
    answers = [post(postman, peer.url) for _ in range(2)]
    assert [(each.status, each.text) for each in answers if isinstance(each, Answer)] == [(201, "abcde")] * 2
    assert peer.connections == 1


def test_a_connection_that_the_receiver_closed_meanwhile_costs_no_attempt(listen: Listen, postman: Postman) -> None:
    served: list[int] = []

    def answer_once_then_hang_up_on_the_next(sock: socket.socket, _: bytes) -> None:
        served.append(1)
        if len(served) == 2:
            raise EOFError
        sock.sendall(OK)

    peer = listen(answer_once_then_hang_up_on_the_next)
    assert isinstance(post(postman, peer.url), Answer)
    assert isinstance(post(postman, peer.url), Answer)
    assert peer.connections == 2


def test_what_is_withdrawn_before_it_is_written_again_does_not_leave(listen: Listen, hire: Hire) -> None:
    served: list[int] = []

    def answer_once_then_hang_up(sock: socket.socket, _: bytes) -> None:
        served.append(1)
        if len(served) == 2:
            raise EOFError
        sock.sendall(OK)

    peer, postman = listen(answer_once_then_hang_up), hire(timeout_s=60)
    asked = iter([False, False, True])
    postman.post(peer.url, b"{}", {}, withdrawn=lambda: next(asked))
    with pytest.raises(Withdrawn):
        postman.post(peer.url, b"{}", {}, withdrawn=lambda: next(asked))
    assert {peer.closed.get(timeout=60), peer.closed.get(timeout=60)} == {1, 2}
    assert peer.requests.qsize() == 2


def test_what_a_receiver_says_to_an_idle_connection_is_not_taken_for_an_answer(listen: Listen, hire: Hire) -> None:
    """Some proxies say 408 before they close a connection that was idle for too long."""
    bored = SimpleQueue[bool]()

    def answer_and_get_bored(sock: socket.socket, _: bytes) -> None:
        sock.sendall(OK)
        time.sleep(0.05)
        sock.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        bored.put(True)
        raise EOFError

    peer, postman = listen(answer_and_get_bored), hire()
    post(postman, peer.url)
    assert bored.get(timeout=60)
    assert peer.closed.get(timeout=60)
    outcome = post(postman, peer.url)
    assert isinstance(outcome, Answer)
    assert outcome.status == 200


def test_a_receiver_that_answered_once_and_reads_no_more_is_cut_at_the_deadline(
    listen: Listen, postman: Postman
) -> None:
    def answer_and_fall_asleep(sock: socket.socket, _: bytes) -> None:
        sock.sendall(OK)
        time.sleep(2 * SOON_S)

    peer = listen(answer_and_fall_asleep)
    assert isinstance(post(postman, peer.url), Answer)
    begun = time.monotonic()
    outcome = post(postman, peer.url, b"x" * 60_000_000)
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "timeout"
    assert time.monotonic() - begun < SOON_S
    assert peer.connections == 1


def test_a_receiver_that_hangs_up_on_a_fresh_connection_gets_no_second_post(listen: Listen, postman: Postman) -> None:
    peer = listen(hang_up)
    outcome = post(postman, peer.url)
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "reset"
    assert peer.closed.get(timeout=60) == 1
    assert peer.connections == 1


def test_a_failure_ends_the_connection_so_that_the_name_is_looked_up_again(listen: Listen, postman: Postman) -> None:
    peer = listen(says(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
    assert [post(postman, peer.url), post(postman, peer.url)] != []
    assert {peer.closed.get(timeout=60), peer.closed.get(timeout=60)} == {1, 2}
    assert not postman.connected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_that_is_neither_followed_nor_kept(
    listen: Listen, postman: Postman, status: int
) -> None:
    inside = listen(says(OK))
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {inside.url}\r\nContent-Length: 6\r\n\r\nsecret"
    outcome = post(postman, listen(says(head.encode())).url)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.text) == (status, "")
    assert inside.connections == 0


def test_the_wish_to_wait_is_passed_on(listen: Listen, postman: Postman) -> None:
    outcome = post(postman, listen(says(b"HTTP/1.1 429 x\r\nretry-after: 17\r\nContent-Length: 0\r\n\r\n")).url)
    assert isinstance(outcome, Answer)
    assert outcome.retry_after == "17"


@pytest.mark.parametrize(
    "script",
    [
        drips(b"HTTP/1.1 200 O", b"h"),
        drips(b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n", every_s=0.05),
        drips(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda sock, _: time.sleep(2 * SOON_S),
    ],
    ids=["status line", "headers", "one header", "continue for ever", "silence"],
)
def test_an_answer_whose_head_only_drips_is_cut_at_the_deadline(
    listen: Listen, postman: Postman, script: Script
) -> None:
    begun = time.monotonic()
    outcome = post(postman, listen(script).url)
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "timeout"
    assert 0.5 < time.monotonic() - begun < SOON_S
    assert outcome.duration_ms > 500


def test_an_answer_counts_even_if_its_body_drips_until_the_deadline(listen: Listen, postman: Postman) -> None:
    begun = time.monotonic()
    peer = listen(drips(b"HTTP/1.1 200 OK\r\n\r\n", b"a"))
    outcome = post(postman, peer.url)
    assert isinstance(outcome, Answer)
    assert 0 < len(outcome.text) < KEEP_TEXT
    assert time.monotonic() - begun < SOON_S
    assert peer.closed.get(timeout=60) == 1


@pytest.mark.parametrize("head", [b"Content-Length: 99999999999\r\n", b"", b"Transfer-Encoding: chunked\r\n"])
def test_of_an_endless_body_64_kib_are_read_and_one_is_kept(listen: Listen, postman: Postman, head: bytes) -> None:
    sent = SimpleQueue[int]()

    def pour(sock: socket.socket, _: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        total = 0
        piece = b"2000\r\n" + b"x" * 8192 + b"\r\n" if b"chunked" in head else b"x" * 8192
        try:
            while True:
                sock.sendall(piece)
                total += len(piece)
        finally:
            sent.put(total)

    begun = time.monotonic()
    outcome = post(postman, listen(pour).url)
    assert isinstance(outcome, Answer)
    assert outcome.text == "x" * KEEP_TEXT
    assert time.monotonic() - begun < SOON_S
    assert sent.get(timeout=60) < READ_AT_MOST + 16 * 1024 * 1024
    assert not postman.connected


def test_a_gzip_bomb_stays_packed(listen: Listen, postman: Postman) -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    outcome = post(postman, listen(says(head.encode() + bomb)).url)
    assert isinstance(outcome, Answer)
    assert outcome.text[0] == "\x1f"
    assert len(outcome.text) <= KEEP_TEXT


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\x16\x03\x01" * 50 + b"\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["ssh", "no status", "noise", "too many headers", "another protocol"],
)
def test_what_is_no_http_is_a_failure(listen: Listen, postman: Postman, answer: bytes) -> None:
    outcome = post(postman, listen(says(answer)).url)
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "protocol"


def test_a_large_event_is_refused_by_a_receiver_that_does_not_read_it(listen: Listen, postman: Postman) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    begun = time.monotonic()
    outcome = post(postman, f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 50_000_000)
    listener.close()
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "timeout"
    assert time.monotonic() - begun < SOON_S


def test_where_nobody_listens_the_post_is_refused_at_once(postman: Postman) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = post(postman, f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "connection_refused"
    assert outcome.address == ""
