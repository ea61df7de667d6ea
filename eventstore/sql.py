"""The statements of queries.sql and the numbered migrations, as data.

Inserting a hundred rows as a hundred statements would give the interpreter lock away a hundred times, and each time
wait for it behind all other threads. `Rows` therefore sends many rows as one statement, in a few fixed sizes so that
every form of it stays prepared.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from chatbot_erp.eventstore.engine import Ask

HERE = Path(__file__).parent


def statements(file: str) -> dict[str, str]:
    """The statements of a file beside this one, by their name and without their comments."""
    parts = re.split(r"^-- name: (\w+)$", (HERE / file).read_text("utf-8"), flags=re.MULTILINE)
    return {
        name: re.sub(r"^--.*\n", "", text.strip(), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def migrations(prefix: str = "") -> list[str]:
    """The scripts PREFIXnn_*.sql, which each lead from schema n to n + 1."""
    files = sorted(HERE.glob(f"{prefix}[0-9][0-9]_*.sql"))
    numbers = [int(file.name.removeprefix(prefix)[:2]) for file in files]
    assert numbers == list(range(1, len(files) + 1)), "migrations are numbered from 01"
    return [file.read_text("utf-8") for file in files]


QUERIES = statements("queries.sql")
"""Statements by their name."""

MIGRATIONS = migrations()
"""`PRAGMA user_version` counts those applied."""

_SIZES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512)
_ROW = re.compile(r"\(\?(?:, \?)*\)")


class Rows:
    """The statement `name`, whose only row of `?` is repeated; rows of NULLs fill it up to the next size.

    A statement that inserts leaves such rows out; to one that selects or deletes they mean nothing anyway.
    """

    def __init__(self, name: str) -> None:
        rows = _ROW.findall(QUERIES[name])
        assert len(rows) == 1, f"{name} has one row of parameters"
        self.width = rows[0].count("?")
        self._statements = [(size, QUERIES[name].replace(rows[0], ", ".join(rows * size))) for size in _SIZES]

    def execute(self, connection: sqlite3.Connection, flat: list[Any]) -> list[Any]:
        """Run it with `flat`, the values of all rows one after another; what it selects, if it selects."""
        found: list[Any] = []
        largest = _SIZES[-1] * self.width
        for start in range(0, len(flat), largest):
            part = flat[start : start + largest]
            size, statement = next(form for form in self._statements if form[0] * self.width >= len(part))
            part += [None] * (size * self.width - len(part))
            found += connection.execute(statement, part).fetchall()
        return found


_rows = cache(Rows)


class _Asking:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __call__(self, name: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> sqlite3.Cursor:
        return self._connection.execute(QUERIES[name], values)

    def rows(self, name: str, flat: list[Any], /) -> list[Any]:
        return _rows(name).execute(self._connection, flat)


def asking(connection: sqlite3.Connection) -> Ask:
    """The statements of queries.sql, run on `connection`. They raise sqlite3.Error."""
    return _Asking(connection)
