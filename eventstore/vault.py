"""Secrets that are looked up by name, in the file of keys_file.py."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

from chatbot_erp.eventstore.database import unavailable
from chatbot_erp.eventstore.errors import StoreClosed
from chatbot_erp.eventstore.keys_file import Connection, open_keys


class Vault:
    """Secrets by (kind, owner). Any thread may call; each change is on disk when the call returns.

    Every method may raise StoreUnavailable, and StoreClosed after `close`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, directory: Path) -> "Vault":
        """The vault in `directory`, made if there is none. Raises KeysMissing, LogTooNew, StoreUnavailable."""
        return cls(open_keys(directory))

    def put(self, kind: str, owner: str, secret: bytes, /) -> None:
        """Keep `secret`, in place of an earlier one."""
        self._execute(
            "INSERT INTO secrets VALUES (?, ?, ?) ON CONFLICT (kind, owner) DO UPDATE SET secret = excluded.secret",
            kind,
            owner,
            secret,
        )

    def get(self, kind: str, owner: str, /) -> bytes | None:
        """The secret, or None."""
        found = self._execute("SELECT secret FROM secrets WHERE kind = ? AND owner = ?", kind, owner)
        return bytes(found[0][0]) if found else None

    def all(self, kind: str, /) -> dict[str, bytes]:
        """Every secret of a kind, by owner and in the order of owners."""
        return {
            str(owner): bytes(secret)
            for owner, secret in self._execute("SELECT owner, secret FROM secrets WHERE kind = ? ORDER BY owner", kind)
        }

    def delete(self, kind: str, owner: str, /) -> bool:
        """Forget the secret for ever; whether there was one."""
        return bool(self._execute("DELETE FROM secrets WHERE kind = ? AND owner = ? RETURNING 1", kind, owner))

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _execute(self, statement: str, *values: str | bytes) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._connection is None:
                raise StoreClosed
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as ex:
                raise unavailable(ex) from ex
