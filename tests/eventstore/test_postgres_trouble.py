"""What becomes of appends when PostgreSQL goes away, comes back, or holds what it should not."""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

import psycopg
import pytest

from chatbot_erp.eventstore import postgres as postgres_rules
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.errors import LogCorrupt, LogTooNew, StoreError, StoreUnavailable
from chatbot_erp.eventstore.events import MessageAccepted, PingSent
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.postgres_store import open_log, open_store, open_vault, verify
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings
from chatbot_erp.eventstore.subjects import Subjects
from cut_line import CutLine
from postgres_server import PostgresServer
from waiting import wait_until

Facts = Callable[..., NewEvent]


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The shared server, running again after the test."""
    yield postgres
    postgres.start_if_stopped()


@pytest.fixture
def frozen(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The shared server, for a test that freezes it; it answers again after that."""
    yield postgres
    postgres.thaw()


@pytest.fixture
def direct(database: str) -> Iterator[Callable[[str], object]]:
    """Runs a statement past the store."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET search_path = chatbot_erp")
        yield lambda statement: connection.execute(statement.encode())


class Appender:
    """Appends to one stream for ever; knows what was acknowledged, and what was refused as certainly not written."""

    def __init__(self, store: EventStore, stream: str, new: Callable[[], NewEvent]) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self._store = store
        self._stream = stream
        self._new = new
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        version = 0
        while not self._ending.is_set():
            event = self._new()
            try:
                version = self._store.append(self._stream, version, [event], snapshot=b"1").result(60).version
            except StoreUnavailable:
                self.refused.append(event.id)
            else:
                self.acknowledged.append(event.id)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.set()
        self._thread.join()


def stored(store: EventStore) -> set[str]:
    return {record.id for record in store.read(limit=1_000_000)}


def test_a_server_that_is_stopped_and_started_again_costs_only_refusals(
    server: PostgresServer, database: str, directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    with open_store(database, directory) as store, Appender(store, "a", lambda: new(accepted)) as appender:
        wait_until(lambda: len(appender.acknowledged) > 20)
        server.stop()
        wait_until(lambda: store.healthy() is not None)
        with pytest.raises(StoreUnavailable):  # the appender's own may have been on its way: then it waits
            store.append("b", 0, [new(accepted)], snapshot=b"1").result(60)
        with pytest.raises(StoreUnavailable):
            store.head()
        before = len(appender.acknowledged)
        server.start()
        wait_until(lambda: len(appender.acknowledged) > before + 20)
        assert store.healthy() is None
        assert store.head() >= before
    with open_store(database, directory) as store:
        assert set(appender.acknowledged) == stored(store)
    assert verify(database).problem is None


def test_a_commit_that_was_cut_off_is_told_as_it_ended(
    database: str, directory: Path, new: Facts, accepted: MessageAccepted, direct: Callable[[str], object]
) -> None:
    with open_store(database, directory) as store:
        appenders = [Appender(store, f"s{n}", lambda: new(accepted)) for n in range(4)]
        for appender in appenders:
            appender.__enter__()
        for cut in range(20):
            goal = appenders[0].acknowledged, len(appenders[0].acknowledged) + 1 + cut % 4
            wait_until(lambda goal=goal: len(goal[0]) >= goal[1])  # type: ignore[misc]
            direct(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        for appender in appenders:
            appender.__exit__()
        found = stored(store)
    for appender in appenders:
        assert found >= set(appender.acknowledged)
        assert not found & set(appender.refused)
    assert verify(database).problem is None


def test_a_commit_whose_answer_never_came_is_found_to_be_one(
    postgres: PostgresServer,
    database: str,
    directory: Path,
    new: Facts,
    accepted: MessageAccepted,
) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        CutLine(Path(place), postgres.socket) as line,
        open_store(database.replace(postgres.host, place), directory) as store,
    ):
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        line.cut_the_next_commit()
        appended = store.append("a", 1, [new(accepted)], snapshot=b"2").result(60)
        assert (appended.version, appended.records[0].position, line.cuts) == (2, 2, 1)
        line.cut_the_next_commit()
        store.claim("key", "f", owner="o", now=appended.records[0].recorded_at)
        assert line.cuts == 2
        assert store.append("a", 2, [new(accepted)], snapshot=b"3").result().version == 3
        assert [each.position for each in store.read()] == [1, 2, 3]


def test_keys_whose_destruction_was_never_answered_lock_nothing_any_more(
    postgres: PostgresServer, database: str, directory: Path, new: Facts, accepted: MessageAccepted, noon: datetime
) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        CutLine(Path(place), postgres.socket) as line,
        open_store(database.replace(postgres.host, place), directory) as store,
    ):
        people, hers = Subjects(store), [canonical(accepted.number)]
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        erasure = people.begin(hers, noon)
        line.cut_the_next_commit()
        with pytest.raises(StoreUnavailable):
            people.destroy(erasure, hers, noon)
        store.append("a", 1, [new(accepted)], snapshot=b"2").result()
        assert [each.erased for each in store.read()] == [True, False]

        line.cut_the_next_commit()
        with pytest.raises(StoreUnavailable):
            people.expire("2100-01-01", noon)
        store.append("a", 2, [new(accepted)], snapshot=b"3").result()
        assert [each.erased for each in store.read()] == [True, True, False]
    with open_log(database) as log:
        assert [each.erased for each in log.read()] == [True, True, False]


def test_keys_that_a_server_which_took_over_never_had_lock_nothing_any_more(
    database: str, directory: Path, new: Facts, accepted: MessageAccepted, direct: Callable[[str], object]
) -> None:
    with open_store(database, directory) as store:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        for table in ("subjects", "addresses", "periods"):  # as where a standby takes over that lags
            direct(f"DELETE FROM chatbot_erp_keys.{table}")
        direct(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        probe, came_through = new(PingSent(message_id="m")), False
        while not came_through:
            with contextlib.suppress(StoreUnavailable):
                came_through = store.append("b", 0, [probe], snapshot=b"1").result().version == 1
        store.append("a", 1, [new(accepted)], snapshot=b"2").result()
        assert [each.erased for each in store.read(stream="a")] == [True, False]


def test_a_server_that_freezes_is_noticed_and_gone_on_with_when_it_answers_again(
    frozen: PostgresServer, database: str, directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    with open_store(database, directory, Settings(answer_s=3.0)) as store:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        other = MessageAccepted(command_id="c", number="5511888888888", kind="text", text="Oi")
        frozen.freeze()
        with pytest.raises(StoreUnavailable):
            store.append("a", 1, [new(accepted)], snapshot=b"2").result(120)
        assert store.healthy() is not None
        with pytest.raises(StoreUnavailable):  # the key of somebody new
            store.append("a", 1, [new(other)], snapshot=b"2").result(120)
        frozen.thaw()
        version = 0
        while version == 0:
            with contextlib.suppress(StoreUnavailable):
                version = store.append("a", 1, [new(other)], snapshot=b"2").result(120).version
        assert (version, store.head(), store.healthy()) == (2, 2, None)
    assert verify(database).problem is None


def test_a_second_manager_on_the_database_is_refused_and_the_first_goes_on(
    database: str, directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    with open_store(database, directory) as store:
        with pytest.raises(StoreUnavailable, match="another manager works in this database"):
            open_store(database, directory.with_name("other"), Settings(patience_ms=100))
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
    with open_store(database, directory.with_name("other")) as store:
        assert store.head() == 1


def test_an_older_manager_leaves_a_newer_schema_alone(
    database: str, directory: Path, direct: Callable[[str], object]
) -> None:
    open_store(database, directory).close()
    direct("INSERT INTO migrations VALUES (99)")
    for attempt in (lambda: open_store(database, directory), lambda: open_log(database), lambda: open_vault(database)):
        with pytest.raises(LogTooNew, match="schema 99"):
            attempt()


def test_a_newer_program_that_looks_for_secrets_changes_no_schema_that_an_older_manager_works_with(
    database: str, directory: Path, direct: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_rules, "PATIENCE_MS", 0)
    with open_store(database, directory, node=Node(name="a", movable=True)):
        direct("DELETE FROM migrations WHERE number > 1")
        with pytest.raises(StoreUnavailable, match="another manager works in this database"):
            open_vault(database)
        assert direct("SELECT max(number) FROM migrations").fetchone() == (1,)  # type: ignore[attr-defined]


def test_an_event_that_was_changed_behind_the_stores_back_is_found(
    database: str, directory: Path, new: Facts, accepted: MessageAccepted, direct: Callable[[str], object]
) -> None:
    with open_store(database, directory) as store:
        store.append("a", 0, [new(accepted), new(accepted)], snapshot=b"1").result()
    with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
        direct("UPDATE events SET data = '{}' WHERE position = 1")
    direct("ALTER TABLE events DISABLE TRIGGER ALL")
    direct("UPDATE events SET data = '{}' WHERE position = 1")
    assert verify(database).position == 1


def test_a_head_row_that_is_not_the_last_event_is_not_appended_to(
    database: str, directory: Path, new: Facts, accepted: MessageAccepted, direct: Callable[[str], object]
) -> None:
    with open_store(database, directory) as store:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
    direct("UPDATE head SET position = 7")
    with pytest.raises(LogCorrupt, match="head row"):
        open_store(database, directory)
    assert verify(database).problem == "The head row is not the last event of the log."


def test_a_password_is_in_no_error(directory: Path) -> None:
    for url in ("postgresql://u:hunter2@127.0.0.1:1/x", "postgresql://u:hunter2@/x?nonsense=1", "u:hunter2"):
        with pytest.raises(StoreError) as caught:
            open_store(url, directory)
        assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_a_database_without_a_log_is_not_read(database: str) -> None:
    with pytest.raises(StoreError, match="no event log in this database"):
        open_log(database)
