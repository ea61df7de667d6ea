"""Whoever edits what events are found by is betrayed by `verify`, though every event is as it was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot_erp.eventstore import verify as files
from chatbot_erp.eventstore.events import InstanceCreated, MessageAccepted, MessageSent, PingSent
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.walk import Report

Facts = Callable[..., NewEvent]
OpenStore = Callable[[], EventStore]
engines = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def log(
    open_store: OpenStore,
    new: Facts,
    created: Callable[[str], InstanceCreated],
    accepted: MessageAccepted,
    sent: MessageSent,
) -> None:
    """Two instances of one name, 600 events each: a file has its tables for the first 1024."""
    with open_store() as store:
        for stream in "ab":
            events = [created("empresa_x"), accepted, sent, *[PingSent(message_id="3EB1")] * 597]
            store.append(stream, 0, [new(event) for event in events], snapshot=b"1").result()


@engines
@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE names SET stream = 'a' WHERE position = 601", "names is not right about position 601"),
        ("DELETE FROM names WHERE position = 1", "names is not right about position 1"),
        (
            "INSERT INTO names (name, position, stream) VALUES ('empresa_y', 7, 'a')",
            "names is not right about position 7",
        ),
        ("INSERT INTO names (name, position, stream) VALUES ('empresa_y', 1201, 'a')", "names has 3 entries"),
    ],
)
def test_a_name_that_leads_elsewhere_is_noticed(
    log: None, check: Callable[[], Report], edit: Callable[[str], None], statement: str, found: str
) -> None:
    assert check().problem is None
    edit(statement)
    report = check()
    assert found in str(report.problem)
    assert (report.events, report.position) == (1200, None)


def test_a_file_that_hides_events_or_passes_them_off_as_others_is_noticed(
    log: None, directory: Path, edit: Callable[[str], None]
) -> None:
    whole = (directory / "events.db").read_bytes()
    for statement, found in (
        ("DELETE FROM message_positions WHERE position = 602", "messages is not right about position 602"),
        ("UPDATE message_positions SET message = 'x' WHERE position = 602", "messages is not right about position 602"),
        ("UPDATE message_positions SET block = 1 WHERE position = 602", "messages is not right about position 602"),
        ("UPDATE message_positions SET position = 7 WHERE position = 602", "messages is not right about position 602"),
        ("INSERT INTO message_positions VALUES (0, 'c-1', 7)", "messages has 7 entries"),
        ("INSERT INTO message_positions VALUES (7, 'c-1', 602)", "messages has 7 entries"),
        ("DELETE FROM stream_positions WHERE stream = 'b'", "streams is not right about position 601"),
        ("DELETE FROM stream_positions WHERE position = 17", "streams is not right about position 17"),
        ("UPDATE stream_positions SET stream = 'b' WHERE position = 17", "streams is not right about position 17"),
        ("INSERT INTO stream_positions VALUES ('z', 17)", "streams has 1025 entries"),
        ("INSERT INTO stream_positions VALUES ('a', 1025)", "streams has 1025 entries"),
    ):
        (directory / "events.db").write_bytes(whole)
        edit(statement)
        assert found in str(files.verify(directory).problem), statement


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_database_that_hides_messages_is_noticed(
    log: None, check: Callable[[], Report], edit: Callable[[str], None]
) -> None:
    for statement, found in (
        ("INSERT INTO messages VALUES ('c-1', 7)", "messages has 7 entries"),
        (
            "UPDATE messages SET message = 'x' WHERE position = 603 AND message = 'c-1'",
            "messages is not right about position 603",
        ),
        ("DELETE FROM messages WHERE position = 602", "messages is not right about position 602"),
    ):
        edit(statement)
        assert found in str(check().problem), statement


@pytest.mark.parametrize("position", [17, 602, 1017])
def test_two_processes_find_what_one_finds(
    log: None, directory: Path, edit: Callable[[str], None], position: int
) -> None:
    edit(f"DELETE FROM stream_positions WHERE position = {position}")
    report = files.verify(directory, alone=10)
    assert f"position {position}." in str(report.problem)
    assert report == files.verify(directory)


def test_an_event_that_does_not_fit_is_named_before_an_index_that_does_not(
    log: None, directory: Path, edit: Callable[[str], None]
) -> None:
    edit("DELETE FROM stream_positions WHERE position = 17")
    edit("DROP TRIGGER events_are_not_updated")
    edit("UPDATE events SET data = '{}' WHERE position = 1100")
    assert files.verify(directory).position == 1100


def test_a_log_of_before_messages_were_indexed_is_whole(
    log: None, open_store: OpenStore, directory: Path, edit: Callable[[str], None]
) -> None:
    edit("DROP TABLE message_positions")
    edit("PRAGMA user_version = 5")
    assert (files.verify(directory).problem, files.verify(directory, alone=10).events) == (None, 1200)
    with open_store() as store:
        assert [found.position for found in store.about("b", "3EB0")] == [603]
    assert files.verify(directory).problem is None


@engines
def test_ids_that_no_manager_would_choose_are_nothing_strange(
    open_store: OpenStore, check: Callable[[], Report], new: Facts, sent: MessageSent
) -> None:
    strange = ["", "a\0b", "a", "\0b", "\0", "x" * 3000, "ção 👍", '"\\\n', "c-1"]
    with open_store() as store:
        events = [_of(sent, message, command) for message in strange for command in strange]
        for version in range(0, 1134, 81):
            store.append("a", version, [new(event) for event in events], snapshot=b"1").result()
    report = check()
    assert (report.problem, report.events) == (None, 1134)


def _of(sent: MessageSent, message_id: str, command_id: str) -> MessageSent:
    return MessageSent(
        command_id=command_id,
        message_id=message_id,
        jid=sent.jid,
        kind=sent.kind,
        text=sent.text,
        sent_at=sent.sent_at,
    )
