"""The log for those who only look: of a running manager as well as of a stopped one, without a trace."""

import sqlite3
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from chatbot_erp.eventstore import reader
from chatbot_erp.eventstore.database import (
    FILE,
    corrupt,
    is_at_rest,
    is_corruption,
    must_be_readable,
    open_at_rest,
    open_readable,
    unavailable,
)
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.erasures import Erasure, Person
from chatbot_erp.eventstore.errors import NoLog
from chatbot_erp.eventstore.keys_file import must_not_be_missing
from chatbot_erp.eventstore.keys_fit import must_fit
from chatbot_erp.eventstore.records import Recorded
from chatbot_erp.eventstore.sealing import Sealer
from chatbot_erp.eventstore.sql import asking
from chatbot_erp.eventstore.subject_keys import SubjectKeys


class LogReader:
    """For one thread. Changes nothing in the log; `EventStore` reads in the same words."""

    def __init__(self, ask: Ask, keys: SubjectKeys, close: Callable[[], None]) -> None:
        self._ask = ask
        self._keys = keys
        self._close = close
        self._sealer = Sealer(keys)

    @classmethod
    def open(cls, directory: Path, *, follow: bool = False) -> "LogReader":
        """With `follow` it also sees what a manager writes that is started later, and makes the files for that.

        Raises NoLog, StoreError where it cannot be opened, LogTooNew for one of a newer manager.
        """
        path = directory / FILE
        if not path.is_file():
            raise NoLog(f"There is no event log in {directory}.")
        try:
            connection = open_at_rest(path) if is_at_rest(path) and not follow else open_readable(path)
        except sqlite3.Error as ex:
            raise unavailable(ex) from ex
        try:
            must_be_readable(connection)
            keys = SubjectKeys.open_to_read(directory)
        except sqlite3.Error as ex:
            connection.close()
            raise (corrupt(ex) if is_corruption(ex) else unavailable(ex)) from ex
        except BaseException:
            connection.close()
            raise
        return cls(asking(connection), keys, connection.close)

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
        return reader.read(self._ask, self._sealer, after, until, limit, stream, types)

    def last_until(self, stream: str, at: datetime) -> int:
        """As `EventStore.last_until`."""
        return reader.last_until(self._ask, stream, at)

    def read_sealed(self, subjects: Collection[str], *, after: int, until: int, limit: int) -> list[Recorded]:
        """As `EventStore.read_sealed`."""
        return reader.read_sealed(self._ask, self._sealer, subjects, after, until, limit)

    def person(self, addresses: Iterable[str]) -> Person:
        """As `Subjects.person`."""
        return self._keys.person(addresses)

    def unfinished_erasures(self) -> list[Erasure]:
        """As `Subjects.unfinished`."""
        return self._keys.unfinished_erasures()

    def head(self) -> int:
        """As `EventStore.head`."""
        return reader.head(self._ask)

    def streams_named(self, name: str) -> list[str]:
        """As `EventStore.streams_named`."""
        return reader.streams_named(self._ask, name)

    def must_have_its_keys(self, directory: Path) -> None:
        """Raises KeysMissing, and KeysOutdated where keys.db there is older than the log."""
        must_not_be_missing(directory)
        must_fit(self._ask, self._keys, directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None) -> None:
        self._close()
        self._keys.close()
