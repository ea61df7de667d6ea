"""The one that writes: an aiosqlite connection with its thread, and an event loop with another that looks after it.

Callers queue their work. The connection's thread takes all that waits (up to a bound), writes it as one transaction
and resolves the futures after COMMIT: what came during one commit shares the next. Callers run while SQLite works on the
next group, outside the interpreter lock. Then the thread sleeps until there is more; it does not go back to the loop,
which cost two more switches of threads a commit.

When a write fails, the loop closes the connection and opens another, reads where the log really ends, and tries a
small write until it succeeds. Meanwhile all work is refused. A commit that failed while it was being synced may have
happened: its futures wait until the new connection tells. The small write also overwrites whatever the failed commit
left in the write-ahead file, so that "nothing was written" stays true after a crash.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future

from chatbot_erp.eventstore.checkpoints import Signer
from chatbot_erp.eventstore.connection import Connection, WriteFailed
from chatbot_erp.eventstore.database import is_bad_data, is_known_event, unavailable
from chatbot_erp.eventstore.errors import (
    NotStorable,
    OutcomeUnknown,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)
from chatbot_erp.eventstore.inbox import Inbox, resolve
from chatbot_erp.eventstore.sql import QUERIES, asking
from chatbot_erp.eventstore.transaction import Ledger, Transaction
from chatbot_erp.eventstore.work import Append, Bounds, Cadence, Errand, Outcomes, Work

Connect = Callable[[int], sqlite3.Connection]

RETRY_S = 0.5
"""Seconds between attempts to write again while no new work asks for one."""

RETRY_PATIENCE_MS = 50
"""How long such an attempt waits for another program's lock."""

_CERTAINLY_NOT_COMMITTED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR_WRITE}
"""With these the write-ahead file lacks the frame that makes a commit: it is the last one written."""


class Writer:
    """Accepts work from any thread. `start` once, then `close`."""

    def __init__(self, connect: Connect, signer: Signer, bounds: Bounds, cadence: Cadence) -> None:
        self._connect = connect
        self._signer = signer
        self._bounds = bounds
        self._cadence = cadence
        self._inbox = Inbox(bounds)
        self._trouble: StoreUnavailable | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="event-store", daemon=True)
        self._started: Future[None] = Future()
        self._growth = threading.Condition()
        self._ledger: Ledger

    def start(self) -> None:
        """Open the connection. Raises what `connect` raises."""
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._thread.join()
            raise

    def submit(self, work: Work, /) -> None:
        """As `Inbox.submit`."""
        self._inbox.submit(work)

    def trouble(self) -> StoreUnavailable | None:
        """Why writes fail now."""
        return self._trouble

    def await_beyond(self, position: int, timeout_s: float) -> bool:
        """Wait until the log ends behind `position`; whether it does. Any thread but the writer's own may wait."""
        with self._growth:
            return self._growth.wait_for(lambda: self._ledger.position > position, timeout_s)

    def close(self) -> None:
        """Write what is queued and end both threads. Idempotent."""
        self._inbox.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as ex:
            if self._started.done():
                self._trouble = StoreUnavailable("io", f"the writer has stopped: {ex!r}")
                raise
            self._started.set_exception(ex)
        finally:
            self._inbox.refuse()
            self._loop.close()

    async def _serve(self) -> None:
        connection = await self._open(self._bounds.patience_ms)
        self._started.set_result(None)
        try:
            while not self._inbox.is_closed:
                try:
                    await connection.run(self._work)
                except WriteFailed as ex:
                    await connection.discard()
                    connection = await self._heal(ex)
            await connection.run(self._finish)
        except StoreClosed:
            return
        finally:
            await connection.discard()

    async def _open(self, patience_ms: int) -> Connection:
        connection = Connection(lambda: self._connect(patience_ms))
        await connection.open()
        try:
            self._ledger = await connection.run(Ledger)
        except BaseException:
            await connection.discard()
            raise
        return connection

    async def _heal(self, failure: WriteFailed) -> Connection:
        """A connection that has proved that it writes. Raises StoreClosed when there was none until `close`."""
        while not self._inbox.is_closed:
            waiting = len(self._inbox)
            try:
                connection = await self._open(RETRY_PATIENCE_MS)
            except (sqlite3.Error, StoreError, OSError) as ex:
                cause: Exception = ex
            else:
                try:
                    came_through = await connection.run(lambda raw: self._prove(raw, failure))
                except sqlite3.Error as ex:
                    cause = ex
                    await connection.discard()
                else:
                    self._trouble = None
                    if came_through:
                        resolve(failure.doubtful)
                    else:
                        resolve([(work, unavailable(failure.cause)) for work, _ in failure.doubtful])
                    return connection
            self._trouble = unavailable(cause)
            resolve([(work, unavailable(cause)) for work in self._inbox.take(waiting)])
            # Who came later has an attempt of his own.
            await asyncio.to_thread(self._inbox.wait, RETRY_S)
        resolve([(work, OutcomeUnknown()) for work, _ in failure.doubtful])
        raise StoreClosed

    def _prove(self, connection: sqlite3.Connection, failure: WriteFailed) -> bool:
        """Write something, durably; whether the doubtful commit is in the log. Raises sqlite3.Error."""
        connection.execute(QUERIES["probe"])
        connection.execute(QUERIES["unprobe"])
        position, chain_hash = failure.end
        came_through: bool = connection.execute(QUERIES["hash_at"], (position,)).fetchone() == (chain_hash,)
        if failure.doubtful and came_through:
            # The kernel may have dropped what it could not sync: write it once more, into the main file.
            (is_held_up, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if is_held_up:
                raise sqlite3.OperationalError("a reader keeps what was not synced from being written once more")
        connection.execute(f"PRAGMA busy_timeout = {self._bounds.patience_ms}")
        return came_through

    def _work(self, connection: sqlite3.Connection) -> None:
        """On the connection's thread: commit until the end. Raises WriteFailed."""
        while not self._inbox.is_closed:
            self._drain(connection)
            if not self._inbox.wait(self._cadence.quiet.total_seconds()):
                try:
                    self._sign(connection)
                except sqlite3.Error as ex:
                    self._fail([], ex)
                    raise WriteFailed(ex, [], (0, b"")) from ex
                self._inbox.wait()

    def _drain(self, connection: sqlite3.Connection) -> None:
        """Commit group after group until nothing waits. Raises WriteFailed."""
        while group := self._inbox.take():
            self._commit(connection, group)

    def _commit(self, connection: sqlite3.Connection, group: list[Work], *, look: bool = False) -> None:
        transaction = Transaction(connection, self._ledger)
        outcomes: Outcomes = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            appends = [work for work in group if isinstance(work, Append)]
            outcomes += zip(appends, transaction.stage(appends, look=look), strict=True)
            transaction.write_surroundings(self._signer, self._cadence)
            outcomes += [(work, work.run(asking(connection))) for work in group if isinstance(work, Errand)]
            transaction.write_events()
        except Exception as ex:
            seen_before = is_known_event(ex) and not look
            if not seen_before and not is_bad_data(ex):
                self._fail(group, ex)
                raise WriteFailed(ex, [], transaction.end) from ex
            self._roll_back(connection, group)
            if seen_before:
                self._commit(connection, group, look=True)
            else:
                self._commit_without_the_culprit(connection, group, ex)
            return
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as ex:
            if getattr(ex, "sqlite_errorcode", None) in _CERTAINLY_NOT_COMMITTED:
                self._fail(group, ex)
                outcomes = []
            else:
                self._trouble = unavailable(ex)
            raise WriteFailed(ex, outcomes, transaction.end) from ex
        transaction.keep()
        resolve(outcomes)
        with self._growth:
            self._growth.notify_all()

    def _fail(self, group: list[Work], cause: Exception) -> None:
        self._trouble = unavailable(cause)
        resolve([(work, unavailable(cause)) for work in group])

    def _commit_without_the_culprit(self, connection: sqlite3.Connection, group: list[Work], ex: Exception) -> None:
        """Data that SQLite cannot take fails its own caller only."""
        if len(group) == 1:
            resolve([(group[0], NotStorable(f"SQLite does not take this: {ex}."))])
            return
        for done, work in enumerate(group, start=1):
            try:
                self._commit(connection, [work])
            except WriteFailed as failure:
                self._fail(group[done:], failure.cause)
                raise

    def _roll_back(self, connection: sqlite3.Connection, group: list[Work]) -> None:
        try:
            connection.rollback()
        except sqlite3.Error as ex:
            self._fail(group, ex)
            raise WriteFailed(ex, [], (0, b"")) from ex

    def _finish(self, connection: sqlite3.Connection) -> None:
        """The last word on the connection's thread: what still waits, and a checkpoint over all of it."""
        try:
            self._drain(connection)
            self._sign(connection)
        except WriteFailed as ex:
            resolve([(work, OutcomeUnknown()) for work, _ in ex.doubtful])
        except sqlite3.Error:
            return  # the checkpoint is missing, and comes with the next start's first one

    def _sign(self, connection: sqlite3.Connection) -> None:
        """A checkpoint of the log's end, where there is none yet. Raises sqlite3.Error."""
        transaction = Transaction(connection, self._ledger)
        connection.execute("BEGIN IMMEDIATE")
        transaction.sign(self._signer)
        connection.execute("COMMIT")
        transaction.keep()
