"""Where a post may go, and that it goes there: row 18 of the fault matrix and TLS, over real sockets on 127.0.0.1."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from threading import Thread, Timer

import pytest
import trustme

from chatbot_erp.actors import webhook_dial
from chatbot_erp.actors.webhook import Answer, NoAnswer
from chatbot_erp.actors.webhook_address import Deny
from chatbot_erp.actors.webhook_dial import BoundedSocket, dial, secure, tls_context
from chatbot_erp.actors.webhook_post import Postman
from scripted_receiver import OK, SOON_S, Hire, Listen, Peer, drips, post, says


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0177.1", "[::ffff:127.0.0.1]", "0"])
def test_a_denied_address_is_not_dialled_however_it_is_written(listen: Listen, hire: Hire, host: str) -> None:
    peer = listen(says(OK))
    outcome = post(hire("private"), f"http://{host}:{peer.port}/")
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "denied_address"
    assert "127.0.0.1" not in outcome.detail
    assert peer.connections == 0


def test_a_name_that_turns_to_an_inner_address_after_it_was_looked_at_is_not_dialled(
    listen: Listen, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says something else at each question: only the address that was checked may be dialled."""
    peer = listen(says(OK))
    answers = iter(["127.0.0.1", "10.0.0.1", "127.0.0.1"])

    def rebind(host: str, port: int) -> list[tuple[int, object]]:
        return [(socket.AF_INET, (next(answers), port))]

    monkeypatch.setattr(webhook_dial, "look_up", rebind)
    postman = hire("10.0.0.0/8")
    url = f"http://rebinding.example:{peer.port}/"
    assert isinstance(post(postman, url), Answer)
    postman.close()
    outcome = post(postman, url)
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "denied_address"
    assert next(answers) == "127.0.0.1", "the name was asked once per connection"
    assert peer.connections == 1


def test_of_a_name_with_several_addresses_only_those_allowed_are_tried(
    listen: Listen, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = listen(says(OK))
    found = [(socket.AF_INET, (address, peer.port)) for address in ("169.254.169.254", "127.0.0.1")]
    monkeypatch.setattr(webhook_dial, "look_up", lambda host, port: found)
    outcome = post(hire(), "http://two.example/")
    assert isinstance(outcome, Answer)
    assert peer.connections == 1


def test_a_name_server_that_is_silent_is_not_waited_for_beyond_the_deadline(
    postman: Postman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_dial, "look_up", lambda host, port: time.sleep(2 * SOON_S))
    begun = time.monotonic()
    outcome = post(postman, "http://slow.example/")
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "timeout"
    assert time.monotonic() - begun < SOON_S


@pytest.mark.parametrize(("url", "error"), [("http://a@b/", "bad_url"), ("http://nowhere.invalid/", "unresolved")])
def test_a_url_that_leads_nowhere_is_a_failure_like_any_other(hire: Hire, url: str, error: str) -> None:
    outcome = post(hire(), url)
    assert isinstance(outcome, NoAnswer)
    assert outcome.error in (error, "timeout")


def test_who_makes_the_socket_block_is_bound_by_the_deadline_all_the_same() -> None:
    """As urllib3 does, which fetches files over it."""
    listener = socket.create_server(("127.0.0.1", 0))
    sock, _ = dial("127.0.0.1", listener.getsockname()[1], Deny.of(()), time.monotonic() + 60)
    sock.settimeout(None)
    sock.deadline = time.monotonic() + 0.2
    hang_up = Timer(SOON_S, listener.close)  # ends the test where the deadline does not
    hang_up.start()
    with contextlib.closing(sock), contextlib.closing(listener), pytest.raises(TimeoutError):
        sock.sendall(b"x" * 60_000_000)
    hang_up.cancel()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_peer(authority: trustme.CA) -> Iterator[Peer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    peer = Peer(says(OK), context)
    yield peer
    peer.stop()


def test_tls_is_verified_and_the_connection_kept(hire: Hire, authority: trustme.CA, tls_peer: Peer) -> None:
    trusting = tls_context()
    authority.configure_trust(trusting)
    postman = hire(tls=trusting)
    for _ in range(3):
        assert isinstance(post(postman, f"https://localhost:{tls_peer.port}/"), Answer)
    assert tls_peer.connections == 1


@pytest.mark.parametrize(("host", "trusted"), [("127.0.0.1", True), ("localhost", False)])
def test_a_certificate_of_another_name_or_authority_is_a_failure(
    hire: Hire, authority: trustme.CA, tls_peer: Peer, host: str, trusted: bool
) -> None:
    context = tls_context()
    if trusted:
        authority.configure_trust(context)
    outcome = post(hire(tls=context), f"https://{host}:{tls_peer.port}/")
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "tls"
    assert tls_peer.requests.empty()


def test_a_connection_that_is_gone_before_the_handshake_is_a_failure_like_any_other() -> None:
    gone = BoundedSocket(socket.AF_INET, socket.SOCK_STREAM)
    gone.deadline = time.monotonic() + 60
    with pytest.raises(ConnectionError):
        secure(gone, "localhost", tls_context())


def test_a_handshake_that_hangs_is_cut_at_the_deadline(listen: Listen, postman: Postman) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    begun = time.monotonic()
    outcome = post(postman, f"https://127.0.0.1:{listener.getsockname()[1]}/")
    listener.close()
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "timeout"
    assert time.monotonic() - begun < SOON_S


def test_a_drip_through_tls_is_cut_at_the_deadline(hire: Hire, authority: trustme.CA) -> None:
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(trusting)
    peer = Peer(drips(b"HTTP/1.1 200 OK\r\nX: ", b"a"), server)
    begun = time.monotonic()
    outcome = post(hire(timeout_s=0.6, tls=trusting), f"https://localhost:{peer.port}/")
    peer.stop()
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "timeout"
    assert time.monotonic() - begun < SOON_S


def test_a_receiver_that_reads_in_sips_through_tls_is_cut_at_the_deadline(hire: Hire, authority: trustme.CA) -> None:
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(trusting)
    listener = socket.create_server(("127.0.0.1", 0))

    def sip() -> None:
        with contextlib.suppress(OSError), server.wrap_socket(listener.accept()[0], server_side=True) as sock:
            while sock.recv(65536):
                time.sleep(0.01)

    sipping = Thread(target=sip)
    sipping.start()
    outcome = post(
        hire(timeout_s=0.6, tls=trusting), f"https://localhost:{listener.getsockname()[1]}/", b"x" * 60_000_000
    )
    listener.close()
    sipping.join()
    assert isinstance(outcome, NoAnswer)
    assert outcome.error == "timeout"
