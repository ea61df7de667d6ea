"""Notices at once when a database can be had no more: over a connection that waits for nothing but its own end."""

import select
import threading
from collections.abc import Callable

import psycopg

from chatbot_erp.eventstore import postgres

Lost = Callable[[], None]


class Watch:
    """Over the database at this address. Any thread may call. The connection lasts as long as the process, or the server."""

    def __init__(self, url: str) -> None:
        self._url = url
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
            connection = postgres.connect(self._url)
            connection.execute("SET idle_session_timeout = 0")
        except psycopg.Error as ex:
            raise postgres.unavailable(ex) from ex
        self._watched = True
        threading.Thread(target=self._wait, args=(connection,), name="watch-database", daemon=True).start()

    def _wait(self, connection: postgres.Connection) -> None:
        _until_it_ends(connection)
        with self._turn:
            self._watched = False
            lost, self._lost = self._lost, []
        for call in lost:
            threading.Thread(target=call, name="lose-database", daemon=True).start()


def _until_it_ends(connection: postgres.Connection) -> None:
    """Without a look now and then, as psycopg's own waits have them: a process that idles is to sleep."""
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    with connection:
        try:
            while True:
                line.poll()
                # A server that lives says something, too: that a setting has changed.
                connection.pgconn.consume_input()
                connection.pgconn.notifies()
        except psycopg.Error:
            return
