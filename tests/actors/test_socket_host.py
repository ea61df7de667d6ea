"""A socket host's main loop, with sockets that do what the test says."""

from collections.abc import Iterator

import pytest

from chatbot_erp.actors import frames, socket_line
from chatbot_erp.actors.people_frames import SocketAnswered, SocketDeclined
from fake_sockets import PATIENCE_S
from host_pipe import Manager, managing


@pytest.fixture
def manager() -> Iterator[Manager]:
    with managing() as running:
        yield running


def test_sends_of_one_number_keep_their_order(manager: Manager) -> None:
    manager.open("a")
    for n in range(20):
        manager.send("a", f"text-{n}")
    said = [manager.hear_of(frames.SocketSent) for _ in range(20)]
    assert [word.observation.command_id for word in said] == [f"text-{n}" for n in range(20)]  # type: ignore[union-attr]
    assert [word.number for word in said] == list(range(1, 21))


def test_it_is_seen_typing_before_it_sends_and_closing_cuts_that_short(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    manager.order(frames.Transmit(instance="a", command_id="c1", to="551", text="quick", typing_s=0.01))
    assert manager.hear_of(frames.SocketSent).observation.command_id == "c1"  # type: ignore[union-attr]
    assert socket.typing.is_set()
    socket.typing.clear()
    manager.order(frames.Transmit(instance="a", command_id="c2", to="551", text="slow", typing_s=600))
    assert socket.typing.wait(PATIENCE_S)
    manager.order(frames.CloseSocket(instance="a"))
    failed = manager.hear_of(frames.SocketFailedToSend).observation
    assert (failed.command_id, failed.reason) == ("c2", "not_connected")  # type: ignore[union-attr]
    assert socket.sent == ["quick"]


def test_a_number_that_waits_for_whatsapp_delays_no_other(manager: Manager) -> None:
    manager.open("slow")
    manager.open("quick")
    slow = manager.sockets.made("slow")
    slow.gate.clear()
    manager.send("slow", "stuck")
    assert slow.begun.wait(PATIENCE_S)
    manager.send("quick", "through")
    assert manager.hear_of(frames.SocketSent).instance == "quick"
    slow.gate.set()
    assert manager.hear_of(frames.SocketSent).instance == "slow"


def test_a_text_does_not_wait_for_a_file_and_files_keep_their_order(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.uploading.clear()
    for name in ("file-1", "file-2"):
        manager.send("a", name, file="/a/file")
    manager.send("a", "text")
    assert manager.hear_of(frames.SocketSent).observation.command_id == "text"  # type: ignore[union-attr]
    socket.uploading.set()
    said = [manager.hear_of(frames.SocketSent) for _ in range(2)]
    assert [word.observation.command_id for word in said] == ["file-1", "file-2"]  # type: ignore[union-attr]


def test_files_that_are_not_uploaded_when_the_socket_closes_are_certainly_not_sent(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.uploading.clear()
    for name in ("file-1", "file-2"):
        manager.send("a", name, file="/a/file")
    manager.order(frames.CloseSocket(instance="a"))
    failed = [manager.hear_of(frames.SocketFailedToSend).observation for _ in range(2)]
    assert {(each.command_id, each.reason) for each in failed} == {  # type: ignore[union-attr]
        ("file-1", "not_connected"),
        ("file-2", "not_connected"),
    }
    assert socket.sent == []


def test_an_upload_that_fails_in_an_unforeseen_way_is_certainly_not_sent(manager: Manager) -> None:
    manager.open("a")
    manager.send("a", "raise", file="/a/file")
    failed = manager.hear_of(frames.SocketFailedToSend).observation
    assert (failed.command_id, failed.reason) == ("raise", "not_uploaded")  # type: ignore[union-attr]


def test_the_same_order_to_open_twice_makes_one_socket(manager: Manager) -> None:
    manager.open("a")
    first = manager.sockets.made("a")
    manager.order(frames.OpenSocket(instance="a", generation=1, session="", pairing=False, ping=False))
    assert manager.is_silent()
    assert manager.sockets.made("a") is first


def test_an_order_for_a_number_without_socket_is_answered(manager: Manager) -> None:
    manager.send("nobody", "hello")
    word = manager.hear_of(frames.SocketFailedToSend)
    assert word.observation.reason == "not_connected"  # type: ignore[union-attr]
    manager.order(frames.OfferPairingCode(instance="nobody", command_id="c", number="55"))
    manager.hear_of(frames.SocketRefusedCode)
    manager.order(frames.CloseSocket(instance="nobody"))
    manager.hear_of(frames.SocketClosed)


def test_a_question_is_answered_while_a_send_hangs(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.gate.clear()
    manager.send("a", "stuck")
    assert socket.begun.wait(PATIENCE_S)
    manager.ask("a", "q")
    word = manager.hear_of(SocketAnswered)
    assert (word.number, word.observation.request) == (0, "q")  # type: ignore[union-attr]
    assert socket.sent == []
    socket.gate.set()


def test_questions_of_one_number_are_put_one_after_another(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.asking.clear()
    for request in ("1", "2", "3"):
        manager.ask("a", request)
    assert socket.asked.acquire(timeout=PATIENCE_S)
    assert not socket.asked.acquire(blocking=False)
    socket.asking.set()
    answers = [manager.hear_of(SocketAnswered).observation for _ in range(3)]
    assert [answer.request for answer in answers] == ["1", "2", "3"]  # type: ignore[union-attr]


def test_questions_that_cannot_be_put_any_more_are_declined(manager: Manager) -> None:
    manager.ask("nobody", "q")
    assert manager.hear_of(SocketDeclined).observation.reason == "not_connected"  # type: ignore[union-attr]
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.asking.clear()
    manager.ask("a", "begun")
    assert socket.asked.acquire(timeout=PATIENCE_S)
    manager.ask("a", "waiting")
    manager.order(frames.CloseSocket(instance="a"))
    declined = manager.hear_of(SocketDeclined).observation
    assert (declined.request, declined.reason) == ("waiting", "not_connected")  # type: ignore[union-attr]
    manager.hear_of(frames.SocketClosed)
    manager.ask("a", "late")
    assert manager.hear_of(SocketDeclined).observation.request == "late"  # type: ignore[union-attr]
    socket.asking.set()


def test_the_ping_is_sent_once_and_not_at_each_reconnection(manager: Manager) -> None:
    manager.open("a", ping=True)
    manager.hear_of(frames.SocketPinged)
    again = frames.SocketConnected(jid="5511@s.whatsapp.net", lid=None, push_name="Shop")
    manager.sockets.made("a").report(again)
    manager.hear_of(frames.SocketConnected)
    assert manager.is_silent()


def test_the_ping_waits_for_neighbours_that_are_opening_which_would_wait_for_its_answer(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_line, "PING_AFTER_S", PATIENCE_S)
    manager.sockets.late.add("b")
    manager.order(frames.OpenSocket(instance="b", generation=1, session="", pairing=False, ping=False))
    neighbour = manager.sockets.made("b")
    assert neighbour.opening.wait(PATIENCE_S)
    manager.open("a", ping=True)
    manager.send("a", "at once")
    assert isinstance(manager.hear(lambda _: True).observation, frames.SocketSent)
    assert manager.is_silent()
    neighbour.may_open.set()
    assert isinstance(manager.hear(lambda _: True).observation, frames.SocketConnected)
    assert isinstance(manager.hear(lambda _: True).observation, frames.SocketPinged)


def test_how_a_socket_stands_is_said_while_a_send_hangs(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.gate.clear()
    manager.send("a", "stuck")
    assert socket.begun.wait(PATIENCE_S)
    manager.order(frames.Repeat(instance="a"))
    manager.hear_of(frames.SocketStands)
    socket.gate.set()


def test_a_receipt_that_overtakes_its_message_is_told_after_it(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.gate.clear()
    manager.send("a", "Olá")
    assert socket.begun.wait(PATIENCE_S)
    socket.report(frames.SocketSawReceipt(message_ids=("out",), jid="55@lid", participant=None, ack=2))
    socket.gate.set()
    told = [manager.hear_of(frames.SocketSent, frames.SocketSawReceipt).observation for _ in range(2)]
    assert [type(each) for each in told] == [frames.SocketSent, frames.SocketSawReceipt]
