"""Secrets and keys of subjects in PostgreSQL, in the schema `chatbot_erp_keys`."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg

from chatbot_erp.eventstore import postgres

_LOCK = "LOCK TABLE addresses, subjects, periods, erasures IN SHARE ROW EXCLUSIVE MODE"


class Rows:
    """What a statement found, as a cursor of SQLite tells it: nothing where it found nothing to tell."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self._rows = cursor.fetchall() if cursor.description else []
        self.rowcount = cursor.rowcount

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class KeysConnection:
    """What SubjectKeys and Vault take for the connection to their file; for any thread, one at a time.

    They use only what both databases understand, but for `?` and BEGIN IMMEDIATE. It fails as theirs would, with
    sqlite3.OperationalError, and opens another connection for the next call. Outside a transaction a call whose
    connection broke is made once more: each of theirs may be made twice.
    """

    def __init__(self, url: str, answer_s: float = postgres.ANSWER_S) -> None:
        self._url = url
        self._answer_s = answer_s
        self._connection: postgres.Connection | None = None
        self.in_transaction = False

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Rows:
        return self._once_more(lambda connection: Rows(self._execute(connection, statement, values)))

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]], /) -> None:
        for row in rows:
            self.execute(statement, row)

    def rollback(self) -> None:
        self.close()

    def close(self) -> None:
        """The next call opens it again."""
        self.in_transaction = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once_more(self, run: Callable[[postgres.Connection], Rows]) -> Rows:
        began_inside = self.in_transaction
        for is_last in (began_inside, True):
            try:
                if self._connection is None:
                    self._connection = postgres.connect(self._url, schema="chatbot_erp_keys", answer_s=self._answer_s)
                return run(self._connection)
            except psycopg.Error as ex:
                broken = self._connection is None or self._connection.closed
                self.close()
                if is_last or not broken:
                    raise sqlite3.OperationalError(postgres.reason_of(ex)) from None
        raise AssertionError("the last time ends it")

    def _execute(
        self, connection: postgres.Connection, statement: str, values: Sequence[Any]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        match statement:
            case "BEGIN IMMEDIATE":
                connection.execute("BEGIN")
                answer = connection.execute(_LOCK)
                self.in_transaction = True
            case "COMMIT":
                answer = connection.execute("COMMIT")
                self.in_transaction = False
            case _:
                answer = connection.execute(statement.replace("?", "%s").encode(), values)
        return answer
