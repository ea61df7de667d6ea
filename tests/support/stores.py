"""Which store the journeys' managers have: SQLite in their data directories, or each a database on one PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from chatbot_erp.actors.wa_session import LAST_CAUSES, mark_of
from postgres_server import PostgresServer

if TYPE_CHECKING:
    from manager_process import ManagerProcess

SCHEMAS = ("chatbot_erp", "chatbot_erp_keys", "chatbot_erp_sessions")


class Stores:
    """SQLite until `use` was called."""

    def __init__(self) -> None:
        self._server: PostgresServer | None = None
        self._databases: dict[Path, str] = {}

    def use(self, server: PostgresServer) -> None:
        """Managers that start from now on have their databases there."""
        self._server = server

    def database_of(self, data_dir: Path) -> str | None:
        """The address of the database that belongs to a data directory; None where SQLite is used."""
        if self._server is None:
            return None
        if data_dir not in self._databases:
            self._databases[data_dir] = self._server.database()
        return self._databases[data_dir]


STORES = Stores()


def everything(manager: "ManagerProcess", directory: Path | None = None) -> dict[Path, bytes]:
    """What stands in each file of its directory, or of another, and in each table of its database (SCHEMA/TABLE)."""
    found = {path: path.read_bytes() for path in (directory or manager.data_dir).rglob("*") if path.is_file()}
    assert found
    return found | dict(_tables(manager.database) if manager.database else ())


def _tables(database: str) -> Iterator[tuple[Path, bytes]]:
    with psycopg.connect(database) as connection:
        names = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)", (list(SCHEMAS),)
        ).fetchall()
        for schema, table in names:
            with connection.cursor().copy(f"COPY {schema}.{table} TO STDOUT (FORMAT binary)".encode()) as rows:
                yield Path(schema, table), b"".join(bytes(piece) for piece in rows)


def change(manager: "ManagerProcess", part: str, statement: str, *values: Any) -> None:
    """As somebody who may write to the store ("events" or "keys") behind the program's back."""
    if manager.database is None:
        with closing(sqlite3.connect(manager.data_dir / f"{part}.db")) as log, log:
            log.execute(statement, values)
    else:
        schema = {"events": "chatbot_erp", "keys": "chatbot_erp_keys"}[part]
        with psycopg.connect(manager.database, options=f"-c search_path={schema}") as connection:
            connection.execute(statement.replace("?", "%s").encode(), values)


@contextmanager
def locked(data_dir: Path, database: str | None) -> Iterator[None]:
    """Nobody can append meanwhile: as a program would do it that backs the log up the wrong way."""
    if database is None:
        with closing(sqlite3.connect(data_dir / "events.db", isolation_level=None, timeout=60)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            yield
            intruder.execute("ROLLBACK")
    else:
        with psycopg.connect(database) as connection:
            connection.execute("LOCK TABLE chatbot_erp.head")
            yield


def noted_end(manager: "ManagerProcess", instance: str) -> str | None:
    """Why the library has deleted the session of an instance, where whoever was told has noted it."""
    if manager.database is None:
        return mark_of(manager.data_dir / "sessions" / f"{instance}.db", LAST_CAUSES)
    with psycopg.connect(manager.database) as connection:
        rows = connection.execute("SELECT ended FROM chatbot_erp_sessions.owners WHERE instance = %s", (instance,))
        return next((ended for (ended,) in rows), None)


def owners(database: str) -> set[str]:
    """The instances that have a session in the database."""
    with psycopg.connect(database) as connection:
        return {row[0] for row in connection.execute("SELECT instance FROM chatbot_erp_sessions.owners")}
