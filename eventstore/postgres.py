"""PostgreSQL: how it is connected to, migrated and asked. Its errors get their meaning here."""

import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chatbot_erp.eventstore.codec import CODEC
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import (
    LogCorrupt,
    LogTooNew,
    NoLog,
    StoreClosed,
    StoreError,
    StoreUnavailable,
    Trouble,
)
from chatbot_erp.eventstore.lease import ALONE, Node
from chatbot_erp.eventstore.sql import migrations, statements

T = TypeVar("T")

# It warns of each pipeline whose connection broke, which whoever uses it hears as an error.
logging.getLogger("psycopg").setLevel(logging.ERROR)

OLDEST = 140000
PATIENCE_MS = 5_000
ANSWER_S = 20.0
"""A server that is silent for so long in one statement is taken for frozen: its machine is alive, so no line breaks."""

QUERIES = {name: text.encode() for name, text in statements("postgres_queries.sql").items()}
FORMS = {name: re.findall(rb"%[sb]", text) for name, text in QUERIES.items()}
"""Of the parameters of each; of those that take rows, one a column: `%s` are numbers and words, `%b` is anything."""

MIGRATIONS = migrations("postgres_")

# A line that is cut is noticed within half a minute, by both ends.
_DEFAULTS = {
    "application_name": "chatbot-erp",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """One that is closed, with an OperationalError, where a statement gets no answer in `answer_s` seconds."""

    answer_s: float | None = None

    def wait(self, gen: Generator[Any, Any, T], *settings: Any, **named: Any) -> T:
        """As psycopg's: everything but connecting goes through it."""
        return super().wait(self._within(gen), *settings, **named)

    def _within(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        begun = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and self.answer_s is not None and time.monotonic() - begun > self.answer_s:
                    self.close()
                    raise psycopg.OperationalError(f"the server has not answered for {self.answer_s:.0f} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: T = end.value
            return answer


def connect(
    url: str, *, schema: str = "chatbot_erp", patience_ms: int = PATIENCE_MS, answer_s: float | None = None
) -> Connection:
    """A connection in autocommit mode whose commits are durable. Raises StoreError for no address, psycopg.Error."""
    given = _words_of(url)
    knobs = f"-c search_path={schema} -c lock_timeout={patience_ms} -c idle_in_transaction_session_timeout={2 * patience_ms}"
    options: dict[str, Any] = {
        **_DEFAULTS,
        # Of several hosts; a pool chooses its own.
        "target_session_attrs": "read-write",
        **given,
        "client_encoding": "utf8",
        "options": f"{given.get('options', '')} {knobs}",
    }
    connection = Connection.connect(make_conninfo("", **options), autocommit=True)
    connection.answer_s = answer_s
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    return connection


def connect_pooled(url: str, *, answer_s: float = ANSWER_S) -> Connection:
    """A connection, in autocommit mode, to a pool that lends one of the server's for a transaction at a time.

    So nothing is set for as long as it lasts: the pool sees to the schema. Raises StoreError for no address, psycopg.Error.
    """
    options: dict[str, Any] = {**_DEFAULTS, **_words_of(url), "client_encoding": "utf8"}
    connection = Connection.connect(make_conninfo("", **options), autocommit=True, prepare_threshold=None)
    connection.answer_s = answer_s
    return connection


def _words_of(url: str) -> dict[str, Any]:
    """What an address says. Raises StoreError."""
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.Error:
        raise StoreError("This is no PostgreSQL address: postgresql://USER:PASSWORD@HOST:PORT/DATABASE.") from None


class _Asking:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, name: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[name], values)

    def rows(self, name: str, flat: list[Any], /) -> None:
        if flat:
            self._connection.execute(QUERIES[name], columns(name, flat))


def asking(connection: Connection) -> Ask:
    """The statements of postgres_queries.sql, run on `connection`. They raise psycopg.Error."""
    return _Asking(connection)


def columns(name: str, flat: list[Any]) -> list[Any]:
    """The parameters of a statement that takes rows, from the values of all of them, one row after another."""
    forms = FORMS[name]
    cut = [flat[column :: len(forms)] for column in range(len(forms))]
    return [column if form == b"%b" else _literal(column) for form, column in zip(forms, cut, strict=True)]


def _literal(column: list[Any]) -> str:
    """Numbers, visible ASCII and None, as an array is written: like JSON but for its brackets.

    psycopg looks at each value of a list, which takes 0.6 µs for a number and 1.2 for a word; this 0.02.
    """
    return f"{{{_encode(column)[1:-1].decode()}}}"


_encode = msgspec.json.Encoder().encode


@cache
def _joined(names: tuple[str, ...]) -> bytes:
    *others, last = (QUERIES[name].rstrip(b";") for name in names)
    return b"WITH %s\n%s" % (b", ".join(b"_%d AS (%s)" % each for each in enumerate(others)), last) if others else last


def at_once(connection: Connection, asked: Mapping[str, Sequence[Any]]) -> None:
    """Statements of which none sees what another one does, by their names with their parameters, as one; none is fine.

    All but the last have to change something. In a pipeline each costs some 60 µs here and as much in the server when it
    comes alone. Raises psycopg.Error.
    """
    if asked:
        connection.execute(_joined(tuple(asked)), [value for values in asked.values() for value in values])


def own(connection: Connection, patience_ms: int = PATIENCE_MS, node: Node = ALONE) -> None:
    """Work in this database for as long as the connection lasts, the only one unless nodes share it.

    The server needs a moment to notice that a manager was killed: so long this waits. Raises StoreUnavailable, psycopg.Error.
    """
    deadline = time.monotonic() + patience_ms / 1000
    while asking(connection)("own", {"movable": node.movable, "name": node.name}).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise StoreUnavailable("locked", "another manager works in this database")
        time.sleep(0.05)


def migrate(connection: Connection) -> None:
    """Bring the schema up to date. Raises LogTooNew (nothing is changed), StoreError, psycopg.Error."""
    if connection.info.server_version < OLDEST:
        raise StoreError(f"PostgreSQL {connection.info.server_version // 10_000} is too old; at least 14 is needed.")
    if connection.execute("SHOW server_encoding").fetchone() != ("UTF8",):
        raise StoreError("The database must be made with ENCODING 'UTF8'.")
    found = schema_of(connection)
    if found == len(MIGRATIONS):
        return
    answer_s, connection.answer_s = connection.answer_s, None  # a large table may take its time
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(7166, 0)")
        for schema in ("chatbot_erp", "chatbot_erp_keys", "chatbot_erp_sessions"):
            if connection.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() == (None,):
                connection.execute(f"CREATE SCHEMA {schema}".encode())
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY)")
        for number, script in enumerate(MIGRATIONS[schema_of(connection) :], start=schema_of(connection) + 1):
            connection.execute(script.encode())
            connection.execute("INSERT INTO migrations VALUES (%s)", (number,))
    connection.answer_s = answer_s


def is_up_to_date(connection: Connection) -> bool:
    """Whether the schema is this program's. Raises LogTooNew, psycopg.Error."""
    return schema_of(connection) == len(MIGRATIONS)


def schema_of(connection: Connection) -> int:
    """The schema's number, 0 where there is no log. Raises LogTooNew, psycopg.Error."""
    if connection.execute("SELECT to_regclass('chatbot_erp.migrations')").fetchone() == (None,):
        return 0
    row = connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()
    found = int(row[0]) if row else 0
    if found > len(MIGRATIONS):
        raise LogTooNew(
            f"The event log has schema {found}; this manager knows it up to {len(MIGRATIONS)}. Nothing was changed."
        )
    return found


def must_be_readable(connection: Connection) -> None:
    """Raises NoLog where there is none, or not all of one yet; LogTooNew where a newer manager wrote it."""
    if schema_of(connection) == 0:
        raise NoLog("There is no event log in this database.")
    ask = asking(connection)
    for name, schema in ask("vocabulary"):
        CODEC.must_know(name, schema)
    if ask("is_arriving").fetchone() == (True,):
        raise StoreError("A migration into this database is not finished: run the same `chatbot-erp migrate` again.")


def trouble_of(ex: BaseException) -> Trouble:
    """What kind of obstacle a failed write met."""
    if isinstance(ex, StoreUnavailable):
        return ex.trouble
    if isinstance(ex, pg.DiskFull):
        return "full"
    return "locked" if isinstance(ex, pg.LockNotAvailable) else "io"


def reason_of(ex: BaseException) -> str:
    """What the server said, without the data: its further lines may quote some."""
    said = ex.diag.message_primary if isinstance(ex, psycopg.Error) else None
    return " ".join((said or str(ex)).split()).rstrip(".")


def unavailable(ex: BaseException) -> StoreUnavailable:
    """The error for callers; a new one for each, because whoever raises it writes into its traceback."""
    return StoreUnavailable(trouble_of(ex), reason_of(ex))


def meaning_of(ex: psycopg.Error) -> StoreError:
    """The error of a failed read."""
    if isinstance(ex, (pg.DataCorrupted, pg.IndexCorrupted)):
        return LogCorrupt(f"PostgreSQL cannot read the event log: {reason_of(ex)}.")
    return unavailable(ex)


def is_known_event(ex: BaseException) -> bool:
    """Whether an insert failed because the log has an event with that id."""
    return isinstance(ex, pg.UniqueViolation) and ex.diag.constraint_name == "events_by_id"


def is_bad_data(ex: BaseException) -> bool:
    """Whether a statement failed because of its values: only their caller is to blame, the connection is well."""
    return not isinstance(ex, psycopg.Error) or isinstance(
        ex, (psycopg.DataError, pg.NotNullViolation, pg.ProgramLimitExceeded)
    )


def is_lost(ex: BaseException) -> bool:
    """Whether nobody knows what became of a transaction that was told to commit.

    A server that is shut down may say so instead of, or after, the outcome. Whatever else it says aborted the transaction.
    """
    return isinstance(ex, psycopg.Error) and (ex.sqlstate is None or ex.sqlstate[:2] in ("08", "57", "XX"))


class Readers:
    """A few connections, opened when they are wanted and again when they broke. Any thread may call."""

    def __init__(self, connect: Callable[[], Connection], count: int) -> None:
        self._connect = connect
        self._free: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._count = count
        self._closed = False
        for _ in range(count):
            self._free.put(None)

    def run(self, question: Callable[[Ask], T]) -> T:
        """The answer to `question`. Raises StoreClosed, StoreUnavailable, LogCorrupt, LogTooNew."""
        connection = self._free.get()
        try:
            if self._closed:
                raise StoreClosed
            if connection is not None:
                try:
                    return question(asking(connection))
                except psycopg.Error:
                    if not connection.closed:
                        raise
            connection = self._connect()
            return question(asking(connection))
        except psycopg.Error as ex:
            raise meaning_of(ex) from ex
        finally:
            self._free.put(None if connection is None or connection.closed else connection)

    def close(self) -> None:
        """Wait for running reads, then refuse all others. Idempotent."""
        with self._lock:
            if self._closed:
                return
            connections = [self._free.get() for _ in range(self._count)]
            self._closed = True
            for connection in connections:
                if connection is not None:
                    connection.close()
                self._free.put(None)
