"""The log for those who only look: of a running manager as well as of a stopped one, without a trace."""

import sqlite3
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from chatbot_erp.eventstore import reader
from chatbot_erp.eventstore.database import FILE, is_at_rest, must_be_readable, open_at_rest, open_readable
from chatbot_erp.eventstore.errors import StoreError, StoreUnavailable
from chatbot_erp.eventstore.records import Recorded


class LogReader:
    """For one thread. Changes nothing in the directory; `EventStore` reads in the same words."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, directory: Path) -> "LogReader":
        """Raises StoreError where there is no log that can be opened, LogTooNew for one of a newer manager."""
        path = directory / FILE
        if not path.is_file():
            raise StoreError(f"There is no event log in {directory}.")
        try:
            connection = open_at_rest(path) if is_at_rest(path) else open_readable(path)
        except sqlite3.Error as ex:
            raise StoreUnavailable("io", str(ex)) from ex
        try:
            must_be_readable(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def read(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        stream: str | None = None,
        types: Collection[str] = (),
        until: int | None = None,
    ) -> list[Recorded]:
        """As `EventStore.read`."""
        return reader.read(self._connection, after, until, limit, stream, types)

    def head(self) -> int:
        """As `EventStore.head`."""
        return reader.head(self._connection)

    def streams_named(self, name: str) -> list[str]:
        """As `EventStore.streams_named`."""
        return reader.streams_named(self._connection, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
