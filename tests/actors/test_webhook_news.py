"""What was just appended goes to its receivers from memory: nothing of it is lost, doubled, reordered or stale."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_erp.actors.journal import Written
from chatbot_erp.actors.webhook import Answer
from chatbot_erp.actors.webhook_backlog import Backlog
from chatbot_erp.actors.webhook_mail import GoOn, Mailbox, Wake
from chatbot_erp.actors.webhook_news import AT_HAND, Bulletin, News
from chatbot_erp.actors.webhook_shapes import body
from chatbot_erp.eventstore.codec import CODEC
from chatbot_erp.eventstore.events import DELIVERED, Event, WebhookDelivered
from chatbot_erp.eventstore.records import MAIN, NewEvent, Recorded
from chatbot_erp.eventstore.store import EventStore
from webhook_world import Desk, message

IDS = count(1)
GOLDEN = Path(__file__).parents[1] / "eventstore" / "golden"


@dataclass
class Letter:
    """As pykka's envelope."""

    message: object
    reply_to: None = None


class Stream:
    """An instance's stream, which hands on what it appends as the instance's actor does."""

    def __init__(self, store: EventStore, *, told: tuple[str, ...] = (MAIN,)) -> None:
        self.name = f"stream-{next(IDS)}"
        self.store = store
        self.told = told
        self._version = 0

    def append(self, *events: Event) -> tuple[Recorded, ...]:
        new = [
            NewEvent(id=f"e{next(IDS)}", event=each, recorded_at=datetime.now(UTC), recipients=self.told)
            for each in events
        ]
        appended = self.store.append(self.name, self._version, new, snapshot=b"x").result(60)
        self._version = appended.version
        return appended.records

    def news(self, *records: Recorded, losses: int | None = None) -> News | None:
        written = [Written(record, None, self.told) for record in records]
        return Bulletin(written, self.store.losses if losses is None else losses).of(MAIN)


@pytest.fixture(scope="module")
def store() -> Iterator[EventStore]:
    with TemporaryDirectory() as directory, EventStore.open(Path(directory)) as made:
        yield made


def take(backlog: Backlog) -> int | None:
    """The receiver takes the next event; its sequence number."""
    head = backlog.head()
    if head is None:
        return None
    backlog.settle(
        head,
        datetime.now(UTC),
        Answer(status=200, retry_after=None, text="", address="", duration_ms=0),
        WebhookDelivered(sequence=head.sequence, attempts=1, http_status=200, endpoint=MAIN),
    )
    return head.sequence


@given(st.lists(st.sampled_from(["append", "append two", "append unheard", "take", "forget", "late"]), max_size=25))
@settings(max_examples=40, deadline=None)
def test_whatever_is_handed_on_or_missed_each_event_is_told_once_and_in_order(
    store: EventStore, steps: list[str]
) -> None:
    stream = Stream(store)
    backlog = Backlog(stream.name, MAIN, Desk(store), report=lambda told: None)
    taken: list[int] = []
    late: list[News | None] = []
    appended = 0
    for step in steps:
        match step:
            case "append" | "append two" | "append unheard":
                records = stream.append(*(message("a") for _ in range(2 if step == "append two" else 1)))
                appended += len(records)
                if step == "append unheard":
                    late.append(stream.news(*records))
                else:
                    backlog.hear(stream.news(*records))
            case "take":
                if (sequence := take(backlog)) is not None:
                    taken.append(sequence)
            case "forget":
                backlog.refresh()
            case "late" if late:
                backlog.hear(late.pop(0))
    backlog.hear(None)
    while (sequence := take(backlog)) is not None:
        taken.append(sequence)
    assert taken == list(range(1, appended + 1))


def test_who_knows_all_that_was_before_reads_nothing(store: EventStore) -> None:
    stream, desk = Stream(store), Desk(store)
    backlog = Backlog(stream.name, MAIN, desk, report=lambda told: None)
    stream.append(message("a"))
    assert take(backlog) == 1
    assert desk.readings == 1
    for sequence in range(2, 10):
        backlog.hear(stream.news(*stream.append(message("b"))))
        assert take(backlog) == sequence
    assert desk.readings == 1


def test_who_is_told_nothing_of_what_others_are_told_reads_the_log_once(store: EventStore) -> None:
    stream, desk = Stream(store, told=()), Desk(store)
    stream.append(message("before it began"))
    backlog = Backlog(stream.name, MAIN, desk, report=lambda told: None)
    for _ in range(50):
        backlog.hear(stream.news(*stream.append(message("for others"))))
        assert take(backlog) is None
    assert desk.readings == 1


def test_what_was_on_its_way_when_somebody_was_forgotten_is_read_anew(store: EventStore) -> None:
    stream, desk = Stream(store), Desk(store)
    backlog = Backlog(stream.name, MAIN, desk, report=lambda told: None)
    stream.append(message("a"))
    assert take(backlog) == 1
    stale = stream.news(*stream.append(message("a secret")), losses=store.losses - 1)
    backlog.hear(stale)
    readings = desk.readings
    assert take(backlog) == 2
    assert desk.readings == readings + 1


def test_an_endpoint_is_handed_only_what_it_is_to_be_told_and_knows_of_the_rest(store: EventStore) -> None:
    stream = Stream(store, told=())
    news = stream.news(*stream.append(message("a"), message("b")))
    assert news is not None
    assert (news.after, news.until, news.deliveries) == (0, 2, ())


def test_a_mailbox_makes_one_call_of_all_that_follow_each_other(store: EventStore) -> None:
    stream, mailbox = Stream(store), Mailbox()
    first, second = (stream.news(*stream.append(message(text))) for text in "ab")
    for call in (GoOn(), Wake(first), GoOn(), Wake(second)):
        mailbox.put(Letter(call))
    assert mailbox.urgent == 0
    call = mailbox.get().message
    assert mailbox.empty()
    assert isinstance(call.news, News)
    assert [each.sequence for each in call.news.deliveries] == [1, 2]


@pytest.mark.parametrize("gap", ["missing", "unknown", "too many"])
def test_where_something_is_missing_between_two_calls_the_log_is_read(store: EventStore, gap: str) -> None:
    stream, mailbox = Stream(store), Mailbox()
    first = stream.news(*stream.append(message("a")))
    if gap == "missing":
        stream.append(message("b"))
    more = AT_HAND if gap == "too many" else 1
    second = None if gap == "unknown" else stream.news(*stream.append(*(message("c") for _ in range(more))))
    mailbox.put(Letter(Wake(first)))
    mailbox.put(Letter(Wake(second)))
    assert mailbox.get().message == Wake(None)


def golden() -> list[Event]:
    """One of each kind and version that was ever written, where a receiver is told of it."""
    found = []
    for path in sorted(GOLDEN.glob("*.json")):
        name, schema, _ = path.name.rsplit(".", 2)
        found.append(CODEC.decode(name, int(schema), path.read_text()))
    return [event for event in found if type(event) in DELIVERED]


def test_a_receiver_gets_the_same_bytes_from_memory_as_from_the_log(store: EventStore) -> None:
    stream, events = Stream(store), golden()
    news = stream.news(*stream.append(*events))
    assert news is not None
    read = store.deliveries(stream.name, MAIN, limit=AT_HAND)
    assert len(read) == len(events) > 10
    for handed, found in zip(news.deliveries, read, strict=True):
        assert body(handed.record, "i", "n") == body(found.record, "i", "n")
        assert (handed.sequence, handed.chat, handed.round) == (found.sequence, found.chat, found.round)
