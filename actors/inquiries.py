"""Questions that callers have put to WhatsApp and wait for. Any thread may call it; the instance's actor is not asked."""

from collections.abc import Callable
from concurrent.futures import Future
from uuid import uuid4

from chatbot_erp.actors.people_frames import Ask, Reply
from chatbot_erp.actors.questions import AnyQuestion
from chatbot_erp.actors.turnstile import Turnstile

MOST = 16
"""So many questions may wait in all: each holds a thread of the HTTP server, and sends need them more."""

MOST_OF_ONE = 4
"""So many of one instance: its host asks one after another."""


class Inquiries:
    """Brings answers to those who asked."""

    def __init__(self, *, most: int = MOST, most_of_one: int = MOST_OF_ONE) -> None:
        refusal = "Too many questions wait for WhatsApp already."
        self._turnstile = Turnstile(most=most, most_of_one=most_of_one, refusal=refusal)
        self._waiting: dict[str, Future[Reply]] = {}

    def ask(self, instance: str, question: AnyQuestion, order: Callable[[Ask], None], patience_s: float) -> Reply:
        """Give the order and wait for the reply. Raises `Unavailable`, TimeoutError, and what `order` raises."""
        request, future = str(uuid4()), Future[Reply]()
        with self._turnstile.passed(instance):
            self._waiting[request] = future
            try:
                order(Ask(instance=instance, request=request, question=question))
                return future.result(patience_s)
            finally:
                del self._waiting[request]

    def settle(self, reply: Reply) -> None:
        """The host has replied; nobody may wait for it any more."""
        if (future := self._waiting.get(reply.request)) is not None:
            future.set_result(reply)
