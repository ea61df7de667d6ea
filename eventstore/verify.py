"""Checking a log: does every event fit the one before it, its stream and the signed checkpoints?

`verify` needs no running store and no key, works on the files of a running manager too, and changes nothing in the log.
Of a large log another process checks the second half meanwhile (ahead.py). Where it finds a fault, or its half does not
fit the first one, that half is checked again here: whatever is named is named by the same code.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path

from chatbot_erp.eventstore.ahead import Ahead
from chatbot_erp.eventstore.checkpoints import Checkpoint
from chatbot_erp.eventstore.database import FILE, is_at_rest, must_be_readable, open_at_rest, open_readable
from chatbot_erp.eventstore.errors import LogCorrupt, NoLog
from chatbot_erp.eventstore.lookups import Lookups, in_a_file
from chatbot_erp.eventstore.sql import MIGRATIONS, asking
from chatbot_erp.eventstore.walk import Progress, Report, Walk

ALONE = 100_000
"""Events up to which one process is enough: another takes a fifth of a second to start."""


def verify(
    directory: Path, *, kept: Iterable[Checkpoint] = (), progress: Progress | None = None, alone: int = ALONE
) -> Report:
    """Check the log in `directory`; `kept` are checkpoints of it that were stored elsewhere.

    One of more events than `alone` keeps two processors busy.

    Raises NoLog, LogTooNew, and StoreError where it cannot be opened.
    """
    path = directory / FILE
    if not path.is_file():
        raise NoLog(f"There is no event log in {directory}.")
    checkpoints = tuple(kept)
    at_rest = is_at_rest(path)
    report = _verify(path, at_rest, checkpoints, progress, alone)
    if report.problem and at_rest and not is_at_rest(path):
        return _verify(path, False, checkpoints, progress, alone)  # a manager was started meanwhile
    return report


def _verify(path: Path, at_rest: bool, kept: Iterable[Checkpoint], progress: Progress | None, alone: int) -> Report:
    with closing(open_at_rest(path) if at_rest else open_readable(path)) as connection:
        ask = asking(connection)
        walk = Walk(ask, Lookups(ask, ()))
        try:
            schema = must_be_readable(connection)
            walk = Walk(ask, Lookups(ask, in_a_file(schema)))
            connection.execute("BEGIN")
            walk.prepare(kept)
            with Ahead(path, at_rest, walk.head // 2, walk.head) if walk.head > alone else nullcontext() as ahead:
                walk.count()  # while the other process starts
                connection.execute("COMMIT")
                if ahead is not None:
                    walk.events(progress, walk.head // 2)
                    walk.join(ahead.part())
            walk.events(progress, walk.head)
            walk.end()
            _check_triggers(connection, schema)
        except LogCorrupt as ex:
            return walk.report(ex.position, str(ex))
        except sqlite3.Error as ex:
            return walk.report(walk.position + 1, f"SQLite cannot read on after position {walk.position}: {ex}.")
        return walk.report(None, None)


def _check_triggers(connection: sqlite3.Connection, schema: int) -> None:
    """What refuses changes is still there, and nothing else acts when somebody writes."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript("".join(MIGRATIONS[:schema]))
        expected = dict(asking(fresh)("triggers"))
    found = dict(asking(connection)("triggers"))
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise LogCorrupt(f"The trigger {name} is not as a manager made it: somebody else changed the file.")
