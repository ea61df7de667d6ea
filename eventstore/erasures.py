"""What is written into the file of keys when somebody is forgotten, or a time is over.

An erasure has a row of its own from before its first step until nothing of it is left to do, so that a manager that dies
in between can finish it. The row names addresses only as long as the keys are there, or a file that could not be cleaned.
Every function runs in a transaction.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.keys_file import Connection


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one party: canonical addresses, and the random names its boxes stand under."""

    addresses: tuple[str, ...]
    subjects: tuple[str, ...]


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun"):
    """Whoever has these addresses is to be forgotten; the keys are still there."""

    addresses: tuple[str, ...]


class Destroyed(msgspec.Struct, frozen=True, kw_only=True, tag="destroyed", omit_defaults=True):
    """The keys of these subjects are gone; the event is still to be written, and `files` to be cleaned of `addresses`."""

    subjects: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    files: tuple[str, ...] | None = None
    """Those that refused, below the data directory. None where an earlier manager did not say which: all."""


class Expired(msgspec.Struct, frozen=True, kw_only=True, tag="expired"):
    """The keys of all days before this one are gone; the event is still to be written."""

    before: str


Stage = Begun | Destroyed | Expired


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One that is under way. `id` is a UUID, and the id of its event."""

    id: str
    at: datetime
    stage: Stage


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Stage).decode


def person(connection: Connection, addresses: Iterable[str]) -> Person:
    """Whoever is known under any of these addresses, with all others of theirs."""
    known = set(addresses)
    people = {
        found
        for address in known
        for (found,) in connection.execute("SELECT person FROM addresses WHERE address = ?", (address,))
    }
    subjects: set[str] = set()
    for each in people:
        known.update(
            address for (address,) in connection.execute("SELECT address FROM addresses WHERE person = ?", (each,))
        )
        subjects.update(
            name for (name,) in connection.execute("SELECT subject FROM subjects WHERE person = ?", (each,))
        )
    return Person(addresses=tuple(sorted(known)), subjects=tuple(sorted(subjects)))


def write_down(connection: Connection, erasure: Erasure) -> None:
    """Remember how far it has come."""
    row = (erasure.id, moment(erasure.at), _encode(erasure.stage).decode())
    connection.execute(
        "INSERT INTO erasures VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at, erased = excluded.erased",
        row,
    )


def destroy(
    connection: Connection, erasure: Erasure, addresses: Iterable[str], at: datetime, files: tuple[str, ...]
) -> Erasure:
    """Destroy the keys of whoever has any of these addresses; these are forgotten, unless `files` are left to be cleaned.

    `at` is the moment of its event.
    """
    found = person(connection, addresses)
    connection.executemany("DELETE FROM subjects WHERE subject = ?", [(each,) for each in found.subjects])
    connection.executemany("DELETE FROM addresses WHERE address = ?", [(each,) for each in found.addresses])
    left = Destroyed(subjects=found.subjects, addresses=found.addresses, files=files)
    done = msgspec.structs.replace(erasure, at=at, stage=left if files else Destroyed(subjects=found.subjects))
    write_down(connection, done)
    return done


def expire(connection: Connection, erasure: Erasure, before: str) -> Erasure | None:
    """Destroy the keys of all days before one; None where there are none."""
    if not connection.execute("DELETE FROM periods WHERE period < ? RETURNING 1", (before,)).fetchall():
        return None
    write_down(connection, erasure)
    return erasure


def unfinished(connection: Connection) -> list[Erasure]:
    """Those that are under way, oldest first."""
    rows = connection.execute("SELECT id, at, erased FROM erasures ORDER BY at, id").fetchall()
    return [Erasure(id=id_, at=datetime.fromisoformat(at), stage=_decode(stage)) for id_, at, stage in rows]


def finish(connection: Connection, id_: str) -> None:
    """Nothing of it is left to do."""
    connection.execute("DELETE FROM erasures WHERE id = ?", (id_,))
