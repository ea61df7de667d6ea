"""Moving a data directory into a database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from filelock import FileLock

from chatbot_erp.eventstore.errors import LogCorrupt, StoreError
from chatbot_erp.eventstore.events import InstanceCreated, MessageAccepted, MessageSent, WebhookAbandoned
from chatbot_erp.eventstore.places import open_log
from chatbot_erp.eventstore.places import open_store as open_place
from chatbot_erp.eventstore.postgres_arrival import PAGE, move
from chatbot_erp.eventstore.postgres_store import open_store, open_vault
from chatbot_erp.eventstore.store import Answered, Attempt, EventStore, NewEvent
from chatbot_erp.eventstore.vault import Vault

Facts = Callable[..., NewEvent]


@pytest.fixture
def filled(
    directory: Path,
    new: Facts,
    created: Callable[[str], InstanceCreated],
    accepted: MessageAccepted,
    sent: MessageSent,
    noon: datetime,
) -> Path:
    """A directory with something of everything, and more events than go in one page."""
    attempt = Attempt(at=noon, duration_ms=5, http_status=500, error="rejected", address="127.0.0.1:9", answer="a\0b")
    given_up = WebhookAbandoned(sequence=2, attempts=3, error="rejected")
    with EventStore.open(directory) as store:
        store.append("a", 0, [new(created("x"))], snapshot=b"1").result()
        store.append("a", 1, [new(sent), new(sent), new(sent)], snapshot=b"2").result()
        store.record_attempt("a", "main", 1, attempt, noon).result()
        store.append("a", 4, [new(given_up)], snapshot=b"3").result()
        store.claim("key", "f", owner="o", now=noon)
        store.settle("key", 200, "text/plain", b"\0answer")
        store.append("b", 0, [new(accepted) for _ in range(PAGE)], snapshot=b"").result()
    vault = Vault.open(directory)
    vault.put("webhook", "a", b"\0secret")
    vault.close()
    return directory


def everything(store: EventStore) -> list[object]:
    return [
        store.read(limit=100_000),
        store.open_streams(),
        store.streams_named("x"),
        store.deliveries("a", limit=10),
        store.standing("a"),
        store.dead_letters("a", limit=10),
        store.checkpoints(limit=100),
    ]


def test_everything_is_in_the_database_as_it_was_in_the_files(filled: Path, database: str, noon: datetime) -> None:
    with EventStore.open(filled) as store:
        before = everything(store)
        (attempt,) = store.attempts("a", limit=10)
        before_close = store.head()
    report = move(filled, database)
    assert (report.problem, report.events) == (None, before_close)
    with open_store(database, filled) as store:
        assert everything(store) == before
        assert [each.answer for each in store.attempts("a", limit=10)] == [attempt.answer.replace("\0", "\ufffd")]
        assert store.claim("key", "f", owner="o", now=noon) == Answered(200, "text/plain", b"\0answer")
        assert store.append("b", PAGE, [], snapshot=b"").result().version == PAGE
    vault = open_vault(database)
    assert vault.get("webhook", "a") == b"\0secret"
    vault.close()


def test_a_move_that_was_cut_off_goes_on_and_nothing_starts_meanwhile(filled: Path, database: str) -> None:
    def cut_off(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(filled, database, cut_off)
    for attempt in (lambda: open_store(database, filled), lambda: open_log(database)):
        with pytest.raises(StoreError, match="migration into this database is not finished"):
            attempt()
    steps: list[int] = []
    report = move(filled, database, lambda done, total: steps.append(done))
    assert report.problem is None
    assert steps == [report.events], "the page that had arrived was not sent again"
    assert move(filled, database) == report, "once more changes nothing"


def test_after_a_move_the_files_are_not_used_by_mistake(filled: Path, database: str) -> None:
    move(filled, database)
    with pytest.raises(StoreError, match="moved to PostgreSQL"):
        open_place(filled, None)
    open_place(filled, database).close()


def test_a_database_with_another_log_is_left_alone(filled: Path, database: str, new: Facts, sent: MessageSent) -> None:
    with open_store(database, filled.with_name("other")) as store:
        store.append("z", 0, [new(sent)], snapshot=b"1").result()
    with pytest.raises(StoreError, match="another installation"):
        move(filled, database)
    with open_store(database, filled.with_name("other")) as store:
        assert store.head() == 1


def test_a_database_that_has_keys_already_is_left_alone(filled: Path, database: str) -> None:
    with closing(open_vault(database)) as vault:
        vault.put("api-key", "a", b"secret")
        with pytest.raises(StoreError, match="keys or secrets already"):
            move(filled, database)
        vault.delete("api-key", "a")
    assert move(filled, database).problem is None


def test_neither_a_running_managers_directory_nor_a_broken_log_is_moved(filled: Path, database: str) -> None:
    with FileLock(filled / "manager.lock"), pytest.raises(StoreError, match="stop it first"):
        move(filled, database)
    with closing(sqlite3.connect(filled / "events.db")) as log:
        log.executescript("DROP TRIGGER events_are_not_updated; UPDATE events SET data = '{}' WHERE position = 2")
    with pytest.raises(LogCorrupt, match="is not whole"):
        move(filled, database)
