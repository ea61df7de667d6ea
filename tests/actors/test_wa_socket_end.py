"""How a socket ends, with a library that obeys the test: by itself, with its cause, or because somebody closes it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.actors import frames
from wa_scene import Scene, failure, jid, neonize


@pytest.fixture
def linked(tmp_path: Path) -> Scene:
    return Scene(tmp_path, pairing=False)


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (neonize.LoggedOut(OnConnect=False, Reason=2), "logged_out"),
        (neonize.LoggedOut(OnConnect=True, Reason=4), "locked"),
        (neonize.LoggedOut(OnConnect=True, Reason=5), "banned"),
        (neonize.StreamReplaced(), "stream_replaced"),
        (neonize.ClientOutdated(), "client_outdated"),
        (failure(400), "unusable_session"),
        (failure(409), "unusable_session"),
        (failure(415), "unusable_session"),
        (failure(418), "unusable_session"),
        (failure(501), "unavailable"),
        (failure(499), "socket_failed"),
    ],
)
def test_an_end_has_its_cause(linked: Scene, event: Any, cause: str) -> None:
    linked.connect()
    linked.next()
    linked.hear(event)
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == cause
    sent = linked.send()
    assert isinstance(sent, frames.SocketFailedToSend)
    assert sent.reason == "not_connected"


def test_a_ban_for_a_time_says_until_when(linked: Scene) -> None:
    linked.hear(neonize.TemporaryBan(Code=1, Expire=3600))
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.retry_at is not None
    assert abs(ended.retry_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=10)


def test_a_dial_that_fails_ends_the_socket(tmp_path: Path) -> None:
    scene = Scene(tmp_path, pairing=False, dial_error="failed to dial whatsapp web websocket: connection refused")
    ended = scene.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "refused"


def test_what_the_library_meets_after_the_end_is_not_told(linked: Scene) -> None:
    linked.hear(neonize.TemporaryBan(Code=1, Expire=3600))
    linked.hear(neonize.Disconnected())
    linked.hear(failure(503))
    assert isinstance(linked.next(), frames.SocketEnded)
    assert linked.seen.empty()


def test_that_the_session_is_no_more_is_told_once_also_of_a_socket_that_was_given_up_for_something_else(
    tmp_path: Path,
) -> None:
    given_up = Scene(tmp_path, pairing=False)
    given_up.hear(neonize.TemporaryBan(Code=1, Expire=3600))
    for _ in range(2):
        given_up.hear(neonize.LoggedOut(OnConnect=True, Reason=2))
    causes = [ended.cause for ended in (given_up.next(), given_up.next()) if isinstance(ended, frames.SocketEnded)]
    assert causes == ["temporarily_banned", "logged_out"]
    assert given_up.seen.empty()
    successor = Scene(tmp_path, pairing=False)
    successor.client.hearing.qr("no link is left")
    ended = successor.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "logged_out"


def test_closing_takes_what_the_library_still_has_before_it_is_stopped(linked: Scene) -> None:
    linked.connect()
    linked.next()
    info = neonize.MessageInfo(
        ID="LAST",
        Timestamp=1,
        MessageSource=neonize.MessageSource(Chat=jid("1", "lid"), Sender=jid("1", "lid"), IsFromMe=False),
    )
    message = neonize.Message(Info=info)
    message.Message.conversation = "last words"
    linked.client.on_disconnect.append(message)
    linked.socket.close(unlink=False)
    received = linked.next()
    assert isinstance(received, frames.SocketReceived)
    assert linked.client.done == ["disconnect", "stop"]
    assert linked.socket.standing() == frames.SocketStands(connected=False, logged_in=False)


@pytest.mark.parametrize("error", [None, "error sending logout request: info query timed out"])
def test_unlinking_logs_out_if_it_can_and_closes_anyway(linked: Scene, error: str | None) -> None:
    linked.connect()
    linked.client.send_error = error
    assert linked.socket.close(unlink=True) == (error is None)
    assert linked.client.done == ["log_out", "disconnect", "stop"]


def test_who_closes_a_socket_is_not_told_that_it_ended(linked: Scene) -> None:
    linked.client.on_disconnect += [failure(503), neonize.StreamReplaced()]
    linked.socket.close(unlink=False)
    assert linked.seen.empty()


def test_who_closes_a_socket_is_told_once_that_its_session_is_no_more(linked: Scene) -> None:
    linked.client.on_disconnect += [neonize.LoggedOut(OnConnect=True, Reason=4)] * 2
    linked.socket.close(unlink=False)
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "locked"
    assert linked.seen.empty()


def test_who_unlinks_a_socket_is_not_told_that_it_is_logged_out(linked: Scene) -> None:
    linked.connect()
    linked.next()
    linked.client.on_disconnect.append(neonize.LoggedOut(OnConnect=False, Reason=2))
    linked.socket.close(unlink=True)
    assert linked.seen.empty()


def test_a_session_that_shows_a_code_has_lost_its_link(linked: Scene) -> None:
    linked.client.hearing.qr("one")
    linked.client.hearing.qr("two")
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "unusable_session"
    assert linked.seen.empty()
