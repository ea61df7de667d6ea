"""What waits for its turn is met, or declined when the desk closes: each wish gets one word."""

import queue
import sys
import threading
from collections.abc import Iterator

import pytest

from chatbot_erp.actors.socket_desk import Desk, left_in

PATIENCE_S = 60.0
ROUNDS, WISHES = 1000, 4


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_a_desk_closes_whatever_its_worker_takes_meanwhile() -> None:
    for _ in range(ROUNDS):
        words: queue.SimpleQueue[int] = queue.SimpleQueue()
        desk = Desk[int, int]("desk", lambda wish: wish, lambda wish, _: wish, words.put)
        for wish in range(WISHES):
            desk.put(wish)
        closing = threading.Thread(target=desk.close, daemon=True)
        closing.start()
        assert sorted(words.get(timeout=PATIENCE_S) for _ in range(WISHES)) == list(range(WISHES))
        closing.join(PATIENCE_S)
        assert not closing.is_alive()


def test_what_is_left_is_taken_in_order_and_the_end_of_a_worker_is_none_of_it() -> None:
    waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    for wish in (1, None, 2):
        waiting.put(wish)
    assert left_in(waiting) == [1, 2]
    assert left_in(waiting) == []
