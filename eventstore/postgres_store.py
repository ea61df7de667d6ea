"""The event store, its log reader, its vault and its verification, in a PostgreSQL database."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from chatbot_erp.eventstore import postgres
from chatbot_erp.eventstore.checkpoints import Checkpoint, Signer
from chatbot_erp.eventstore.engine import Answer
from chatbot_erp.eventstore.errors import LogCorrupt, StoreUnavailable
from chatbot_erp.eventstore.lease import ALONE, Node
from chatbot_erp.eventstore.log_reader import LogReader
from chatbot_erp.eventstore.lookups import IN_A_DATABASE, Lookups
from chatbot_erp.eventstore.postgres_company import PostgresCompany
from chatbot_erp.eventstore.postgres_keys import KeysConnection
from chatbot_erp.eventstore.postgres_lease import LOOK_EVERY_S, Lost, Superseded, Tenure, take
from chatbot_erp.eventstore.postgres_transaction import can_be_looked_up
from chatbot_erp.eventstore.postgres_writer import Writer
from chatbot_erp.eventstore.store import EventStore, Settings
from chatbot_erp.eventstore.subject_keys import SubjectKeys
from chatbot_erp.eventstore.vault import Vault
from chatbot_erp.eventstore.walk import Progress, Report, Walk, check_tail
from chatbot_erp.eventstore.work import Bounds, Cadence

READERS = 3
"""Fewer than of a file: all nodes share what connections a server has."""


def open_store(
    url: str,
    directory: Path,
    settings: Settings | None = None,
    node: Node = ALONE,
    lost: Lost = lambda: None,
) -> EventStore:
    """The store in a database, made or migrated if need be, by the rules of lease.py.

    The key that signs checkpoints stays in `directory`: who can write to the database shall not be able to sign for it.
    `lost` is called, on some thread, when others took over what this node had.
    Raises LogTooNew, LogCorrupt, StoreUnavailable (`locked`: another manager's), StoreError.
    """
    wanted = settings or Settings()
    keys = SubjectKeys(KeysConnection(url, wanted.answer_s))

    def connect() -> postgres.Connection:
        connection = postgres.connect(url, patience_ms=wanted.patience_ms, answer_s=wanted.answer_s)
        try:
            ask = postgres.asking(connection)
            tenure.check(ask("standing_of_node", (node.name,)).fetchone())
            if node.movable:
                # Before anything is made of it that others' leases have lapsed: after an outage this one's has, too.
                tenure.renew(ask)
            postgres.own(connection, wanted.patience_ms, node)
            postgres.must_be_readable(connection)
            _check_end(connection)
            keys.forget()
        except BaseException:
            connection.close()
            raise
        return connection

    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = Signer.open(directory)
        node = msgspec.structs.replace(node, directory=signer.place(directory))
        tenure = _take(url, node, wanted)
    except OSError as ex:
        raise postgres.unavailable(ex) from ex
    except psycopg.Error as ex:
        raise postgres.meaning_of(ex) from ex
    writer = Writer(
        connect,
        signer,
        Bounds(wanted.queue, wanted.group, wanted.patience_ms),
        Cadence(wanted.checkpoint_events, wanted.checkpoint_period, wanted.checkpoint_quiet),
        tenure,
        lost,
        keys.notice,
    )
    readers = postgres.Readers(lambda: postgres.connect(url, answer_s=wanted.answer_s), READERS)
    # Before the writer, which may have to wait: the lease is renewed from here on.
    company = PostgresCompany(
        tenure, writer, readers, lambda: postgres.connect(url, answer_s=wanted.answer_s), keys.notice
    )
    try:
        writer.start()
    except BaseException as ex:
        company.close()
        readers.close()
        if isinstance(ex, psycopg.Error):
            raise postgres.meaning_of(ex) from ex
        if isinstance(ex, Superseded):
            raise StoreUnavailable("locked", "another manager was faster") from None
        raise
    return EventStore(writer, readers, keys, company)


def _take(url: str, node: Node, wanted: Settings) -> Tenure:
    """Raises StoreError, psycopg.Error."""

    def connect() -> postgres.Connection:
        return postgres.connect(url, patience_ms=wanted.patience_ms, answer_s=wanted.answer_s)

    with closing(connect()) as connection:
        _bring_up_to_date(connection, wanted.patience_ms)
    with closing(connect()) as connection:
        return take(connection, node, wanted.patience_ms / 1000)


def _bring_up_to_date(connection: postgres.Connection, patience_ms: int) -> None:
    """Not while a manager of an older version works with it: StoreUnavailable. Raises also LogTooNew, psycopg.Error.

    Of nodes that begin together one does it, and may work when the others see that it is done.
    """
    deadline = time.monotonic() + patience_ms / 1000
    while not postgres.is_up_to_date(connection):
        try:
            postgres.own(connection, patience_ms=0)
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_EVERY_S)
        else:
            postgres.migrate(connection)


def open_vault(url: str) -> Vault:
    """The secrets in a database, made or migrated if need be.

    Raises LogTooNew, StoreUnavailable (`locked`: managers of an older version work there), StoreError.
    """
    try:
        with closing(postgres.connect(url)) as connection:
            _bring_up_to_date(connection, postgres.PATIENCE_MS)
    except psycopg.Error as ex:
        raise postgres.meaning_of(ex) from ex
    return Vault(KeysConnection(url))


def open_log(url: str) -> LogReader:
    """For looking only. Raises StoreError where there is no log that can be opened, LogTooNew for a newer one."""
    try:
        with closing(postgres.connect(url)) as connection:
            postgres.must_be_readable(connection)
    except psycopg.Error as ex:
        raise postgres.meaning_of(ex) from ex
    readers = postgres.Readers(lambda: postgres.connect(url), 1)

    return LogReader(_Reading(readers), SubjectKeys(KeysConnection(url)), readers.close)


class _Reading:
    """Each statement on a connection that is opened again where it broke."""

    def __init__(self, readers: postgres.Readers) -> None:
        self._readers = readers

    def __call__(self, name: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> Answer:
        return self._readers.run(lambda ask: ask(name, values))

    def rows(self, name: str, flat: list[Any], /) -> Any:
        return self._readers.run(lambda ask: ask.rows(name, flat))


def verify(url: str, *, kept: Iterable[Checkpoint] = (), progress: Progress | None = None) -> Report:
    """As verify.py's, of a database. Raises LogTooNew, and StoreError where there is no log that can be opened."""
    try:
        with closing(postgres.connect(url)) as connection:
            postgres.must_be_readable(connection)
            return _walk(connection, kept, progress)
    except psycopg.Error as ex:
        raise postgres.meaning_of(ex) from ex


def _walk(connection: postgres.Connection, kept: Iterable[Checkpoint], progress: Progress | None) -> Report:
    ask = postgres.asking(connection)
    walk = Walk(ask, Lookups(ask, IN_A_DATABASE, can_be_looked_up))
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        walk.prepare(kept)
        walk.count()
        _compare_head(connection)
        connection.execute("COMMIT")
        walk.events(progress, walk.head)
        walk.end()
    except LogCorrupt as ex:
        return walk.report(ex.position, str(ex))
    return walk.report(None, None)


def _check_end(connection: postgres.Connection) -> None:
    """What came after the last checkpoint, and the head row. Raises LogCorrupt, psycopg.Error."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        check_tail(postgres.asking(connection))
        _compare_head(connection)


def _compare_head(connection: postgres.Connection) -> None:
    """New events are chained onto the head row: it must be the last event. Raises LogCorrupt, psycopg.Error."""
    last = postgres.asking(connection)("head").fetchone()
    head = connection.execute("SELECT position, hash FROM head").fetchone()
    if (last and last[:2]) != (head if head and head[0] else None):
        raise LogCorrupt("The head row is not the last event of the log.", last[0] + 1 if last else 1)
