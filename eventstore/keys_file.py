"""The file `keys.db`: secrets that must be forgettable, outside the log and outside its write-ahead file.

Deleted bytes are overwritten (`secure_delete`), and the file is not in WAL mode, because a write-ahead file would keep
old pages for a while. It is the only place that says which number is which subject.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

from chatbot_erp.eventstore.database import FILE as LOG
from chatbot_erp.eventstore.database import create_private, open_readable, unavailable
from chatbot_erp.eventstore.engine import Answer
from chatbot_erp.eventstore.errors import KeysMissing, LogTooNew, StoreUnavailable

FILE = "keys.db"
SCHEMA = 2
PATIENCE_S = 10.0

_TABLES = """
CREATE TABLE IF NOT EXISTS secrets (
    kind TEXT NOT NULL, owner TEXT NOT NULL, secret BLOB NOT NULL, PRIMARY KEY (kind, owner)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS addresses (address TEXT PRIMARY KEY, person TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS addresses_by_person ON addresses (person);
CREATE TABLE IF NOT EXISTS subjects (subject TEXT PRIMARY KEY, person TEXT NOT NULL, key BLOB NOT NULL)
STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS subjects_by_person ON subjects (person);
CREATE TABLE IF NOT EXISTS periods (period TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasures (id TEXT PRIMARY KEY, at TEXT NOT NULL, erased TEXT NOT NULL)
STRICT, WITHOUT ROWID;
"""

_LEFT_HERE, _LEFT_TO_WHOEVER = '"left":{"here":', '"left":{"":'
"""How an earlier manager called the one machine there is. In a database, where this may go, a node may have that name."""


class Connection(Protocol):
    """What SubjectKeys and Vault need of a connection. It speaks SQLite's dialect and raises sqlite3.Error."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Answer: ...

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]], /) -> Any: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


def open_keys(directory: Path) -> sqlite3.Connection:
    """The file in `directory`, made or migrated if need be; for any thread, one at a time.

    Raises KeysMissing (nothing is made), LogTooNew, StoreUnavailable.
    """
    path = directory / FILE
    must_not_be_missing(directory)
    try:
        create_private(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE_S)
    except (OSError, sqlite3.Error) as ex:
        raise unavailable(ex) from ex
    try:
        for pragma in ("journal_mode=DELETE", "synchronous=EXTRA", "secure_delete=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        if _schema_of(connection, path) < SCHEMA:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
        if connection.execute("SELECT 1 FROM erasures WHERE instr(erased, ?)", (_LEFT_HERE,)).fetchone():
            connection.execute("UPDATE erasures SET erased = replace(erased, ?, ?)", (_LEFT_HERE, _LEFT_TO_WHOEVER))
    except sqlite3.Error as ex:
        connection.close()
        raise unavailable(ex) from ex
    except LogTooNew:
        connection.close()
        raise
    return connection


def must_not_be_missing(directory: Path) -> None:
    """Raises KeysMissing where there is no file of keys and the log beside it has boxes that were locked with some."""
    log = directory / LOG
    if (directory / FILE).exists() or not log.exists():
        return
    # Whatever keeps the log from being read is told by who opens it.
    with suppress(sqlite3.Error), closing(open_readable(log)) as connection:
        if connection.execute("SELECT 1 FROM events WHERE instr(data, '\"sealed\":{') LIMIT 1").fetchone():
            raise KeysMissing(
                f"{directory / FILE} is missing, without which nobody can read what people said in the log."
            )


def open_keys_to_read(directory: Path) -> sqlite3.Connection | None:
    """The file as it is; None where there is none that has keys of subjects. Raises LogTooNew, StoreUnavailable."""
    path = directory / FILE
    if not path.is_file():
        return None
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=PATIENCE_S)
        found = _schema_of(connection, path)
    except sqlite3.Error as ex:
        if path.with_name(path.name + "-journal").exists():
            raise StoreUnavailable(
                "io", "a change of keys.db was cut off; the next start of the manager mends it"
            ) from ex
        raise unavailable(ex) from ex
    if found < SCHEMA:
        connection.close()
        return None
    return connection


def _schema_of(connection: sqlite3.Connection, path: Path) -> int:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA:
        connection.close()
        raise LogTooNew(f"{path} has schema {found}; this manager knows it up to {SCHEMA}.")
    return int(found)
