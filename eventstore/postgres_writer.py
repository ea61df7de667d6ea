"""The one that writes to PostgreSQL: a thread that takes all that waits and commits it as one transaction.

A transaction costs two round trips: the first locks the head row and reads where log and streams stand, the second
writes and commits. Nothing about the log's end is remembered from one transaction to the next. After the head row the
node's epoch is read: where that has grown, others have what this node had; nothing is written here any more, and the thread
ends. Callers whose work is committed are woken while the server works on the next group; where another node keeps that
waiting, within a second (told at once, three nodes appended some tenth less).

When the connection breaks, the thread opens another, again and again; meanwhile all work is refused. A commit that was
on its way then may have happened: each transaction leaves a mark, and its futures wait until the mark was looked for.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Sequence

import psycopg

from chatbot_erp.eventstore.checkpoints import Signer
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import (
    NotStorable,
    OutcomeUnknown,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)
from chatbot_erp.eventstore.inbox import Inbox, resolve
from chatbot_erp.eventstore.postgres import (
    Connection,
    asking,
    columns,
    is_bad_data,
    is_known_event,
    is_lost,
    reason_of,
    unavailable,
)
from chatbot_erp.eventstore.postgres_lease import Lost, Superseded, Tenure, give_back, settle
from chatbot_erp.eventstore.postgres_transaction import Asked, known, log_end, messages, write
from chatbot_erp.eventstore.staging import NOWHERE, Head, Staging
from chatbot_erp.eventstore.work import Append, Bounds, Cadence, Errand, Outcomes, Work

RETRY_S = 0.5
"""Seconds between attempts to connect again while no new work asks for one."""

GLANCE_S = 1.0
"""How long a server that is gone may stay unnoticed while nothing is written."""


class WriteFailed(Exception):
    """The connection is no longer to be trusted; `doubtful` is what may have been committed all the same."""

    def __init__(self, cause: Exception, doubtful: Outcomes) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.doubtful = doubtful


class Writer:
    """Accepts work from any thread. `start` once, then `close`."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        signer: Signer,
        bounds: Bounds,
        cadence: Cadence,
        tenure: Tenure,
        lost: Lost = lambda: None,
        noticed: Callable[[int], None] = lambda losses: None,
    ) -> None:
        """`noticed` is told after each transaction how often keys were lost, in the writer's thread."""
        self._connect = connect
        self._tenure = tenure
        self._lost = lost
        self._noticed = noticed
        self._signer = signer
        self._cadence = cadence
        self._name = str(uuid.uuid4())
        self._mark = 0
        self._vocabulary: set[tuple[str, int]] = set()
        self._inbox = Inbox(bounds)
        self._growth = threading.Condition()
        self._position = 0
        self._trouble: StoreUnavailable | None = None
        self._committed: Outcomes = []
        self._telling = threading.Lock()
        self._unsigned_since: float | None = time.monotonic()
        """When this node last appended, where it has signed nothing since."""
        self._pause_s = min(GLANCE_S, tenure.cadence_s, cadence.quiet.total_seconds())
        self._thread = threading.Thread(target=self._run, name="event-store", daemon=True)
        self._connection: Connection

    def start(self) -> None:
        """Open the connection. Raises what `connect` raises, and psycopg.Error."""
        self._connection = self._connect()
        self._prove(self._connection)
        self._thread.start()

    def submit(self, work: Work, /) -> None:
        """As `Inbox.submit`."""
        self._inbox.submit(work)

    def trouble(self) -> StoreUnavailable | None:
        """Why writes fail now."""
        return self._trouble

    def await_beyond(self, position: int, timeout_s: float) -> bool:
        """Wait until the log ends behind `position`; whether it does. Any thread but the writer's own may wait."""
        with self._growth:
            return self._growth.wait_for(lambda: self._position > position, timeout_s)

    def reach(self, position: int) -> None:
        """The log has come so far, by whomever. Any thread."""
        with self._growth:
            self._position = max(self._position, position)
            self._growth.notify_all()

    def close(self) -> None:
        """Write what is queued and end the thread. Idempotent."""
        self._inbox.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not (self._inbox.is_closed and not self._inbox):
                try:
                    self._drain()
                    if not self._inbox.wait(self._pause_s):
                        self._idle()
                except WriteFailed as ex:
                    self._heal(ex)
            self._sign_the_end()
        except Superseded as ex:
            self._trouble = unavailable(ex)
            self._lost()
        except Exception as ex:
            self._trouble = StoreUnavailable("io", f"the writer has stopped: {reason_of(ex)}")
            if not isinstance(ex, StoreClosed):
                raise
        finally:
            self._inbox.refuse()
            self._connection.close()

    def _idle(self) -> None:
        """See whether the connection still is one; after a silence, sign the log's end. Raises WriteFailed, Superseded."""
        quiet_s = self._cadence.quiet.total_seconds()
        try:
            if self._unsigned_since is not None and time.monotonic() - self._unsigned_since >= quiet_s:
                self._sign()
            else:
                self._connection.execute("SELECT 1")
        except psycopg.Error as ex:
            raise WriteFailed(ex, []) from ex

    def _sign(self) -> None:
        """A checkpoint of the log's end, where there is none yet. Raises Superseded, psycopg.Error."""
        with self._connection.transaction():
            ask = asking(self._connection)
            staging, _ = self._stage(ask, [], look=False)
            write(self._connection, staging, staging.checkpoint(self._signer))
        self._unsigned_since = None

    def _settle(self) -> None:
        """Have every instance in its place, where it is time to look. Raises WriteFailed, Superseded."""
        if self._tenure.is_due():
            try:
                settle(self._connection, self._tenure)
            except psycopg.Error as ex:
                raise WriteFailed(ex, []) from ex

    def _drain(self) -> None:
        """Commit group after group until nothing waits. Raises WriteFailed, Superseded."""
        try:
            self._settle()
            while group := self._inbox.take():
                self._commit(group)
                self._settle()
        finally:
            self.announce()

    def announce(self) -> None:
        """Tell whose work is committed, if they were not told yet. Any thread."""
        with self._telling:
            committed, self._committed = self._committed, []
        resolve(committed)

    def _commit(self, group: list[Work], *, look: bool = False) -> None:
        self._mark += 1
        outcomes: Outcomes = []
        is_on_its_way = False
        try:
            with self._connection.pipeline():
                ask = asking(self._connection)
                self._connection.execute("BEGIN")
                staging, outcomes = self._stage(ask, [work for work in group if isinstance(work, Append)], look=look)
                outcomes += [(work, work.run(ask)) for work in group if isinstance(work, Errand)]
                others: list[Asked] = [("mark", (self._name, self._mark))]
                if found := messages(outcomes):
                    others.append(("insert_messages", columns("insert_messages", found)))
                if self._tenure.has_company and staging.events:
                    others.append(("tell", (str(staging.position),)))
                write(self._connection, staging, staging.checkpoint(self._signer, self._cadence), *others)
                is_on_its_way = True
                self._connection.execute("COMMIT")
                # Not before it: who is woken wants the interpreter lock.
                self.announce()
        except Superseded as ex:
            self._connection.close()
            self._fail(group, ex)
            raise
        except Exception as ex:
            if is_on_its_way and is_lost(ex):
                self._trouble = unavailable(ex)
                raise WriteFailed(ex, outcomes) from ex
            self._sort_out(group, ex, look=look)
            return
        self._vocabulary |= staging.words
        with self._telling:
            self._committed += outcomes
        if staging.events:
            self._unsigned_since = time.monotonic()
        self.reach(staging.position)
        self._noticed(self._tenure.losses)

    def _stage(self, ask: Ask, appends: Sequence[Append], *, look: bool) -> tuple[Staging, Outcomes]:
        """Lock the log's end and give everything its place there. Raises Superseded, psycopg.Error."""
        locked = ask("lock_head")
        # A statement of its own: what a statement sees beside a row that it waited for is of before the wait.
        own = ask("standing_of_node", (self._tenure.node.name,))
        heads = dict.fromkeys((append.stream for append in appends), NOWHERE)
        standing = ask("heads", columns("heads", list(heads)))
        head = locked.fetchone()
        self._tenure.check(own.fetchone())
        staging = Staging(log_end(head), self._vocabulary, lambda ids: known(ask, ids))
        heads.update((stream, Head(version, sequence)) for stream, version, sequence in standing)
        return staging, list(zip(appends, staging.stage(appends, heads, look=look), strict=True))

    def _sort_out(self, group: list[Work], ex: Exception, *, look: bool) -> None:
        """Nothing was written: who is to blame?"""
        seen_before = is_known_event(ex) and not look
        if not seen_before and not is_bad_data(ex):
            self._fail(group, ex)
            raise WriteFailed(ex, []) from ex
        try:
            self._connection.rollback()
        except psycopg.Error as broken:
            self._fail(group, broken)
            raise WriteFailed(broken, []) from broken
        if seen_before:
            self._commit(group, look=True)
        elif len(group) == 1:
            resolve([(group[0], NotStorable(f"PostgreSQL does not take this: {reason_of(ex)}."))])
        else:
            self._commit_without_the_culprit(group)

    def _commit_without_the_culprit(self, group: list[Work]) -> None:
        """Data that PostgreSQL cannot take fails its own caller only."""
        for done, work in enumerate(group, start=1):
            try:
                self._commit([work])
            except WriteFailed as failure:
                self._fail(group[done:], failure.cause)
                raise
            except Superseded as ex:
                self._fail(group[done:], ex)
                raise

    def _fail(self, group: list[Work], cause: Exception) -> None:
        self._trouble = unavailable(cause)
        resolve([(work, unavailable(cause)) for work in group])

    def _heal(self, failure: WriteFailed) -> None:
        """Have a connection that has proved that it writes. Raises StoreClosed when there was none until `close`.

        Raises Superseded where another node took over meanwhile.
        """
        self._connection.close()
        while not self._inbox.is_closed:
            waiting = len(self._inbox)
            try:
                connection = self._connect()
                came_through = self._prove(connection)
            except (psycopg.Error, StoreError, OSError) as ex:
                self._trouble = unavailable(ex)
                resolve([(work, unavailable(ex)) for work in self._inbox.take(waiting)])
                self._inbox.wait(RETRY_S)
            except Superseded:
                resolve([(work, OutcomeUnknown()) for work, _ in failure.doubtful])
                raise
            else:
                self._connection, self._trouble = connection, None
                if came_through:
                    resolve(failure.doubtful)
                else:
                    resolve([(work, unavailable(failure.cause)) for work, _ in failure.doubtful])
                return
        resolve([(work, OutcomeUnknown()) for work, _ in failure.doubtful])
        raise StoreClosed

    def _prove(self, connection: Connection) -> bool:
        """Write something, durably; whether this writer's last transaction was committed. Raises Superseded, psycopg.Error.

        A backend that has not noticed yet that its client is gone still holds the head row: then this waits for it.
        """
        ask = asking(connection)
        try:
            with connection.transaction():
                position = log_end(ask("lock_head").fetchone()).position
                self._tenure.check(ask("standing_of_node", (self._tenure.node.name,)).fetchone())
                came_through: bool = ask("marked", (self._name,)).fetchone() == (self._mark,)
                ask("mark", (f"{self._name} probe", 0))
                ask("forget_writers")
                self._vocabulary = set(ask("vocabulary").fetchall())
        except BaseException:
            connection.close()
            raise
        self.reach(position)
        return came_through

    def _sign_the_end(self) -> None:
        """The last word: a checkpoint over everything. Where it fails it comes with the next start's first one."""
        with contextlib.suppress(psycopg.Error), self._connection.transaction():
            self._sign()
            give_back(asking(self._connection), self._tenure)
