"""Notices when a database can be had no more, over a connection that is there for nothing else.

To a server it waits for its own end, which comes at once. A pool keeps its clients when it loses the server: their
statements wait, and fail as soon as there is one that does not take connections yet. So it is asked now and then.
"""

import select
import threading
from collections.abc import Callable

import psycopg

from chatbot_erp.eventstore import postgres

Lost = Callable[[], None]

ASK_EVERY_S = 1.0
POOL_ANSWER_S = 5.0
"""How often a pool is asked, and how long it may take: a server that was away so long is mostly not back yet."""


class Watch:
    """Over the database at this address. Any thread may call. The connection lasts as long as the process, or the server."""

    def __init__(self, url: str, *, pooled: bool = False, ask_every_s: float = ASK_EVERY_S) -> None:
        """`pooled`: the address is that of a pool, which lends its connections for a transaction each."""
        self._url = url
        self._pooled = pooled
        self._ask_every_s = ask_every_s if pooled else None
        self._turn = threading.Lock()
        self._watched = False
        self._lost: list[Lost] = []

    def call(self, lost: Lost) -> None:
        """Call it, once, when the connection breaks, on a thread of its own. Raises StoreUnavailable."""
        with self._turn:
            if not self._watched:
                self._begin()
            self._lost.append(lost)

    def drop(self, lost: Lost) -> None:
        """It is not to be called any more; one that never was changes nothing."""
        with self._turn:
            if lost in self._lost:
                self._lost.remove(lost)

    def _begin(self) -> None:
        try:
            connection = (
                postgres.connect_pooled(self._url, answer_s=POOL_ANSWER_S) if self._pooled else _lasting(self._url)
            )
        except psycopg.Error as ex:
            raise postgres.unavailable(ex) from ex
        self._watched = True
        threading.Thread(target=self._wait, args=(connection,), name="watch-database", daemon=True).start()

    def _wait(self, connection: postgres.Connection) -> None:
        _until_it_ends(connection, self._ask_every_s)
        with self._turn:
            self._watched = False
            lost, self._lost = self._lost, []
        for call in lost:
            threading.Thread(target=call, name="lose-database", daemon=True).start()


def _lasting(url: str) -> postgres.Connection:
    connection = postgres.connect(url)
    connection.execute("SET idle_session_timeout = 0")
    return connection


def _until_it_ends(connection: postgres.Connection, ask_every_s: float | None) -> None:
    """Without a look more often than that, as psycopg's own waits have them: a process that idles is to sleep."""
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    with connection:
        try:
            while True:
                if not line.poll(ask_every_s and ask_every_s * 1000):
                    connection.execute("SELECT 1")
                # A server that lives says something, too: that a setting has changed.
                connection.pgconn.consume_input()
                connection.pgconn.notifies()
        except psycopg.Error:
            return
