"""Secrets that must be forgettable: in a file of their own, outside the log and outside its write-ahead file.

A deleted secret's bytes are overwritten (`secure_delete`), and the file is not in WAL mode, because a write-ahead file
would keep old pages for a while.
"""

import sqlite3
import threading
from pathlib import Path

from chatbot_erp.eventstore.database import create_private, unavailable
from chatbot_erp.eventstore.errors import LogTooNew, StoreClosed

FILE = "keys.db"
SCHEMA = 1


class Vault:
    """Secrets by (kind, owner). Any thread may call; each change is on disk when the call returns.

    Every method may raise StoreUnavailable, and StoreClosed after `close`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, directory: Path) -> "Vault":
        """The vault in `directory`, made if there is none. Raises LogTooNew, StoreUnavailable."""
        path = directory / FILE
        try:
            create_private(path)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as ex:
            raise unavailable(ex) from ex
        try:
            for pragma in ("journal_mode=DELETE", "synchronous=EXTRA", "secure_delete=ON", "trusted_schema=OFF"):
                connection.execute(f"PRAGMA {pragma}")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > SCHEMA:
                raise LogTooNew(f"{path} has schema {found}; this manager knows it up to {SCHEMA}.")
            connection.executescript(
                "BEGIN IMMEDIATE;"
                "CREATE TABLE IF NOT EXISTS secrets (kind TEXT NOT NULL, owner TEXT NOT NULL, secret BLOB NOT NULL,"
                " PRIMARY KEY (kind, owner)) STRICT, WITHOUT ROWID;"
                f"PRAGMA user_version = {SCHEMA}; COMMIT;"
            )
        except sqlite3.Error as ex:
            connection.close()
            raise unavailable(ex) from ex
        except LogTooNew:
            connection.close()
            raise
        return cls(connection)

    def put(self, kind: str, owner: str, secret: bytes, /) -> None:
        """Keep `secret`, in place of an earlier one."""
        self._execute("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?)", kind, owner, secret)

    def get(self, kind: str, owner: str, /) -> bytes | None:
        """The secret, or None."""
        found = self._execute("SELECT secret FROM secrets WHERE kind = ? AND owner = ?", kind, owner)
        return bytes(found[0][0]) if found else None

    def delete(self, kind: str, owner: str, /) -> bool:
        """Forget the secret for ever; whether there was one."""
        return bool(self._execute("DELETE FROM secrets WHERE kind = ? AND owner = ? RETURNING 1", kind, owner))

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _execute(self, statement: str, *values: str | bytes) -> list[tuple[bytes]]:
        with self._lock:
            if self._connection is None:
                raise StoreClosed
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as ex:
                raise unavailable(ex) from ex
