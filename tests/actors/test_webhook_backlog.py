"""What an endpoint has still to be told, without the actor that posts it."""

from datetime import UTC, datetime

from chatbot_erp.actors.webhook import Answer
from chatbot_erp.actors.webhook_backlog import Backlog
from chatbot_erp.eventstore.events import WebhookDelivered
from chatbot_erp.eventstore.records import MAIN, NewEvent
from webhook_world import Desk, message


class Held:
    """Chats that wait."""

    def __init__(self, *chats: int) -> None:
        self._chats = chats

    def is_held(self, chat: int) -> bool:
        return chat in self._chats

    def chats(self) -> tuple[int, ...]:
        return self._chats


def test_a_chat_that_was_passed_over_comes_back_with_its_oldest_event(desk: Desk) -> None:
    """Its hold may end between two of the events that were read together."""
    said = [message("a1", "a@lid"), message("b1", "b@lid"), message("a2", "a@lid")]
    new = [NewEvent(id=f"e{n}", event=event, recorded_at=datetime.now(UTC)) for n, event in enumerate(said)]
    desk.store.append("i", 0, new, snapshot=b"x").result(60)
    backlog = Backlog("i", MAIN, desk, report=lambda told: None)
    first = backlog.head(Held())
    assert first is not None
    second = backlog.head(Held(first.chat))
    assert second is not None
    backlog.settle(
        second,
        datetime.now(UTC),
        Answer(status=200, retry_after=None, text="", address="", duration_ms=0),
        WebhookDelivered(sequence=second.sequence, attempts=1, http_status=200, endpoint=MAIN),
    )
    third = backlog.head(Held())
    assert third is not None
    assert [first.sequence, second.sequence, third.sequence] == [1, 2, 1]
