"""Copies of a data directory that somebody is writing to."""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.backup import copy
from chatbot_erp.eventstore.events import MessageAccepted, PingSent
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.subjects import Subjects
from chatbot_erp.eventstore.vault import Vault
from chatbot_erp.eventstore.verify import verify

Facts = Callable[..., NewEvent]


def test_a_copy_made_under_load_is_whole_and_has_all_that_was_acknowledged_before(
    store: EventStore, directory: Path, new: Facts, tmp_path: Path
) -> None:
    stop, acknowledged = threading.Event(), [0]

    def append() -> None:
        while not stop.is_set():
            store.append("a", acknowledged[0], [new(PingSent(message_id="m"))], snapshot=b"1").result()
            acknowledged[0] += 1

    writer = threading.Thread(target=append)
    writer.start()
    try:
        for round_ in range(5):
            before = acknowledged[0]
            copy(directory, tmp_path / f"copy-{round_}")
            report = verify(tmp_path / f"copy-{round_}")
            assert report.problem is None
            assert before <= report.events <= acknowledged[0] + 1
    finally:
        stop.set()
        writer.join()
    assert acknowledged[0] > 0


def test_a_copy_can_be_written_to_where_the_original_left_off(
    store: EventStore, directory: Path, new: Facts, tmp_path: Path
) -> None:
    store.append("a", 0, [new(PingSent(message_id="m"))], snapshot=b"1").result()
    with closing(Vault.open(directory)) as vault:
        vault.put("webhook", "a", b"secret")
    copy(directory, tmp_path / "copy")
    with EventStore.open(tmp_path / "copy") as restored, closing(Vault.open(tmp_path / "copy")) as vault:
        restored.append("a", 1, [new(PingSent(message_id="n"))], snapshot=b"1").result()
        assert [record.version for record in restored.read(stream="a")] == [1, 2]
        assert vault.get("webhook", "a") == b"secret"
    report = verify(tmp_path / "copy")
    assert (report.problem, len(report.keys)) == (None, 1)


def test_what_an_event_of_the_copy_refers_to_is_in_the_copy(
    store: EventStore, directory: Path, new: Facts, tmp_path: Path
) -> None:
    store.append("a", 0, [new(PingSent(message_id="m"))], snapshot=b"1").result()

    def pair_meanwhile(done: int, count: int) -> None:
        if done == 0:
            (directory / "sessions").mkdir()
            (directory / "sessions" / "b").write_text("of b")
            store.append("b", 0, [new(PingSent(message_id="m"))], snapshot=b"1").result()

    copy(directory, tmp_path / "copy", pair_meanwhile)
    assert verify(directory).streams == 2
    has_session = (tmp_path / "copy" / "sessions" / "b").exists()
    assert verify(tmp_path / "copy").streams == (2 if has_session else 1)


@pytest.mark.parametrize("with_the_keys", [False, True])
def test_a_copy_that_was_begun_before_somebody_is_forgotten_can_be_worked_with(
    store: EventStore,
    directory: Path,
    new: Facts,
    accepted: MessageAccepted,
    noon: datetime,
    tmp_path: Path,
    *,
    with_the_keys: bool,
) -> None:
    """Their key is in the copy, or what says why it is not."""
    others = MessageAccepted(command_id="c-2", number="5511888888888", kind="text", text="Oi")
    store.append("a", 0, [new(others), new(accepted)], snapshot=b"1").result()

    def forget_meanwhile(done: int, count: int) -> None:
        people = Subjects(store)
        if done == with_the_keys and not [record for record in store.read() if record.erased]:
            erasure = people.begin([canonical(accepted.number)], noon)
            people.finish(people.destroy(erasure, [canonical(accepted.number)], noon))

    copy(directory, tmp_path / "copy", forget_meanwhile)
    assert [record.erased for record in store.read()] == [False, True, False]
    with EventStore.open(tmp_path / "copy") as restored:
        is_forgotten = [record.erased for record in restored.read()]
        assert is_forgotten == ([False, False] if with_the_keys else [False, True, False])


def test_sessions_are_copied_as_databases_and_other_files_as_they_are(
    store: EventStore, directory: Path, tmp_path: Path
) -> None:
    (directory / "sessions").mkdir()
    (directory / "hosts").mkdir()
    (directory / "hosts" / "x.lock").write_text("1")
    (directory / "parked").mkdir()
    (directory / "parked" / "p.json").write_text("{}")
    os.utime(directory / "parked" / "p.json", ns=(1, 2_000_000_001))
    with closing(sqlite3.connect(directory / "sessions" / "s.db")) as session:
        session.execute("PRAGMA journal_mode=WAL")
        session.execute("CREATE TABLE t (x)")
        session.execute("INSERT INTO t VALUES (1)")
        session.commit()
        copy(directory, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / "sessions" / "s.db")) as copied:
        assert copied.execute("SELECT x FROM t").fetchall() == [(1,)]
    names = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert {"events.db", "sessions/s.db", "parked/p.json"} <= names
    assert (tmp_path / "copy" / "parked" / "p.json").stat().st_mtime_ns == 2_000_000_001
    assert not any("lock" in name or "-wal" in name for name in names)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_a_copy_never_goes_over_something_else(store: EventStore, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "notes").write_text("mine")
    with pytest.raises(FileExistsError):
        copy(directory, tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["notes"]


def test_a_copy_is_never_part_of_what_is_copied(store: EventStore, directory: Path) -> None:
    with pytest.raises(FileExistsError):
        copy(directory, directory / "backups" / "today")
    assert not (directory / "backups").exists()


def test_an_empty_directory_is_filled_where_it_stands_for_it_may_be_a_disk_of_its_own_or_behind_a_link(
    store: EventStore, directory: Path, new: Facts, tmp_path: Path
) -> None:
    store.append("a", 0, [new(PingSent(message_id="m"))], snapshot=b"1").result()
    mounted, link = tmp_path / "mounted", tmp_path / "link"
    (mounted / "lost+found").mkdir(parents=True)
    (mounted / "copy.partial").mkdir()
    (mounted / "copy.partial" / "half").write_text("of a copy that was killed")
    link.symlink_to(mounted)
    inode = mounted.stat().st_ino
    copy(directory, link)
    assert link.is_symlink()
    assert mounted.stat().st_ino == inode
    assert stat.S_IMODE(mounted.stat().st_mode) == 0o700
    assert not (mounted / "copy.partial").exists()
    report = verify(link)
    assert (report.problem, report.events) == (None, 1)


def test_a_copy_into_an_empty_directory_that_fails_leaves_it_empty(
    store: EventStore, directory: Path, tmp_path: Path
) -> None:
    (directory / "broken.db").write_bytes(b"no database, and long enough to be looked at" * 100)
    (tmp_path / "copy").mkdir()
    with pytest.raises(sqlite3.DatabaseError):
        copy(directory, tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_copy_that_fails_leaves_nothing(store: EventStore, directory: Path, tmp_path: Path) -> None:
    (directory / "broken.db").write_bytes(b"no database, and long enough to be looked at" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        copy(directory, tmp_path / "copy")
    assert {path.name for path in tmp_path.iterdir()} == {directory.name}
