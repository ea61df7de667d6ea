"""Questions that callers have put to WhatsApp and wait for. Any thread may call it; the instance's actor is not asked."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from uuid import uuid4

from chatbot_erp.actors.errors import Unavailable
from chatbot_erp.actors.people_frames import Ask, Reply
from chatbot_erp.actors.questions import AnyQuestion

MOST = 16
"""So many questions may wait in all: each holds a thread of the HTTP server, and sends need them more."""

MOST_OF_ONE = 4
"""So many of one instance: its host asks one after another."""


class Inquiries:
    """Brings answers to those who asked."""

    def __init__(self, *, most: int = MOST, most_of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._lock = Lock()
        self._waiting: dict[str, tuple[str, Future[Reply]]] = {}

    def ask(self, instance: str, question: AnyQuestion, order: Callable[[Ask], None], patience_s: float) -> Reply:
        """Give the order and wait for the reply. Raises `Unavailable`, TimeoutError, and what `order` raises."""
        request, future = str(uuid4()), Future[Reply]()
        with self._lock:
            of_one = sum(1 for other, _ in self._waiting.values() if other == instance)
            if len(self._waiting) >= self._most or of_one >= self._most_of_one:
                raise Unavailable("Too many questions wait for WhatsApp already.")
            self._waiting[request] = instance, future
        try:
            order(Ask(instance=instance, request=request, question=question))
            return future.result(patience_s)
        finally:
            with self._lock:
                del self._waiting[request]

    def settle(self, reply: Reply) -> None:
        """The host has replied; nobody may wait for it any more."""
        with self._lock:
            _, future = self._waiting.get(reply.request, ("", None))
        if future is not None:
            future.set_result(reply)
