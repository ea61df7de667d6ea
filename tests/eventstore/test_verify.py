"""What `verify` finds, and what it takes to deceive it."""

import base64
import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.checkpoints import Checkpoint, Signer, from_row
from chatbot_erp.eventstore.errors import LogCorrupt, LogTooNew, StoreError
from chatbot_erp.eventstore.events import MessageAccepted, MessageSent, PingSent
from chatbot_erp.eventstore.log_reader import LogReader
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings
from chatbot_erp.eventstore.verify import verify
from chatbot_erp.eventstore.walk import Report
from waiting import wait_until

Facts = Callable[..., NewEvent]
EVENTS = 60


@pytest.fixture
def log(directory: Path, new: Facts, accepted: MessageAccepted, sent: MessageSent) -> Path:
    """A closed log of 60 events in 3 streams, with a checkpoint every 25 events and at its end."""
    settings = Settings(checkpoint_events=25, checkpoint_period=timedelta(days=1))
    with EventStore.open(directory, settings) as store:
        for version in range(EVENTS // 3):
            for stream in "abc":
                store.append(stream, version, [new(sent if version % 2 else accepted)], snapshot=b"1").result()
    return directory


class Instant(datetime):
    """As libraries of times have them."""


@pytest.mark.parametrize("kind", [datetime, Instant])
def test_a_moment_is_written_in_one_width_of_whatever_kind_it_is(kind: type[datetime]) -> None:
    assert moment(kind(2026, 11, 26, 7, 0, 0, 5, tzinfo=UTC)) == "2026-11-26T07:00:00.000005Z"
    assert moment(kind(2026, 11, 26, 7, 0, 0, 0, tzinfo=UTC)) == "2026-11-26T07:00:00.000000Z"


def tamper(directory: Path, *statements: str) -> None:
    """What somebody with the file and a SQLite shell can do, who leaves the triggers as they were."""
    with closing(sqlite3.connect(directory / "events.db", isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


def rewrite_chain(directory: Path) -> None:
    """Give every event the hash that fits it: written from the description in chain.py, with nothing of the store."""
    previous = bytes(32)
    with closing(sqlite3.connect(directory / "events.db", isolation_level=None)) as connection:
        rows = connection.execute(
            "SELECT position, version, sequence, stream, id, type, schema, recorded_at, data FROM events ORDER BY 1"
        ).fetchall()
    updates = []
    for row in rows:
        lines = "\n".join("" if value is None else str(value) for value in row)
        previous = hashlib.sha256(previous + lines.encode()).digest()
        updates.append(f"UPDATE events SET hash = x'{previous.hex()}' WHERE position = {row[0]}")
    tamper(directory, *updates)


def test_an_untouched_log_is_whole(log: Path) -> None:
    told: list[tuple[int, int]] = []
    report = verify(log, progress=lambda done, total: told.append((done, total)))
    assert (report.problem, report.position) == (None, None)
    assert (report.events, report.streams, report.checkpoints, len(report.keys)) == (EVENTS, 3, 4, 1)
    assert told == [(EVENTS, EVENTS)]


def test_of_a_large_log_another_process_checks_the_second_half(log: Path) -> None:
    told: list[tuple[int, int]] = []
    with EventStore.open(log) as store:
        kept = store.checkpoints(limit=1)
    report = verify(log, kept=kept, progress=lambda done, total: told.append((done, total)), alone=10)
    assert report == verify(log, kept=kept)
    assert (report.problem, report.events, report.checkpoints) == (None, EVENTS, 5)
    assert told == [(EVENTS // 2, EVENTS)]


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE events SET data = replace(data, 'text', 'tixt') WHERE position = 47", 47),
        ("UPDATE events SET hash = zeroblob(32) WHERE position = 30", 30),
        ("DELETE FROM events WHERE position = 31", 31),
        ("DELETE FROM events WHERE position > 31", 32),
        ("UPDATE checkpoints SET at = '2027-01-01T00:00:00.000000Z' WHERE position = 51", 51),
    ],
)
def test_two_processes_name_the_position_that_one_names(log: Path, statement: str, position: int) -> None:
    tamper(log, statement)
    report, alone = verify(log, alone=10), verify(log)
    assert (report.position, report.problem) == (position, alone.problem)
    assert alone.position == position


@pytest.mark.parametrize("column", ["version", "sequence"])
def test_a_second_half_that_fits_only_itself_is_noticed(log: Path, column: str) -> None:
    tamper(
        log,
        f"UPDATE events SET {column} = {column} + 1 WHERE stream = 'b' AND position > 30",
        f"UPDATE streams SET {column} = {column} + 1 WHERE stream = 'b'",
        "DELETE FROM checkpoints",
    )
    rewrite_chain(log)
    report = verify(log, alone=10)
    assert report.position in (32, 35)  # the first event of this stream, and the first that webhooks are told
    assert report == verify(log)


def test_a_checkpoint_that_was_kept_of_the_second_half_is_compared(log: Path, tmp_path: Path) -> None:
    with EventStore.open(log) as store:
        at = store.checkpoints(limit=1)[0].at
    forged = from_row(Signer.open(tmp_path).row(50, bytes(32), at))
    assert verify(log, kept=[forged], alone=10) == verify(log, kept=[forged])
    assert verify(log, kept=[forged], alone=10).position == 50


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
def test_a_log_in_which_nothing_happens_gets_a_checkpoint_of_its_end(
    open_store: Callable[[Settings], EventStore], check: Callable[[], Report], new: Facts
) -> None:
    with open_store(Settings(checkpoint_quiet=timedelta(milliseconds=100))) as store:
        for version in range(2):  # only the first of them is due for one
            store.append("s", version, [new(PingSent(message_id="m"))], snapshot=b"").result()
            end = version + 1
            wait_until(lambda end=end: store.checkpoints(limit=1)[0].position == end)  # type: ignore[misc]
        report = check()
        assert (report.problem, report.checkpoints) == (None, 2)


def test_the_chain_is_what_its_description_says(log: Path) -> None:
    before = verify(log).hash
    rewrite_chain(log)
    after = verify(log)
    assert (after.problem, after.hash) == (None, before)


def test_the_log_refuses_changes_by_itself(log: Path) -> None:
    with closing(sqlite3.connect(log / "events.db", isolation_level=None)) as connection:
        columns = "stream, version, sequence, id, type, schema, recorded_at, data, hash"
        for statement in (
            "UPDATE events SET data = '{}' WHERE position = 7",
            "DELETE FROM events WHERE position = 60",
            f"INSERT OR REPLACE INTO events SELECT position, {columns} FROM events WHERE position = 7",
            f"INSERT INTO events SELECT 62, 'x' || {columns} FROM events WHERE position = 7".replace(
                "'x' || stream, version, sequence, id", "stream, version, sequence, 'other'"
            ),
            "UPDATE checkpoints SET at = '2026'",
            "DELETE FROM checkpoints",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
    assert verify(log).problem is None


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE events SET data = replace(data, 'text', 'tixt') WHERE position = 17", 17),
        ("UPDATE events SET recorded_at = '2026-11-24T12:00:00.000000Z' WHERE position = 17", 17),
        ("UPDATE events SET sequence = 7 WHERE position = 17", 17),
        ("UPDATE events SET stream = 'c', version = 99 WHERE position = 17", 17),
        ("UPDATE events SET hash = zeroblob(32) WHERE position = 17", 17),
        ("UPDATE events SET stream = stream || char(0) || 'x' WHERE position = 17", 17),
        ("UPDATE events SET id = id || char(0) || 'x' WHERE position = 17", 17),
        ("UPDATE events SET type = type || char(0) || 'x' WHERE position = 17", 17),
        ("UPDATE events SET recorded_at = recorded_at || char(0) || 'x' WHERE position = 17", 17),
        ("UPDATE events SET data = data || char(0) || 'x' WHERE position = 17", 17),
        ("DELETE FROM events WHERE position = 17", 17),
        ("DELETE FROM events WHERE position = 1", 1),
        ("DELETE FROM events WHERE position > 50", 51),
        ("DELETE FROM events", 1),
        ("UPDATE streams SET version = 30 WHERE stream = 'b'", 61),
        ("DELETE FROM streams WHERE stream = 'b'", 61),
        ("UPDATE checkpoints SET at = '2027-01-01T00:00:00.000000Z' WHERE position = 26", 26),
        ("UPDATE checkpoints SET at = 'soon' WHERE position = 26", 26),
    ],
)
def test_the_first_position_that_does_not_fit_is_named(log: Path, statement: str, position: int) -> None:
    tamper(log, statement)
    report = verify(log)
    assert report.position == position
    assert report.problem


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER events_are_not_updated",
        "CREATE TRIGGER thief AFTER INSERT ON events BEGIN DELETE FROM streams; END",
    ],
)
def test_triggers_that_a_manager_did_not_leave_are_noticed(log: Path, statement: str) -> None:
    with closing(sqlite3.connect(log / "events.db", isolation_level=None)) as connection:
        connection.execute(statement)
    assert "trigger" in str(verify(log).problem)


def test_a_rewritten_chain_is_betrayed_by_a_checkpoint(log: Path) -> None:
    tamper(log, "UPDATE events SET data = replace(data, 'text', 'tixt') WHERE position = 17")
    rewrite_chain(log)
    assert verify(log).position == 26


def test_a_rewritten_chain_with_new_checkpoints_is_betrayed_by_one_kept_elsewhere(log: Path, tmp_path: Path) -> None:
    with EventStore.open(log) as store:
        kept = store.checkpoints(limit=1)
    tamper(log, "UPDATE events SET data = replace(data, 'text', 'tixt') WHERE position = 17", "DELETE FROM checkpoints")
    rewrite_chain(log)
    forger = Signer.open(tmp_path)
    with closing(sqlite3.connect(log / "events.db", isolation_level=None)) as connection:
        position, chain_hash = connection.execute("SELECT position, hash FROM events ORDER BY 1 DESC").fetchone()
        row = forger.row(position, chain_hash, kept[0].at)
        connection.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?)", row)
    assert verify(log).problem is None
    report = verify(log, kept=kept)
    assert report.position == EVENTS
    assert len(report.keys) == 2


def test_a_removed_tail_is_betrayed_by_a_checkpoint_kept_elsewhere(log: Path) -> None:
    with EventStore.open(log) as store:
        kept = store.checkpoints(limit=1)
    tamper(
        log,
        "DELETE FROM checkpoints WHERE position > 50",
        "DELETE FROM events WHERE position > 51",
        "UPDATE streams SET version = 17, sequence = 8",
    )
    assert verify(log).problem is None
    assert verify(log, kept=kept).position == 52


def test_a_checkpoint_is_checked_with_openssl_alone(log: Path, tmp_path: Path) -> None:
    with EventStore.open(log) as store:
        checkpoint = store.checkpoints(limit=1)[0]
    head = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"  # SubjectPublicKeyInfo of Ed25519
    pem = base64.encodebytes(head + bytes.fromhex(checkpoint.key)).decode()
    (tmp_path / "key.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----\n")
    (tmp_path / "text").write_text(checkpoint.text())
    (tmp_path / "signature").write_bytes(bytes.fromhex(checkpoint.signature))
    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in text -sigfile signature"
    try:
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl here")


def test_a_forged_checkpoint_is_not_genuine(log: Path) -> None:
    with EventStore.open(log) as store:
        checkpoint = store.checkpoints(limit=1)[0]
    assert checkpoint.is_genuine()
    fields = {name: getattr(checkpoint, name) for name in checkpoint.__struct_fields__}
    assert not Checkpoint(**{**fields, "position": 59}).is_genuine()
    assert not Checkpoint(**{**fields, "signature": "00" * 64}).is_genuine()
    assert not Checkpoint(**{**fields, "key": "no hex"}).is_genuine()


def test_flipped_bytes_in_the_file_never_pass(log: Path) -> None:
    path = log / "events.db"
    whole = path.read_bytes()
    texts = [offset for offset in range(len(whole)) if whole.startswith(b'"kind"', offset)]
    assert len(texts) >= EVENTS
    for offset in texts[::7]:
        path.write_bytes(whole[:offset] + b"o" + whole[offset + 1 :])
        assert verify(log).problem
    for page in range(1, len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + b"\xff" * 64 + whole[page * 4096 + 64 :])
        verify(log)  # a destroyed index page does not concern the facts; it must not raise in any case
    path.write_bytes(whole)
    assert verify(log).problem is None


def test_verify_works_beside_a_running_manager(
    store: EventStore, directory: Path, new: Facts, sent: MessageSent
) -> None:
    store.append("a", 0, [new(sent), new(sent)], snapshot=b"1").result()
    assert (verify(directory).problem, verify(directory).events) == (None, 2)
    store.append("a", 2, [new(sent)], snapshot=b"1").result()
    assert verify(directory).events == 3


def test_who_follows_a_stopped_log_sees_what_the_next_manager_writes(log: Path, new: Facts, sent: MessageSent) -> None:
    with LogReader.open(log, follow=True) as reader:
        assert len(reader.read(limit=EVENTS + 1)) == EVENTS
        with EventStore.open(log) as store:
            store.append("d", 0, [new(sent)], snapshot=b"1").result()
            assert [record.stream for record in reader.read(after=EVENTS)] == ["d"]
        assert [record.stream for record in reader.read(after=EVENTS)] == ["d"]


def test_verify_leaves_the_files_as_they_are(log: Path) -> None:
    before = {path.name: path.read_bytes() for path in log.iterdir()}
    verify(log)
    assert {path.name: path.read_bytes() for path in log.iterdir()} == before


def test_no_log_is_no_whole_log(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no event log"):
        verify(tmp_path)


def test_a_store_does_not_start_on_a_tail_that_does_not_fit(log: Path) -> None:
    tamper(
        log,
        "DELETE FROM checkpoints WHERE position > 50",
        "UPDATE events SET data = replace(data, 'text', 'tixt') WHERE position = 55",
    )
    with pytest.raises(LogCorrupt) as caught:
        EventStore.open(log)
    assert caught.value.position == 55


def test_a_store_does_not_start_when_its_last_events_are_gone(log: Path) -> None:
    tamper(log, "DELETE FROM checkpoints WHERE position > 50", "DELETE FROM events WHERE position > 55")
    with pytest.raises(LogCorrupt) as caught:
        EventStore.open(log)
    assert caught.value.position == 56


def test_a_file_that_is_no_database_is_called_corrupt(directory: Path) -> None:
    directory.mkdir()
    (directory / "events.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(LogCorrupt):
        EventStore.open(directory)


def test_an_older_manager_refuses_a_newer_schema_and_changes_nothing(log: Path) -> None:
    tamper(log, "PRAGMA user_version = 99")
    before = (log / "events.db").read_bytes()
    for attempt in (lambda: EventStore.open(log), lambda: verify(log)):
        with pytest.raises(LogTooNew, match="99"):
            attempt()
    assert (log / "events.db").read_bytes() == before


def test_an_older_manager_refuses_events_it_does_not_know(log: Path) -> None:
    tamper(log, "INSERT INTO vocabulary VALUES ('message.teleported', 1)")
    with pytest.raises(LogTooNew, match=r"message\.teleported"):
        EventStore.open(log)


def test_an_older_manager_refuses_a_newer_version_of_an_event(log: Path) -> None:
    tamper(log, "INSERT INTO vocabulary VALUES ('message.sent', 99)")
    with pytest.raises(LogTooNew, match="version 99"):
        EventStore.open(log)


def test_importing_verify_needs_no_running_store() -> None:
    code = "import sys, chatbot_erp.eventstore.verify; sys.exit('chatbot_erp.eventstore.writer' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
