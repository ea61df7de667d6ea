"""How an instance was at a moment: what was recorded by then, and all that stands before it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatbot_erp.actors.rebuild import past
from chatbot_erp.eventstore.events import InstanceCreated, PingSent
from chatbot_erp.eventstore.log_reader import LogReader
from chatbot_erp.eventstore.store import EventStore, NewEvent

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BLOCK = 1024


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def append(store: EventStore, stream: str, version: int, moment: datetime) -> None:
    first = InstanceCreated(name=stream, webhook_url="http://127.0.0.1:9/", session_from=None)
    event = PingSent(message_id=str(version)) if version else first
    new = NewEvent(id=f"{stream}-{version}", event=event, recorded_at=moment)
    store.append(stream, version, [new], snapshot=b"x").result(60)


def test_where_the_clock_went_back_a_moment_has_all_that_stands_before_its_last_event(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        for version, minutes in enumerate((0, 60, 5, 10)):  # the clock was an hour ahead for the second of them
            append(store, "i", version, at(minutes))
        append(store, "other", 0, at(7))
        reached = {minutes: past(store, "i", at=at(minutes)).position for minutes in (-1, 0, 4, 5, 9.9, 10, 61)}
    assert reached == {-1: 0, 0: 1, 4: 1, 5: 3, 9.9: 3, 10: 4, 61: 4}
    with LogReader.open(tmp_path) as log:
        assert past(log, "i", at=at(5)).position == 3


@pytest.mark.parametrize("behind", [0, 1, 50])
def test_a_moment_is_found_on_either_side_of_the_last_full_block(tmp_path: Path, behind: int) -> None:
    many = BLOCK + behind
    with EventStore.open(tmp_path) as store:
        first = InstanceCreated(name="i", webhook_url="http://127.0.0.1:9/", session_from=None)
        events = [first, *(PingSent(message_id=str(n)) for n in range(1, many))]
        new = [NewEvent(id=str(n), event=event, recorded_at=at(n)) for n, event in enumerate(events)]
        store.append("i", 0, new, snapshot=b"x").result(60)
        for position in (1, BLOCK - 1, BLOCK, many):
            assert store.last_until("i", at(position - 0.5)) == position
        assert store.last_until("i", at(many)) == many
        assert store.last_until("i", at(-1)) == 0
        assert store.last_until("j", at(many)) == 0
