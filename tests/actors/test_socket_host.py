"""A socket host's main loop, with sockets that do what the test says."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from chatbot_erp.actors import frames
from chatbot_erp.actors.frames import Observation, Said
from chatbot_erp.actors.people_frames import Ask, Reply, SocketAnswered, SocketDeclined
from chatbot_erp.actors.questions import ListGroups
from chatbot_erp.actors.socket_host import SocketHost
from chatbot_erp.actors.socket_line import Line
from chatbot_erp.actors.socket_words import TOGETHER, Ledger, Mouth
from chatbot_erp.eventstore.lease import boot_time
from fake_sockets import PATIENCE_S, FakeSockets, received


class Manager:
    """The other end of the pipe."""

    def __init__(self, pipe: Connection, sockets: FakeSockets) -> None:
        self.pipe = pipe
        self.sockets = sockets
        self.spooled: list[Said] = []
        self._heard: deque[frames.Word] = deque()
        self.ended = threading.Event()

    def order(self, order: frames.Order) -> None:
        self.pipe.send_bytes(frames.encode_frame(order))

    def open(self, instance: str, generation: int = 1, *, ping: bool = False) -> None:
        self.order(frames.OpenSocket(instance=instance, generation=generation, session="", pairing=False, ping=ping))
        self.hear(lambda word: isinstance(word.observation, frames.SocketConnected))

    def send(self, instance: str, text: str, *, file: str = "") -> None:
        self.order(frames.Transmit(instance=instance, command_id=text, to="55", text=text, file=file))

    def ask(self, instance: str, request: str) -> None:
        self.order(Ask(instance=instance, request=request, question=ListGroups()))

    def hear(self, wanted: Callable[[Said], bool]) -> Said:
        """The next word that is wanted; those before it are passed over."""
        while self._heard or self.pipe.poll(PATIENCE_S):
            if not self._heard:
                self._heard += frames.decode_words(self.pipe.recv_bytes())
            word = self._heard.popleft()
            if isinstance(word, Said) and wanted(word):
                return word
        raise TimeoutError

    def hear_of(self, *kinds: type[Observation | Reply]) -> Said:
        return self.hear(lambda word: isinstance(word.observation, kinds))

    def is_silent(self) -> bool:
        """Whether nothing but heartbeats comes before the answer to a question."""
        self.order(frames.Repeat(instance="nobody"))
        return isinstance(self.hear(lambda _: True).observation, frames.SocketStands)

    def keep(self, mouth: Mouth) -> None:
        self.spooled = mouth.ledger.unconfirmed()


@pytest.fixture
def manager() -> Iterator[Manager]:
    ours, theirs = Pipe()
    manager = Manager(ours, FakeSockets())

    def run() -> None:
        SocketHost(theirs, manager.sockets).serve(manager.keep)
        theirs.close()
        manager.ended.set()

    threading.Thread(target=run, daemon=True).start()
    yield manager
    ours.close()
    assert manager.ended.wait(PATIENCE_S)


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


def test_how_a_socket_stands_is_said_while_a_send_hangs(manager: Manager) -> None:
    manager.open("a")
    socket = manager.sockets.made("a")
    socket.gate.clear()
    manager.send("a", "stuck")
    assert socket.begun.wait(PATIENCE_S)
    manager.order(frames.Repeat(instance="a"))
    manager.hear_of(frames.SocketStands)
    socket.gate.set()


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


def pass_through(ledger: Ledger, instance: str) -> threading.Event:
    """Ask for room on another thread; set when it was given."""
    through = threading.Event()

    def ask() -> None:
        ledger.await_room(instance)
        through.set()

    threading.Thread(target=ask, daemon=True).start()
    return through


def test_a_number_nobody_confirms_is_held_up_until_there_is_room() -> None:
    ledger = Ledger(room=2)
    for text in ("one", "two"):
        ledger.enter("a", 1, received(text))
    through = pass_through(ledger, "a")
    ledger.await_room("b")
    assert not through.is_set()
    ledger.confirm("a", 1)
    assert through.wait(PATIENCE_S)


def test_a_socket_that_closes_is_not_held_up() -> None:
    ledger = Ledger(room=1)
    ledger.enter("a", 1, received("one"))
    through = pass_through(ledger, "a")
    ledger.hold_up("a", when_full=False)
    assert through.wait(PATIENCE_S)


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


def test_a_host_that_hears_of_nobody_who_may_speak_for_its_numbers_ends_by_itself(manager: Manager) -> None:
    manager.order(frames.Renew(until=boot_time() + 3600))
    manager.open("a")
    manager.sockets.made("a").report(received("not confirmed"))
    manager.hear_of(frames.SocketReceived)
    manager.order(frames.Renew(until=boot_time()))
    assert manager.ended.wait(PATIENCE_S)
    assert [word.observation.text for word in manager.spooled] == ["not confirmed"]  # type: ignore[union-attr]


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


def test_what_waits_is_said_at_once_and_in_order_up_to_the_last_word() -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        stuffed = Mouth(theirs)
        # More than the pipe takes before somebody reads, so that what is said meanwhile waits.
        stuffed.say_of("i", 1, received("x" * 5_000_000))
        for number in range(TOGETHER + 3):
            stuffed.say_of("i", 1, received(str(number)))
        threading.Thread(target=stuffed.finish, args=(PATIENCE_S,), daemon=True).start()
        heard: list[frames.Word] = []
        pieces = 0
        while len(heard) < TOGETHER + 4:
            assert ours.poll(PATIENCE_S)
            heard += frames.decode_words(ours.recv_bytes())
            pieces += 1
    numbers = [word.number for word in heard if isinstance(word, Said)]
    assert numbers == list(range(1, TOGETHER + 5))
    assert pieces <= 3
