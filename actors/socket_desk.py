"""Where what takes its time waits for its turn, inside a socket host: beside the sends, never before them."""

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Wish = TypeVar("Wish")
Word = TypeVar("Word")


class Desk(Generic[Wish, Word]):
    """Has the wishes of one instance met one after another, on a thread that exists once there was a first.

    `decline` says that a wish is not met: because of an exception, or because the desk is closed (None).
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[Wish], Word],
        decline: Callable[[Wish, Exception | None], Word],
        say: Callable[[Word], None],
    ) -> None:
        self._name = name
        self._answer = answer
        self._decline = decline
        self._say = say
        self._waiting: queue.SimpleQueue[Wish | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._worker: threading.Thread | None = None
        self._closed = False

    def put(self, wish: Wish) -> None:
        """Have this met after all that was put before."""
        with self._door:
            if not self._closed:
                self._waiting.put(wish)
                if self._worker is None:
                    self._worker = threading.Thread(target=self._work, name=self._name, daemon=True)
                    self._worker.start()
                return
        self._say(self._decline(wish, None))

    def close(self) -> None:
        """Meet no more. What is being done may still be; what waits is declined. May be called again."""
        with self._door:
            self._closed = True
        for wish in left_in(self._waiting):
            self._say(self._decline(wish, None))
        self._waiting.put(None)

    def _work(self) -> None:
        while (wish := self._waiting.get()) is not None:
            try:
                word = self._answer(wish)
            except Exception as ex:
                log.exception("%s failed.", self._name)
                word = self._decline(wish, ex)
            self._say(word)


def left_in(waiting: "queue.SimpleQueue[Wish | None]") -> list[Wish]:
    """Take out what nobody has begun with; None, which ends a worker, is nothing."""
    left = []
    # Not "while it is not empty": its worker may take the last one after that look, and then nothing ever comes.
    with suppress(queue.Empty):
        while True:
            wish = waiting.get_nowait()
            if wish is not None:
                left.append(wish)
    return left
