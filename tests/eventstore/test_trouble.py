"""The disk refuses: nothing acknowledged is lost, nothing refused appears later, and the store heals by itself."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.eventstore.checkpoints import Signer
from chatbot_erp.eventstore.database import create_private, migrate, open_writable
from chatbot_erp.eventstore.errors import NotStorable, OutcomeUnknown, StoreUnavailable
from chatbot_erp.eventstore.events import MessageAccepted
from chatbot_erp.eventstore.promise import Promise
from chatbot_erp.eventstore.reader import Readers
from chatbot_erp.eventstore.store import Appended, Attempt, EventStore, NewEvent, Settings
from chatbot_erp.eventstore.subject_keys import SubjectKeys
from chatbot_erp.eventstore.verify import verify
from chatbot_erp.eventstore.work import Bounds, Cadence
from chatbot_erp.eventstore.writer import Writer
from waiting import wait_until

Facts = Callable[..., NewEvent]
Hold = Callable[[EventStore, threading.Event], None]
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Disk:
    """What the connections that a writer opens do. Everything is allowed at first."""

    def __init__(self) -> None:
        self.pages = 2**31
        self.fail_commit: Callable[[sqlite3.Connection], None] | None = None
        self.refuse_to_open = False


@contextmanager
def store_on(disk: Disk, directory: Path) -> Iterator[EventStore]:
    path = directory / "events.db"

    class Obedient(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                super().execute(f"PRAGMA max_page_count = {disk.pages}")
            if sql == "COMMIT" and disk.fail_commit is not None:
                fail, disk.fail_commit = disk.fail_commit, None
                fail(self)
            return super().execute(sql, *parameters)

    def connect(patience_ms: int) -> sqlite3.Connection:
        if disk.refuse_to_open:
            raise sqlite3.OperationalError("disk I/O error")
        open_writable(path, patience_ms).close()
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=patience_ms / 1000, factory=Obedient
        )
        connection.execute(f"PRAGMA max_page_count = {disk.pages}")
        migrate(connection)
        return connection

    create_private(path)
    bounds = Bounds(queue=1000, group=100, patience_ms=100)
    writer = Writer(connect, Signer.open(directory), bounds, Cadence(1000, timedelta(days=1), timedelta(days=1)))
    writer.start()
    with EventStore(writer, Readers(path, 2), SubjectKeys.open(directory)) as store:
        yield store


def trouble(future: Promise[Appended]) -> str:
    ex = future.exception(timeout=60)
    assert isinstance(ex, StoreUnavailable), ex
    return ex.trouble


def test_a_full_disk_refuses_writes_and_heals_without_traffic(
    directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    disk = Disk()
    with store_on(disk, directory) as store:
        acknowledged = [store.append("a", 0, [new(accepted)], snapshot=b"1").result().records[0].id]
        disk.pages = 1
        large = MessageAccepted(command_id="c", number="1", kind="text", text="x" * 100_000)
        group = [store.append("a", 1, [new(large)], snapshot=b"2"), store.append("b", 0, [new(large)], snapshot=b"2")]
        assert [trouble(future) for future in group] == ["full", "full"]
        assert "full" in str(store.healthy())
        assert [record.id for record in store.read()] == acknowledged, "reading goes on"
        disk.pages = 2**31
        wait_until(lambda: store.healthy() is None)
        again = store.append("a", 1, [new(large)], snapshot=b"2").result()
        assert (again.version, again.records[0].position) == (2, 2)
    assert verify(directory).problem is None


def test_a_log_locked_by_another_program_refuses_writes_until_it_is_free(
    directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    with EventStore.open(directory, Settings(patience_ms=50)) as store:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        with closing(sqlite3.connect(directory / "events.db", isolation_level=None)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            assert trouble(store.append("a", 1, [new(accepted)], snapshot=b"1")) == "locked"
            assert "locked" in str(store.healthy())
            assert trouble(store.append("a", 1, [new(accepted)], snapshot=b"1")) == "locked"
            assert store.head() == 1
            intruder.execute("ROLLBACK")
        wait_until(lambda: store.healthy() is None)
        assert store.append("a", 1, [new(accepted)], snapshot=b"1").result().version == 2


def test_an_append_heals_the_store_without_waiting_for_a_probe(
    directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    disk = Disk()
    with store_on(disk, directory) as store:
        disk.pages = 1
        assert trouble(store.append("a", 0, [new(accepted)], snapshot=b"x" * 100_000)) == "full"
        disk.pages = 2**31
        assert store.append("a", 0, [new(accepted)], snapshot=b"1").result(timeout=60).version == 1


def test_bad_values_and_a_full_disk_in_one_commit_leave_nobody_waiting(
    directory: Path, new: Facts, accepted: MessageAccepted, hold: Hold
) -> None:
    disk, gate = Disk(), threading.Event()
    bad = Attempt(at=NOON, duration_ms=2**70, http_status=None, error="", address="", answer="")
    with store_on(disk, directory) as store:
        assert store.append("a", 0, [new(accepted)], snapshot=b"1").result().version == 1
        hold(store, gate)
        futures: list[Future[None] | Promise[Appended]] = [
            store.record_attempt("a", "main", 1, bad, None),
            store.append("a", 1, [new(accepted)], snapshot=b"1"),
            store.append("a", 2, [new(accepted)], snapshot=b"x" * 100_000),
            store.append("a", 3, [new(accepted)], snapshot=b"1"),
        ]
        disk.pages = 1
        gate.set()
        kinds = [type(future.exception(timeout=60)) for future in futures]
        assert kinds[0] is NotStorable
        assert kinds[2:] == [StoreUnavailable, StoreUnavailable]
        disk.pages = 2**31
        wait_until(lambda: store.healthy() is None)
        assert store.head() == 1 + (kinds[1] is type(None))


def io_error(code: int) -> sqlite3.OperationalError:
    ex = sqlite3.OperationalError("disk I/O error")
    ex.sqlite_errorcode = code
    return ex


def commit_and_fail(connection: sqlite3.Connection) -> None:
    """The commit frame is in the file, but syncing it failed."""
    sqlite3.Connection.execute(connection, "COMMIT")
    raise io_error(sqlite3.SQLITE_IOERR_FSYNC)


def only_fail(connection: sqlite3.Connection) -> None:
    raise io_error(sqlite3.SQLITE_IOERR_FSYNC)


@pytest.mark.parametrize("came_through", [True, False])
def test_a_commit_that_failed_while_it_was_synced_is_told_as_it_turned_out(
    directory: Path, new: Facts, accepted: MessageAccepted, came_through: bool
) -> None:
    disk = Disk()
    with store_on(disk, directory) as store:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        disk.refuse_to_open = True
        disk.fail_commit = commit_and_fail if came_through else only_fail
        doubtful = store.append("a", 1, [new(accepted)], snapshot=b"2")
        wait_until(store.healthy)
        assert trouble(store.append("b", 0, [new(accepted)], snapshot=b"1")) == "io"
        assert not doubtful.done(), "nobody can say yet"
        disk.refuse_to_open = False
        if came_through:
            assert doubtful.result(timeout=60).records[0].position == 2
        else:
            assert trouble(doubtful) == "io"
        assert store.head() == (2 if came_through else 1)
        version = store.head()
        assert store.append("a", version, [new(accepted)], snapshot=b"2").result(timeout=60).version == version + 1
    assert verify(directory).problem is None


def test_a_doubtful_commit_is_not_acknowledged_while_a_reader_keeps_it_from_being_written_again(
    directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    disk = Disk()
    with store_on(disk, directory) as store, closing(sqlite3.connect(directory / "events.db")) as reader:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        disk.fail_commit = commit_and_fail
        doubtful = store.append("a", 1, [new(accepted)], snapshot=b"2")
        wait_until(lambda: "a reader" in str(store.healthy()))
        assert not doubtful.done()
        reader.execute("ROLLBACK")
        assert doubtful.result(timeout=60).records[0].position == 2
        wait_until(lambda: store.healthy() is None)
    assert verify(directory).problem is None


def test_a_store_closed_in_doubt_says_so(directory: Path, new: Facts, accepted: MessageAccepted) -> None:
    disk = Disk()
    with store_on(disk, directory) as store:
        disk.refuse_to_open = True
        disk.fail_commit = commit_and_fail
        doubtful = store.append("a", 0, [new(accepted)], snapshot=b"1")
        wait_until(store.healthy)
    assert isinstance(doubtful.exception(timeout=60), OutcomeUnknown)
    with EventStore.open(directory) as store:
        assert store.head() == 1


def test_somebody_else_who_wrote_to_the_log_is_noticed_and_not_overwritten(
    directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    with EventStore.open(directory) as store:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        with EventStore.open(directory) as other:
            other.append("a", 1, [new(accepted)], snapshot=b"1").result()
        assert trouble(store.append("a", 1, [new(accepted)], snapshot=b"1")) == "io"
        wait_until(lambda: store.healthy() is None)
        assert store.append("a", 2, [new(accepted)], snapshot=b"1").result().records[0].position == 3
    assert verify(directory).problem is None


def test_many_threads_survive_a_disk_that_fails_again_and_again(
    directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    disk, stop = Disk(), threading.Event()
    acknowledged: list[tuple[str, int, str]] = []
    refused: list[str] = []

    def work(store: EventStore, stream: str) -> None:
        version = 0
        while not stop.is_set():
            event = new(accepted)
            try:
                appended: Appended = store.append(stream, version, [event], snapshot=b"x" * 20_000).result(60)
            except StoreUnavailable as ex:
                refused.append(ex.trouble)
                continue
            version = appended.version
            acknowledged.append((stream, version, event.id))

    with store_on(disk, directory) as store:
        threads = [threading.Thread(target=work, args=(store, f"s{n}")) for n in range(20)]
        for thread in threads:
            thread.start()
        for fault in (commit_and_fail, only_fail, commit_and_fail):
            disk.fail_commit = fault
            wait_until(lambda: disk.fail_commit is None)
            disk.pages = 1
            wait_until(lambda: refused[-1:] == ["full"])
            refused.clear()
            disk.pages = 2**31
            seen = len(acknowledged)
            wait_until(lambda: len(acknowledged) > seen + 50)  # noqa: B023 - called before the next round
        stop.set()
        for thread in threads:
            thread.join()
        stored = {(r.stream, r.version, r.id) for r in store.read(limit=1_000_000)}
    assert set(acknowledged) == stored
    assert verify(directory).problem is None
