"""What is written into the file of keys when somebody is forgotten, or a time is over.

An erasure has a row of its own from before its first step until nothing of it is left to do, so that a manager that dies
in between can finish it. The row names addresses only as long as the keys are there, or a machine that is to be cleaned.
Where several nodes share the keys each of them writes down there what is done on its machine. Every function runs in a
transaction that keeps others from writing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import assert_never

import msgspec

from chatbot_erp.eventstore.chain import moment
from chatbot_erp.eventstore.keys_file import Connection


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one party: canonical addresses, and the random names its boxes stand under."""

    addresses: tuple[str, ...]
    subjects: tuple[str, ...]


WHOEVER = ""
"""Stands among machines for the one there is; where they have names, for what any of them can clean that goes on with an
erasure: the database."""

DATABASE, SPOOLS = "database", "spool"
"""Stand among places for the WhatsApp sessions in the database, and for all spools together."""

Places = tuple[str, ...] | None
"""What is to be cleaned, below a data directory; None: all that may speak of somebody."""


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun", omit_defaults=True):
    """Whoever has these addresses is to be forgotten; the keys are still there."""

    addresses: tuple[str, ...]
    """As they were named by whoever wants it."""
    aliases: tuple[str, ...] = ()
    """What nodes found in their session files beside these."""
    ready: dict[str, bool] = {}
    """Lives of nodes whose spools hold nothing of them, and whether files of messages are on that machine."""


class Destroyed(msgspec.Struct, frozen=True, kw_only=True, tag="destroyed", omit_defaults=True):
    """The keys of these subjects are gone; the event is still to be written, and machines to be cleaned of `addresses`."""

    subjects: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    """Those of the addresses that were named by whoever wants it."""
    left: dict[str, Places] = {}
    """By the names of machines. One that was cleaned but for what refused it has just that."""
    media: tuple[str, ...] = ()
    """Where the files of their messages are, below the data directory of whichever machine has them."""


class Expired(msgspec.Struct, frozen=True, kw_only=True, tag="expired"):
    """The keys of all days before this one are gone; the event is still to be written."""

    before: str


Stage = Begun | Destroyed | Expired


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One that is under way. `id` is a UUID, and the id of its event."""

    id: str
    at: datetime
    stage: Stage

    @property
    def uncleaned(self) -> tuple[str, ...]:
        """Nodes whose machines nothing was done on yet since the keys were destroyed."""
        if not isinstance(self.stage, Destroyed):
            return ()
        return tuple(machine for machine, places in self.stage.left.items() if machine and places is None)

    def keeps_spools_of(self, machine: str, life: str) -> bool:
        """Whether the spools there may still hold words of theirs: none is read or handed over before they are cleaned."""
        match self.stage:
            case Begun(ready=ready):
                return life not in ready
            case Destroyed(left=left):
                of_it = (left.get(each, ()) for each in (machine, WHOEVER))
                return any(places is None or SPOOLS in places for places in of_it)
            case Expired():
                return False
            case _:
                assert_never(self.stage)


_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Stage] = msgspec.json.Decoder(Stage)


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


def be_ready(
    connection: Connection, erasure: Erasure, life: str, aliases: Iterable[str], *, has_files: bool
) -> Erasure:
    """The spools of a node hold nothing of them. Its files may know more addresses of theirs. How it stands then."""
    now = find(connection, erasure.id)
    if now is None:
        return msgspec.structs.replace(erasure, stage=Destroyed(subjects=()))
    if not isinstance(now.stage, Begun):
        return now
    known = {*now.stage.aliases, *aliases}.difference(now.stage.addresses)
    ready = {**now.stage.ready, life: has_files}
    stage = Begun(addresses=now.stage.addresses, aliases=tuple(sorted(known)), ready=ready)
    done = msgspec.structs.replace(now, stage=stage)
    write_down(connection, done)
    return done


def destroy(
    connection: Connection,
    erasure: Erasure,
    addresses: Iterable[str],
    at: datetime,
    left: Mapping[str, Places],
    media: tuple[str, ...],
) -> Erasure:
    """Destroy the keys of whoever has any of these addresses; these are forgotten, unless somebody is `left` to be cleaned.

    `at` is the moment of its event. Where somebody else was faster, nothing is done.
    """
    now = find(connection, erasure.id)
    if now is None:
        return msgspec.structs.replace(erasure, stage=Destroyed(subjects=()))
    if not isinstance(now.stage, Begun):
        return now
    found = person(connection, {*addresses, *now.stage.addresses, *now.stage.aliases})
    connection.executemany("DELETE FROM subjects WHERE subject = ?", [(each,) for each in found.subjects])
    connection.executemany("DELETE FROM addresses WHERE address = ?", [(each,) for each in found.addresses])
    unclean = Destroyed(
        subjects=found.subjects, addresses=found.addresses, named=now.stage.addresses, left=dict(left), media=media
    )
    done = msgspec.structs.replace(erasure, at=at, stage=unclean if left else Destroyed(subjects=found.subjects))
    write_down(connection, done)
    return done


def know(connection: Connection, erasure: Erasure, aliases: Iterable[str]) -> Erasure:
    """Whoever's keys were destroyed has these addresses, too; how it stands then."""

    def known(stage: Destroyed) -> Destroyed:
        return msgspec.structs.replace(stage, addresses=tuple(sorted({*stage.addresses, *aliases})))

    return _amend(connection, erasure, known)


def owe(connection: Connection, erasure: Erasure, left: Mapping[str, Places]) -> Erasure:
    """These are to be cleaned, too, instead of what was left to whoever comes; how it stands then."""

    def owed(stage: Destroyed) -> Destroyed:
        of_machines = {machine: places for machine, places in stage.left.items() if machine != WHOEVER}
        return msgspec.structs.replace(stage, left={**left, **of_machines})

    return _amend(connection, erasure, owed)


def inherit(connection: Connection, erasure: Erasure, names: Collection[str], machine: str) -> Erasure:
    """What is left to any of these machines is left to this one, which they are; how it stands then."""

    def inherited(stage: Destroyed) -> Destroyed:
        left = {each: places for each, places in stage.left.items() if each not in names}
        for places in (stage.left[each] for each in names if each in stage.left):
            own = left.get(machine, ())
            left[machine] = None if own is None or places is None else tuple(dict.fromkeys((*own, *places)))
        return msgspec.structs.replace(stage, left=left)

    return _amend(connection, erasure, inherited)


def strike(connection: Connection, erasure: Erasure, cleaned: Mapping[str, tuple[str, ...]]) -> Erasure:
    """These machines were cleaned, but for what refused. The addresses go with the last of them."""

    def struck(stage: Destroyed) -> Destroyed:
        left = {machine: cleaned.get(machine, places) for machine, places in stage.left.items()}
        left = {machine: places for machine, places in left.items() if places != ()}
        return msgspec.structs.replace(stage, left=left) if left else Destroyed(subjects=stage.subjects)

    return _amend(connection, erasure, struck)


def _amend(connection: Connection, erasure: Erasure, change: Callable[[Destroyed], Destroyed]) -> Erasure:
    """Where it is still under way; how it stands then."""
    now = find(connection, erasure.id)
    if now is None or not isinstance(now.stage, Destroyed):
        return erasure
    done = msgspec.structs.replace(now, stage=change(now.stage))
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
    return [_read(*row) for row in rows]


def find(connection: Connection, id_: str) -> Erasure | None:
    """One of them."""
    row = connection.execute("SELECT id, at, erased FROM erasures WHERE id = ?", (id_,)).fetchone()
    return None if row is None else _read(*row)


def finish(connection: Connection, id_: str) -> None:
    """Nothing of it is left to do."""
    connection.execute("DELETE FROM erasures WHERE id = ?", (id_,))


def _read(id_: str, at: str, erased: str) -> Erasure:
    stage = _decoder.decode(erased)
    if isinstance(stage, Destroyed) and stage.addresses and not stage.left:
        # An earlier manager's, which knew of no machines.
        stage = msgspec.structs.replace(stage, left={WHOEVER: None})
    return Erasure(id=id_, at=datetime.fromisoformat(at), stage=stage)
