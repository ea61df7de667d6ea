"""An aiosqlite connection that runs whole functions, and what is said when it can no longer be trusted."""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar, cast

import aiosqlite

from chatbot_erp.eventstore.work import Outcomes

T = TypeVar("T")


class Connection(aiosqlite.Connection):
    """One hop between threads for a transaction, not one for each statement."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connect, iter_chunk_size=1)

    async def open(self) -> None:
        """Connect. Raises what `connect` raises; then the thread has ended."""
        try:
            await self
        except BaseException:
            self._thread.join()  # it tells the loop that it ends: the loop must live until then
            raise

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """The function's result, computed on the connection's thread. Raises what it raises."""
        return cast(T, await cast(Any, self._execute)(function, self._conn))

    async def discard(self) -> None:
        """Close it whatever state it is in. Idempotent."""
        with contextlib.suppress(sqlite3.Error, ValueError):
            await self.close()


class WriteFailed(Exception):
    """The connection is no longer to be trusted.

    `doubtful` is what may have been committed all the same, and `end` the position and hash where the log would end then.
    """

    def __init__(self, cause: Exception, doubtful: Outcomes, end: tuple[int, bytes]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.doubtful = doubtful
        self.end = end
