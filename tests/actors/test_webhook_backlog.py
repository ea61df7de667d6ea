"""What an endpoint has still to be told, without the actor that posts it."""

from datetime import UTC, datetime

import pytest

from chatbot_erp.actors import webhook_backlog
from chatbot_erp.actors.webhook import Answer
from chatbot_erp.actors.webhook_backlog import Backlog, Verdict
from chatbot_erp.eventstore.events import Event, WebhookDelivered
from chatbot_erp.eventstore.records import MAIN, Delivery, NewEvent
from webhook_world import Desk, message


class Held:
    """Chats that wait."""

    def __init__(self, *chats: int) -> None:
        self._chats = chats

    def is_held(self, chat: int) -> bool:
        return chat in self._chats

    def chats(self) -> tuple[int, ...]:
        return self._chats


def deliver(backlog: Backlog, head: Delivery) -> None:
    """The receiver takes it."""
    backlog.settle(
        head,
        datetime.now(UTC),
        Answer(status=200, retry_after=None, text="", address="", duration_ms=0),
        WebhookDelivered(sequence=head.sequence, attempts=1, http_status=200, endpoint=MAIN),
    )


def append(desk: Desk, version: int, *events: Event) -> int:
    new = [NewEvent(id=f"e{version + n}", event=event, recorded_at=datetime.now(UTC)) for n, event in enumerate(events)]
    return desk.store.append("i", version, new, snapshot=b"x").result(60).version


def test_a_chat_that_was_passed_over_comes_back_with_its_oldest_event(desk: Desk) -> None:
    """Its hold may end between two of the events that were read together."""
    said = [message("a1", "a@lid"), message("b1", "b@lid"), message("a2", "a@lid")]
    append(desk, 0, *said)
    backlog = Backlog("i", MAIN, desk, report=lambda told: None)
    first = backlog.head(Held())
    assert first is not None
    second = backlog.head(Held(first.chat))
    assert second is not None
    deliver(backlog, second)
    third = backlog.head(Held())
    assert third is not None
    assert [first.sequence, second.sequence, third.sequence] == [1, 2, 1]


def test_a_chat_whose_backlog_fills_a_batch_is_told_also_when_as_many_verdicts_as_may_be_were_on_their_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the log by then lies behind all that is read."""
    monkeypatch.setattr(webhook_backlog, "BATCH", 2)
    monkeypatch.setattr(webhook_backlog, "UNSETTLED_AT_MOST", 3)
    many = [message(f"a{n}", "a@lid") for n in range(10)]
    version = append(desk, 0, *many, *(message(f"b{n}", "b@lid") for n in range(3)))
    told: list[Verdict] = []
    backlog = Backlog("i", MAIN, desk, report=lambda verdicts: told.extend(verdict for verdict, _ in verdicts))
    first = backlog.head(Held())
    assert first is not None
    held = Held(first.chat)
    while (head := backlog.head(held)) is not None:
        deliver(backlog, head)
    backlog.tell()
    assert [verdict.sequence for verdict in told] == [11, 12, 13]
    assert backlog.head(Held()) is None
    append(desk, version, *told)
    head = backlog.head(Held())
    assert head is not None
    assert head.sequence == 1


def test_what_was_read_to_its_end_is_read_again_only_when_more_may_have_come(desk: Desk) -> None:
    version = append(desk, 0, message("a"), message("b"))
    backlog = Backlog("i", MAIN, desk, report=lambda told: None)
    for _ in range(2):
        head = backlog.head()
        assert head is not None
        deliver(backlog, head)
    assert backlog.head() is None
    assert desk.readings == 1
    append(desk, version, message("c"))
    backlog.hear(None)
    head = backlog.head()
    assert head is not None
    assert head.sequence == 3
