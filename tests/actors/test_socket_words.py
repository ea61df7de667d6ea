"""What a host keeps until it is confirmed, and how it gets into the pipe."""

import threading
from multiprocessing import Pipe

from chatbot_erp.actors import frames
from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.socket_words import TOGETHER, Ledger, Mouth
from fake_sockets import PATIENCE_S, received


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
