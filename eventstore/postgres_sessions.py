"""WhatsApp sessions in PostgreSQL, in the schema `chatbot_erp_sessions`: whose they are, and what they know of people.

The WhatsApp library makes and fills its tables there by itself, from socket hosts; all numbers share them. Here stands
which device in them is which instance's. Calls are rare, so each opens a connection of its own.

neonize 0.5.2 takes every address for the name of an SQLite file first, and makes an empty one; only not where its
directory does not exist.
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import TypeVar
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from chatbot_erp.eventstore import postgres
from chatbot_erp.eventstore.addresses import canonical, written_forms
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.postgres_watch import Watch

T = TypeVar("T")

SCHEMA = "chatbot_erp_sessions"
OURS = "whatsmeow_device"

_UNDERSTOOD = frozenset(
    [
        "host",
        "hostaddr",
        "port",
        "user",
        "password",
        "passfile",
        "dbname",
        "service",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslsni",
        "sslnegotiation",
        "connect_timeout",
        "target_session_attrs",
        "load_balance_hosts",
    ]
)
"""Of what an address may say, what the library's driver (lib/pq) takes as libpq does; else it goes to the server."""

_FOR_THE_LIBRARY = {
    "sslmode": "prefer",
    "connect_timeout": "5",
    "application_name": "chatbot-erp-session",
    # A query in one round trip instead of two; a pool of transactions might send the second elsewhere.
    "binary_parameters": "yes",
}
_FOR_ITS_CONNECTIONS = {
    "target_session_attrs": "read-write",
    "search_path": SCHEMA,
    # The library never closes its pools, of up to two connections each: the server ends those that nobody uses.
    "idle_session_timeout": "30000",
    # A machine that froze or was cut off in the middle of a transaction keeps its rows locked no longer.
    "idle_in_transaction_session_timeout": "10000",
}


class Sessions:
    """The sessions in the database at this address. Any thread may call; every method may raise StoreUnavailable.

    `pooled`: the address is that of a pool, whose connections to the server are lent for a transaction each.
    """

    def __init__(self, url: str, *, pooled: bool = False) -> None:
        self._url = url
        self._pooled = pooled
        self.watch = Watch(url, pooled=pooled)

    def library_address(self) -> str:
        """The address in the words of the WhatsApp library's driver. A credential."""
        given = {key: str(value) for key, value in conninfo_to_dict(self._url).items() if key in _UNDERSTOOD}
        name = given.pop("dbname", given.get("user", ""))
        words = {**_FOR_THE_LIBRARY, **({} if self._pooled else _FOR_ITS_CONNECTIONS), **given}
        return f"postgresql:///{quote(name, safe='')}?{urlencode(words, quote_via=quote)}"

    def must_lead_to(self, database: str) -> None:
        """Raises StoreError where what comes here does not find the sessions that are in that database."""
        if Sessions(database)._run(_whereabouts) != self._run(_whereabouts):
            raise StoreError(
                "The pool of --sessions does not lead to the sessions in the --database: name that database in it, and"
                f" have it SET search_path = {SCHEMA} in each of its connections (docs/postgresql.md#pgbouncer)."
            )

    def device_of(self, instance: str) -> str | None:
        """The device, `user:device@server`, that is linked for an instance; None where the library has none."""

        def find(connection: postgres.Connection) -> str | None:
            if not _has_devices(connection):
                return None
            found = connection.execute(
                "SELECT device FROM owners JOIN whatsmeow_device ON jid = device WHERE instance = %s", (instance,)
            ).fetchone()
            return found[0] if found else None

        return self._run(find)

    def instances(self) -> set[str]:
        """Whose sessions are here."""
        return self._run(lambda connection: {owner for (owner,) in connection.execute("SELECT instance FROM owners")})

    def room(self) -> int:
        """How many connections the server lets its ordinary users have, all together."""

        def count(connection: postgres.Connection) -> int:
            found = connection.execute(
                "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
                " - coalesce(current_setting('reserved_connections', true)::int, 0)"
            ).fetchone()
            return found[0] if found else 0

        return self._run(count)

    def keep(self, instance: str, device: str) -> None:
        """The device is the instance's from now on."""
        self._run(
            lambda connection: connection.execute(
                "INSERT INTO owners VALUES (%s, %s)"
                " ON CONFLICT (instance) DO UPDATE SET device = excluded.device, ended = NULL",
                (instance, device),
            )
        )

    def end(self, instance: str, cause: str) -> None:
        """The library deletes the device of the instance, for this cause."""
        self._run(
            lambda connection: connection.execute("UPDATE owners SET ended = %s WHERE instance = %s", (cause, instance))
        )

    def ended(self, instance: str) -> str | None:
        """Why the library has deleted the device of the instance; None where it has not, or nobody could say so."""

        def find(connection: postgres.Connection) -> str | None:
            found = connection.execute("SELECT ended FROM owners WHERE instance = %s", (instance,)).fetchone()
            return found[0] if found else None

        return self._run(find)

    def adopt(self, former: str, instance: str) -> None:
        """The session of one instance is another's from now on; a second time finds nothing to do."""
        self._run(
            lambda connection: connection.execute(
                "UPDATE owners SET instance = %s WHERE instance = %s", (instance, former)
            )
        )

    def erase(self, instance: str) -> None:
        """Forget the session of an instance with all of its keys. It can be repeated."""

        def forget(connection: postgres.Connection) -> None:
            found = connection.execute(
                "DELETE FROM owners WHERE instance = %s RETURNING device", (instance,)
            ).fetchone()
            if found and _has_devices(connection):
                # All other tables of the library refer to this one and follow it.
                connection.execute("DELETE FROM whatsmeow_device WHERE jid = %s", found)

        self._run(forget)

    def aliases(self, address: str) -> set[str]:
        """The canonical address, and others that the library knows to be the same person's."""

        def find(connection: postgres.Connection) -> set[str]:
            if not _tables(connection):
                return {address}
            pairs = [
                {canonical(f"{lid}@lid"), canonical(number)}
                for lid, number in connection.execute(
                    "SELECT lid, pn FROM whatsmeow_lid_map WHERE lid = %s OR pn = ANY(%s)",
                    (address.removesuffix("@lid"), list(written_forms(address))),
                )
            ]
            return {address}.union(*(pair for pair in pairs if address in pair))

        return self._run(find)

    def forget(self, forms: Collection[str], columns: Collection[str]) -> None:
        """Delete every row that names one of these users in one of the columns, but for our own devices."""

        def clean(connection: postgres.Connection) -> None:
            for table, column in _tables(connection):
                if column in columns and table != OURS:
                    connection.execute(
                        sql.SQL("DELETE FROM {} WHERE regexp_replace({}, '[@:._].*', '') = ANY(%s)").format(
                            sql.Identifier(table), sql.Identifier(column)
                        ),
                        (list(forms),),
                    )

        self._run(clean)

    def _run(self, work: Callable[[postgres.Connection], T]) -> T:
        """In one transaction."""
        try:
            with self._connect() as connection, connection.transaction():
                return work(connection)
        except psycopg.Error as ex:
            raise postgres.meaning_of(ex) from ex

    def _connect(self) -> postgres.Connection:
        return postgres.connect_pooled(self._url) if self._pooled else postgres.connect(self._url, schema=SCHEMA)


@cache
def sessions_at(url: str, *, pooled: bool) -> Sessions:
    """The same for all in this process: one connection watches for all of them."""
    return Sessions(url, pooled=pooled)


def _whereabouts(connection: postgres.Connection) -> object:
    """Which server, which database in it, and which of its schemas is meant by a name without one."""
    return connection.execute("SELECT pg_postmaster_start_time(), current_database(), current_schema()").fetchone()


def _has_devices(connection: postgres.Connection) -> bool:
    """Whether the library has made its tables. In a new connection `_tables` takes some 15 ms, of each number that opens."""
    return connection.execute("SELECT to_regclass(%s)", (OURS,)).fetchone() != (None,)


def _tables(connection: postgres.Connection) -> list[tuple[str, str]]:
    """The library's tables with their columns; none before the first number."""
    found = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name LIKE 'whatsmeow%%' AND data_type = 'text' ORDER BY 1, 2",
        (SCHEMA,),
    )
    return [(table, column) for table, column in found]
