"""The files of a store in a directory."""

from collections.abc import Callable
from pathlib import Path

from chatbot_erp.eventstore.events import MessageAccepted
from chatbot_erp.eventstore.store import EventStore, NewEvent

Facts = Callable[..., NewEvent]


def test_files_are_for_their_owner_only(directory: Path, store: EventStore) -> None:
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}.items() >= {
        "events.db": 0o600,
        "events.db-wal": 0o600,
        "checkpoint.key": 0o600,
    }.items()


def test_an_orderly_shutdown_leaves_no_write_ahead_file(directory: Path, new: Facts, accepted: MessageAccepted) -> None:
    with EventStore.open(directory) as store:
        store.append("a", 0, [new(accepted)], snapshot=b"1").result()
        store.head()
    assert sorted(path.name for path in directory.iterdir()) == ["checkpoint.key", "events.db", "keys.db"]
