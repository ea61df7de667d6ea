"""Moving a data directory's log, keys and secrets into an empty database. It may be cut off and begun again.

Events go page by page, each page with the head row behind it; what changes later (projections, claims, keys) follows in
one transaction at the end. Until then no manager starts on the database. The directory keeps its sessions, its signing
key and, untouched, all that was moved.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from filelock import FileLock, Timeout

from chatbot_erp.eventstore import postgres, postgres_store
from chatbot_erp.eventstore import verify as files
from chatbot_erp.eventstore.database import FILE, migrate, open_writable, sync_directory, sync_file, unavailable
from chatbot_erp.eventstore.errors import LogCorrupt, StoreError
from chatbot_erp.eventstore.keys_file import open_keys
from chatbot_erp.eventstore.places import MOVED
from chatbot_erp.eventstore.postgres_transaction import LONGEST_ID
from chatbot_erp.eventstore.sql import QUERIES
from chatbot_erp.eventstore.walk import Progress, Report

PAGE = 5_000

_TABLES = ("streams", "names", "deliveries", "dead_letters", "outages", "attempts", "claims", "vocabulary")
_KEY_TABLES = ("secrets", "addresses", "subjects", "periods", "erasures")
_MESSAGES = """
SELECT DISTINCT ids.value, position
FROM events, json_each(json_array(json_extract(data, '$.messageId'), json_extract(data, '$.commandId'))) AS ids
WHERE position > ? AND position <= ? AND +events.type GLOB 'message.*' AND ids.value <> ''
  AND length(ids.value) <= ? AND instr(ids.value, char(0)) = 0
"""

_NUMBERED = ("number",)
"""Columns that the database fills in by itself."""


def move(directory: Path, url: str, progress: Progress | None = None) -> Report:
    """Copy everything and verify both ends; what was found in the database.

    Raises StoreError: while a manager runs, where the log is not whole, where the database holds another one.
    """
    try:
        with FileLock(directory / "manager.lock", timeout=0):
            before = files.verify(directory)
            if before.problem is not None:
                raise LogCorrupt(f"The log in {directory} is not whole: {before.problem}", before.position)
            if before.events == 0:
                raise StoreError(f"There is nothing to move in {directory}.")
            _copy(directory, url, before, progress)
            after = postgres_store.verify(url)
            if (after.problem, after.events, after.hash) != (None, before.events, before.hash):
                raise LogCorrupt(
                    f"The log in the database is not the one of {directory}: {after.problem}", after.position
                )
            marker = directory / MOVED
            marker.write_text(f"{after.events} events, hash {after.hash}\n")
            sync_file(marker)
            sync_directory(directory)
            return after
    except Timeout:
        raise StoreError(f"A manager works in {directory}: stop it first.") from None
    except psycopg.Error as ex:
        raise postgres.meaning_of(ex) from ex
    except (OSError, sqlite3.Error) as ex:
        raise unavailable(ex) from ex


def _copy(directory: Path, url: str, wanted: Report, progress: Progress | None) -> None:
    with (
        closing(open_writable(directory / FILE, 0)) as source,
        closing(open_keys(directory)) as keys,
        closing(postgres.connect(url)) as target,
    ):
        migrate(source)
        postgres.own(target)
        postgres.migrate(target)
        arrived = _arrived(source, target)
        if arrived is None:
            return
        while arrived < wanted.events:
            arrived = _copy_events(source, target, arrived)
            if progress is not None:
                progress(arrived, wanted.events)
        _copy_the_rest(source, keys, target)


def _arrived(source: sqlite3.Connection, target: postgres.Connection) -> int | None:
    """How many events are there already; None where everything is. Raises StoreError where they are other events."""
    row = target.execute("SELECT position, hash, arriving FROM head").fetchone()
    assert row is not None, "the head row is made with its table"
    position, chain_hash, arriving = row
    if position == 0 or arriving:
        _must_have_no_keys(target)
    if position == 0 and not arriving:
        target.execute("UPDATE head SET arriving = true")
        return 0
    found = source.execute(QUERIES["hash_at"], (position,)).fetchone()
    if position and found != (chain_hash,):
        raise StoreError("The database holds the log of another installation. Nothing was changed.")
    if arriving:
        return int(position)
    (last,) = source.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
    if position != last:
        raise StoreError("The database holds the beginning of this log and a manager has used it. Nothing was changed.")
    return None


def _must_have_no_keys(target: postgres.Connection) -> None:
    for table in _KEY_TABLES:
        if target.execute(f"SELECT 1 FROM chatbot_erp_keys.{table} LIMIT 1".encode()).fetchone() is not None:
            raise StoreError(
                f"The database holds no log, but keys or secrets already (chatbot_erp_keys.{table}). Nothing was changed:"
                " move into an empty database."
            )


def _copy_events(source: sqlite3.Connection, target: postgres.Connection, after: int) -> int:
    page = source.execute(QUERIES["read_log"], {"after": after, "until": after + PAGE, "limit": PAGE}).fetchall()
    position, recorded_at, chain_hash = page[-1][0], page[-1][7], page[-1][9]
    with target.transaction():
        columns = [list(column) for column in zip(*page, strict=True)]
        ask = postgres.asking(target)
        ask("insert_events", columns)
        ask.rows(
            "insert_messages",
            [value for row in source.execute(_MESSAGES, (after, position, LONGEST_ID)) for value in row],
        )
        target.execute(
            "UPDATE head SET position = %s, hash = %s, recorded_at = %s", (position, chain_hash, recorded_at)
        )
    return int(position)


def _copy_the_rest(source: sqlite3.Connection, keys: sqlite3.Connection, target: postgres.Connection) -> None:
    with target.transaction():
        for table in _TABLES:
            _copy_table(source, target, table, table)
        _copy_table(source, target, "checkpoints", "checkpoints")
        for table in _KEY_TABLES:
            _copy_table(keys, target, table, f"chatbot_erp_keys.{table}")
        target.execute(
            "UPDATE head SET arriving = false,"
            " checkpoint = coalesce((SELECT max(position) FROM checkpoints), 0),"
            " checkpoint_at = (SELECT at FROM checkpoints ORDER BY position DESC LIMIT 1)"
        )


def _copy_table(source: sqlite3.Connection, target: postgres.Connection, table: str, into: str) -> None:
    found = source.execute(f"SELECT * FROM {table} ORDER BY 1")
    columns = [column[0] for column in found.description if column[0] not in _NUMBERED]
    skipped = len(found.description) - len(columns)
    rows: Iterator[Any] = (row[skipped:] for row in found)
    with target.cursor() as cursor, cursor.copy(f"COPY {into} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(tuple(_storable(value) for value in row))


def _storable(value: Any) -> Any:
    """PostgreSQL's text has no NUL; an answer of a receiver in SQLite may."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
