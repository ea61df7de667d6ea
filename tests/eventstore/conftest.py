"""A store in a directory of its own, and facts to put into it."""

import itertools
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from chatbot_erp.eventstore.events import (
    Event,
    InstanceCreated,
    MessageAccepted,
    MessageSent,
    WebhookDelivered,
)
from chatbot_erp.eventstore.places import verify
from chatbot_erp.eventstore.postgres_store import open_store as open_postgres
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings
from chatbot_erp.eventstore.walk import Report
from node_stores import Direct

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

Facts = Callable[..., NewEvent]
Hold = Callable[[EventStore, threading.Event], None]


class OpenStore(Protocol):
    def __call__(self, settings: Settings | None = None, /) -> EventStore: ...


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """Where the stores of a test are; SQLite unless it is parametrised."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def open_store(engine: str, directory: Path, request: pytest.FixtureRequest) -> OpenStore:
    """Opens the test's store, again after it was closed."""
    if engine == "sqlite":
        return lambda settings=None: EventStore.open(directory, settings)
    database = request.getfixturevalue("database")
    return lambda settings=None: open_postgres(database, directory, settings)


@pytest.fixture
def check(engine: str, directory: Path, request: pytest.FixtureRequest) -> Callable[[], Report]:
    """Verifies the test's log."""
    place = directory if engine == "sqlite" else request.getfixturevalue("database")
    return lambda: verify(place)


@pytest.fixture
def edit(engine: str, directory: Path, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Has a statement run behind the manager's back."""
    if engine == "sqlite":
        return lambda statement: _edit_file(directory, statement)
    database = request.getfixturevalue("database")
    return lambda statement: _edit_database(database, statement)


def _edit_file(directory: Path, statement: str) -> None:
    with closing(sqlite3.connect(directory / "events.db", isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount != 0


def _edit_database(database: str, statement: str) -> None:
    with psycopg.connect(database, options="-c search_path=chatbot_erp") as connection:
        assert connection.execute(statement.encode()).rowcount != 0


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[EventStore]:
    with open_store() as store:
        yield store


@pytest.fixture
def new() -> Facts:
    """A fact that nobody recorded before, a second after the last one."""
    seconds = itertools.count()

    def make(event: Event) -> NewEvent:
        recorded_at = NOON + timedelta(seconds=next(seconds))
        return NewEvent(id=str(uuid.uuid4()), event=event, recorded_at=recorded_at)

    return make


@pytest.fixture
def created() -> Callable[[str], InstanceCreated]:
    return lambda name: InstanceCreated(name=name, webhook_url="http://127.0.0.1:9/", session_from=None)


@pytest.fixture
def accepted() -> MessageAccepted:
    """A fact that no webhook is told."""
    return MessageAccepted(command_id="c-1", number="5511999999999", kind="text", text="Olá")


@pytest.fixture
def sent() -> MessageSent:
    """A fact that the webhook is told."""
    return MessageSent(
        command_id="c-1",
        message_id="3EB0",
        jid="5511999999999@s.whatsapp.net",
        kind="text",
        text="Olá",
        sent_at=NOON,
    )


@pytest.fixture
def delivered() -> Callable[[int], WebhookDelivered]:
    return lambda sequence: WebhookDelivered(sequence=sequence, attempts=1, http_status=200)


@pytest.fixture
def hold() -> Hold:
    """Have a store's writer stand still until an event is set."""

    def begin(store: EventStore, end: threading.Event) -> None:
        ours, stands = threading.current_thread(), threading.Event()

        def stand(_: object) -> None:
            # A callback that comes too late for the writer's thread runs at once, on ours.
            if threading.current_thread() is not ours:
                stands.set()
                end.wait(60)

        while not stands.is_set():
            errand = store.prune_attempts(NOON)
            errand.add_done_callback(stand)
            wait([errand])  # its result would be told behind the callback

    return begin


@pytest.fixture
def direct(database: str) -> Iterator[Direct]:
    """Runs a statement past the store."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET search_path = chatbot_erp")
        yield lambda statement: connection.execute(statement.encode())
