"""The file `events.db`: how it is made, opened, migrated and read. Errors of SQLite get their meaning here."""

import errno
import os
import sqlite3
from pathlib import Path

from chatbot_erp.eventstore.codec import CODEC
from chatbot_erp.eventstore.errors import LogCorrupt, LogTooNew, StoreError, StoreUnavailable, Trouble
from chatbot_erp.eventstore.sql import MIGRATIONS, QUERIES

FILE = "events.db"
OLDEST_SQLITE = (3, 37, 0)
SQLITE_CONSTRAINT_DATATYPE = 3091
"""A name that Python's sqlite3 does not have."""

# A checkpoint stops the writer for the pages it moves and two syncs. 8000 pages (32 MiB) let it meet pages that were
# written many times only once; 1000, the default, cost a quarter of the appends.
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "journal_size_limit=67108864",
    "wal_autocheckpoint=8000",
)


def create_private(path: Path) -> None:
    """Make an empty file of mode 0600 where there is none, its directory with 0700. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Make what is in the file survive a power cut. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power cut. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_writable(path: Path, patience_ms: int) -> sqlite3.Connection:
    """The one connection that writes; a lock of another program is waited for up to `patience_ms`.

    Raises sqlite3.Error. The caller migrates.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=patience_ms / 1000)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_readable(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, for any thread, one at a time. Raises sqlite3.Error."""
    return _open_by_uri(f"{path.absolute().as_uri()}?mode=ro")


def open_at_rest(path: Path) -> sqlite3.Connection:
    """A connection to a file that nobody has open: makes no files beside it. Raises sqlite3.Error."""
    return _open_by_uri(f"{path.absolute().as_uri()}?mode=ro&immutable=1")


def is_at_rest(path: Path) -> bool:
    """Whether no writer has the file open or left work behind."""
    return not path.with_name(path.name + "-wal").exists()


def _open_by_uri(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, a migration per transaction. Raises LogTooNew (nothing is changed), sqlite3.Error."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; at least 3.37 is needed.")
    found = must_be_readable(connection)
    for number, script in enumerate(MIGRATIONS[found:], start=found + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            connection.rollback()
            raise


def must_be_readable(connection: sqlite3.Connection) -> int:
    """The schema's number. Raises LogTooNew where the schema or a stored event is newer than this manager."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > len(MIGRATIONS):
        raise LogTooNew(
            f"The event log has schema {found}; this manager knows it up to {len(MIGRATIONS)}. Nothing was changed."
        )
    if found > 0:
        for name, schema in connection.execute(QUERIES["vocabulary"]):
            CODEC.must_know(name, schema)
    return int(found)


def trouble_of(ex: Exception) -> Trouble:
    """What kind of obstacle a failed write met."""
    code = getattr(ex, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (isinstance(ex, OSError) and ex.errno in (errno.ENOSPC, errno.EDQUOT)):
        return "full"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "locked"
    return "io"


def unavailable(ex: Exception) -> StoreUnavailable:
    """The error for callers; a new one for each, because whoever raises it writes into its traceback."""
    return StoreUnavailable(trouble_of(ex), str(ex))


def is_known_event(ex: Exception) -> bool:
    """Whether an insert failed because the log has an event with that id."""
    return isinstance(ex, sqlite3.IntegrityError) and ex.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE


def is_bad_data(ex: Exception) -> bool:
    """Whether a statement failed because of its values: only their caller is to blame, the connection is well."""
    if isinstance(ex, sqlite3.IntegrityError):
        return ex.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_NOTNULL, SQLITE_CONSTRAINT_DATATYPE)
    if isinstance(ex, sqlite3.Error):
        return isinstance(ex, (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError))
    return True


def is_corruption(ex: Exception) -> bool:
    """Whether SQLite says that the file is damaged, which no waiting cures."""
    return getattr(ex, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def corrupt(ex: Exception) -> LogCorrupt:
    """The error that says so."""
    return LogCorrupt(f"SQLite cannot read the event log: {ex}.")
