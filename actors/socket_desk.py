"""Where questions to WhatsApp wait for their turn, inside a socket host: beside the sends, never before them."""

import logging
import queue
import threading
from collections.abc import Callable

from chatbot_erp.actors.people_frames import Ask, Reply, SocketDeclined

log = logging.getLogger(__name__)


class Desk:
    """Has the questions of one instance answered one after another, on a thread that exists once there was a first."""

    def __init__(self, name: str, answer: Callable[[Ask], Reply], say: Callable[[Reply], None]) -> None:
        self._name = name
        self._answer = answer
        self._say = say
        self._waiting: queue.SimpleQueue[Ask | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._worker: threading.Thread | None = None
        self._closed = False

    def put(self, question: Ask) -> None:
        """Have this answered after all that was put before."""
        with self._door:
            if not self._closed:
                self._waiting.put(question)
                if self._worker is None:
                    self._worker = threading.Thread(target=self._work, name=f"desk-{self._name}", daemon=True)
                    self._worker.start()
                return
        self._say(closing(question))

    def close(self) -> None:
        """Answer no more. What is being asked may still be answered; what waits is declined. May be called again."""
        with self._door:
            self._closed = True
        while not self._waiting.empty():
            question = self._waiting.get()
            if question is not None:
                self._say(closing(question))
        self._waiting.put(None)

    def _work(self) -> None:
        while (question := self._waiting.get()) is not None:
            try:
                word: Reply = self._answer(question)
            except Exception as ex:
                log.exception("A question of %s could not be put.", self._name)
                word = SocketDeclined(request=question.request, reason="unanswered", detail=type(ex).__name__)
            self._say(word)


def closing(question: Ask) -> SocketDeclined:
    """It was not even asked."""
    return SocketDeclined(request=question.request, reason="not_connected", detail="The socket is closing.")
