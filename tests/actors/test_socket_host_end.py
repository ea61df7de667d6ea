"""How sockets in a host end, and the host itself: what is said last, said again, or left in the spool."""

import threading
from collections.abc import Iterator
from multiprocessing import Pipe

import msgspec
import pytest

from chatbot_erp.actors import frames
from chatbot_erp.actors.socket_host import SocketHost
from chatbot_erp.actors.socket_line import Line
from chatbot_erp.actors.socket_words import Mouth
from chatbot_erp.eventstore.lease import boot_time
from fake_sockets import PATIENCE_S, FakeSockets, received
from host_pipe import Manager, managing


@pytest.fixture
def manager() -> Iterator[Manager]:
    with managing() as running:
        yield running


def test_a_word_is_said_again_until_it_is_confirmed(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    for text in ("one", "two", "three"):
        socket.report(received(text))
    numbers = [manager.hear_of(frames.SocketReceived).number for _ in range(3)]
    manager.order(frames.Confirm(instance="a", number=numbers[1]))
    manager.order(frames.Repeat(instance="a"))
    again = manager.hear_of(frames.SocketReceived)
    assert (again.number, again.observation.text) == (numbers[2], "three")  # type: ignore[union-attr]
    assert again.oldest == again.number
    assert manager.hear(lambda _: True).observation == frames.SocketStands(connected=True, logged_in=True)


def test_a_word_says_which_was_the_first_that_is_not_confirmed(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    for text in ("one", "two", "three"):
        socket.report(received(text))
    assert [manager.hear_of(frames.SocketReceived).oldest for _ in range(3)] == [1, 1, 1]
    manager.order(frames.Confirm(instance="a", number=1))
    assert manager.is_silent()
    socket.report(received("four"))
    assert manager.hear_of(frames.SocketReceived).oldest == 2
    manager.order(frames.Repeat(instance="a"))
    assert [manager.hear_of(frames.SocketReceived).oldest for _ in range(3)] == [2, 2, 2]


def test_a_connection_that_broke_and_healed_is_not_a_word_to_confirm(manager: Manager) -> None:
    manager.open("a")
    manager.sockets.made("a").report(frames.SocketDisconnected(reason="dropped"))
    assert manager.hear_of(frames.SocketDisconnected).number == 0


def test_what_is_for_another_node_is_set_aside_at_once_or_spooled_at_the_end_and_that_of_other_numbers_is_kept(
    manager: Manager,
) -> None:
    for name in "ab":
        manager.open(name)
        manager.sockets.made(name).report(received(f"of {name}"))
        manager.hear_of(frames.SocketReceived)
    manager.full = True
    manager.order(frames.SetAside(instance="a"))
    manager.order(frames.Repeat(instance="a"))
    assert manager.hear_of(frames.SocketReceived).instance == "a"
    manager.full = False
    for _ in range(2):
        manager.order(frames.SetAside(instance="a"))
    assert manager.hear_of(frames.SocketStands).instance == "a"
    manager.order(frames.Repeat(instance="a"))
    assert isinstance(manager.hear_of(frames.SocketReceived, frames.SocketStands).observation, frames.SocketStands)
    assert [word.observation.text for word in manager.aside] == ["of a"]  # type: ignore[union-attr]
    manager.pipe.close()
    assert manager.ended.wait(PATIENCE_S)
    assert [word.observation.text for word in manager.spooled] == ["of b"]  # type: ignore[union-attr]


def test_when_the_manager_vanishes_what_it_did_not_confirm_is_spooled(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.leftovers = ["still in the library"]
    socket.report(received("confirmed"))
    socket.report(received("not confirmed"))
    first = manager.hear_of(frames.SocketReceived)
    manager.order(frames.Confirm(instance="a", number=first.number))
    manager.hear_of(frames.SocketReceived)
    manager.pipe.close()
    assert manager.ended.wait(PATIENCE_S)
    texts = [word.observation.text for word in manager.spooled]  # type: ignore[union-attr]
    assert texts == ["not confirmed", "still in the library"]


def test_when_the_host_fails_its_sockets_are_closed_and_what_was_not_confirmed_is_spooled() -> None:
    ours, theirs = Pipe()
    sockets = FakeSockets()
    spooled: list[frames.Said] = []

    def manage() -> None:
        order = frames.OpenSocket(instance="a", generation=1, session="", pairing=False, ping=False)
        ours.send_bytes(frames.encode_frame(order))
        sockets.made("a").leftovers = ["still in the library"]
        sockets.made("a").report(received("not confirmed"))
        ours.send_bytes(b"gibberish")

    threading.Thread(target=manage, daemon=True).start()
    with pytest.raises(msgspec.MsgspecError):
        SocketHost(theirs, sockets, lambda words: None).serve(lambda mouth: spooled.extend(mouth.ledger.unconfirmed()))
    texts = [word.observation.text for word in spooled]  # type: ignore[union-attr]
    assert texts == ["not confirmed", "still in the library"]


def test_when_the_manager_vanishes_a_hanging_send_is_interrupted_and_spooled_as_unknown(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.gate.clear()
    manager.send("a", "stuck")
    assert socket.begun.wait(PATIENCE_S)
    manager.pipe.close()
    assert manager.ended.wait(PATIENCE_S)
    (word,) = manager.spooled
    assert isinstance(word.observation, frames.SocketFailedToSend)
    assert word.observation.reason == "unknown"


def test_an_ending_host_waits_for_the_manager_to_confirm(manager: Manager) -> None:
    manager.open("a")
    manager.sockets.made("a").leftovers = ["last words"]
    manager.order(frames.EndHost())
    word = manager.hear_of(frames.SocketReceived)
    manager.order(frames.Confirm(instance="a", number=word.number))
    assert manager.ended.wait(PATIENCE_S)
    assert manager.spooled == []


def test_closing_says_so_last_and_declines_what_was_not_begun(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.leftovers = ["last words"]
    socket.gate.clear()
    manager.send("a", "begun")
    assert socket.begun.wait(PATIENCE_S)
    manager.send("a", "waiting")
    manager.order(frames.CloseSocket(instance="a", unlink=True))
    declined = manager.hear_of(frames.SocketFailedToSend).observation
    assert (declined.command_id, declined.reason) == ("waiting", "not_connected")  # type: ignore[union-attr]
    socket.gate.set()
    assert isinstance(manager.hear_of(frames.SocketSent).observation, frames.SocketSent)
    assert manager.hear_of(frames.SocketReceived).observation.text == "last words"  # type: ignore[union-attr]
    assert isinstance(manager.hear(lambda _: True).observation, frames.SocketClosed)
    assert socket.unlinked


def test_a_session_is_opened_anew_only_after_it_was_closed(manager: Manager) -> None:
    manager.open("a")
    first = manager.sockets.made("a")
    first.may_close.clear()
    manager.order(frames.OpenSocket(instance="a", generation=2, session="", pairing=False, ping=False))
    second = manager.sockets.made("a", 2)
    assert first.closing.wait(PATIENCE_S)
    assert not second.opened.is_set()
    first.may_close.set()
    assert second.opened.wait(PATIENCE_S)
    assert first.closed.is_set()
    assert manager.hear_of(frames.SocketConnected).generation == 2


def test_a_socket_that_ended_says_again_why(manager: Manager) -> None:
    manager.open("a")
    manager.sockets.made("a").report(frames.SocketEnded(cause="stream_replaced"))
    said = manager.hear_of(frames.SocketEnded)
    manager.order(frames.Repeat(instance="a"))
    assert manager.hear_of(frames.SocketEnded, frames.SocketStands) == said


def test_a_socket_that_ended_is_closed_without_being_told(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.report(frames.SocketEnded(cause="stream_replaced"))
    assert socket.closed.wait(PATIENCE_S)
    manager.send("a", "too late")
    assert manager.hear_of(frames.SocketFailedToSend).observation.reason == "not_connected"  # type: ignore[union-attr]


def test_a_host_that_hears_of_nobody_who_may_speak_for_its_numbers_ends_by_itself(manager: Manager) -> None:
    manager.order(frames.Renew(until=boot_time() + 3600))
    manager.open("a")
    manager.sockets.made("a").report(received("not confirmed"))
    manager.hear_of(frames.SocketReceived)
    manager.order(frames.Renew(until=boot_time()))
    assert manager.ended.wait(PATIENCE_S)
    assert [word.observation.text for word in manager.spooled] == ["not confirmed"]  # type: ignore[union-attr]


def test_a_host_that_took_long_to_begin_goes_by_the_last_word_of_who_may_speak_for_its_numbers() -> None:
    ours, theirs = Pipe()
    manager = Manager(ours, FakeSockets())
    manager.order(frames.Renew(until=boot_time()))
    manager.order(frames.OpenSocket(instance="a", generation=1, session="", pairing=False, ping=False))
    manager.order(frames.Renew(until=boot_time()))
    manager.order(frames.Renew(until=boot_time() + 3600))
    host = SocketHost(theirs, manager.sockets, manager.set_aside)
    serving = threading.Thread(target=host.serve, args=(manager.keep,))
    serving.start()
    manager.hear_of(frames.SocketConnected)
    assert manager.is_silent()
    manager.order(frames.Renew(until=boot_time()))
    serving.join(PATIENCE_S)
    assert not serving.is_alive()


def test_nothing_is_sent_after_the_time_of_its_manager() -> None:
    ours, theirs = Pipe()
    sockets = FakeSockets()
    order = frames.OpenSocket(instance="a", generation=1, session="", pairing=False, ping=False)
    line = Line(order, sockets, Mouth(theirs), None, lambda: False)
    line.put(frames.Transmit(instance="a", command_id="c", to="55", text="late"))
    manager = Manager(ours, sockets)
    verdict = manager.hear_of(frames.SocketFailedToSend).observation
    assert isinstance(verdict, frames.SocketFailedToSend)
    assert (verdict.reason, sockets.made("a").sent) == ("not_connected", [])
    line.close(grace_s=0.0)
