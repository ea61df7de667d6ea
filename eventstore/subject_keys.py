"""The keys that personal data in the log is encrypted with: one for each subject and one for each day.

A box is locked with a key made of both: destroying a subject's key erases the subject, destroying a day's key drops
what everybody said on that day. A person may be known under several addresses (number, LID), and may have several
subjects where that was found out late; it is erased as one.
"""

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import NamedTuple, TypeVar
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chatbot_erp.eventstore import erasures
from chatbot_erp.eventstore.database import unavailable
from chatbot_erp.eventstore.erasures import Begun, Erasure, Person
from chatbot_erp.eventstore.errors import StoreClosed, StoreUnavailable
from chatbot_erp.eventstore.keys_file import Connection, open_keys, open_keys_to_read

T = TypeVar("T")

REMEMBERED = 50_000
"""Keys held in memory; more than so many, and they are read anew."""

QUERIED = 500
"""Addresses in one query; either database takes some more."""


class Wanted(NamedTuple):
    """Whose box, and of which day (`YYYY-MM-DD`, UTC). `owners` are canonical addresses of one party."""

    owners: tuple[str, ...]
    period: str


class Lock(NamedTuple):
    """What closes a box, and the random name of whom it belongs to."""

    subject: str
    cipher: AESGCM


class SubjectKeys:
    """Any thread may call. Every method may raise StoreUnavailable, and StoreClosed after `close`."""

    def __init__(self, connection: Connection | None) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._gate = threading.Lock()
        self._waiting: list[Wanted] = []
        self._locks: dict[Wanted, Lock] = {}
        self._ciphers: dict[tuple[str, str], AESGCM | None] = {}
        self._closed = False
        self._lost_by_all = 0
        self._outdated = False
        self._heed: Callable[[], None] = lambda: None
        self.losses = 0
        """It grows when an erasure begins and when keys are destroyed: what was read before may hold what is erased now."""

    @classmethod
    def open(cls, directory: Path) -> "SubjectKeys":
        """The keys in `directory`, made if there are none. Raises KeysMissing, LogTooNew, StoreUnavailable."""
        return cls(open_keys(directory))

    @classmethod
    def open_to_read(cls, directory: Path) -> "SubjectKeys":
        """For opening boxes only; without a file of keys every box stays closed. Raises LogTooNew, StoreUnavailable."""
        return cls(open_keys_to_read(directory))

    def locks(self, wanted: Sequence[Wanted]) -> list[Lock]:
        """What to lock with; keys that are new are on disk before this returns."""
        self._catch_up()
        known = self._locks
        found = [known.get(each) for each in wanted]
        if None in found:
            self._make([each for each, lock in zip(wanted, found, strict=True) if lock is None])
            with self._turn:
                self._renew()
                found = [known.get(each) or self._lock_of(each) for each in wanted]
        return [lock for lock in found if lock is not None]

    def cipher(self, subject: str, period: str) -> AESGCM | None:
        """What opens the boxes of a subject and a day; None where a key was destroyed."""
        self._catch_up()
        place = (subject, period)
        try:
            return self._ciphers[place]
        except KeyError:
            with self._turn:
                return self._cipher_of(place)

    def lock_of_known(self, wanted: Wanted) -> Lock | None:
        """As `locks`, but for a party that is known already; None for any other, and then nothing was made."""
        self._catch_up()
        if lock := self._locks.get(wanted):
            return lock
        with self._turn:  # in one: between two, an erasure would come, and a key be made for who was just forgotten
            return self._lock_of(wanted) if self._write(lambda connection: _enrol_known(connection, wanted)) else None

    def person(self, addresses: Iterable[str]) -> Person:
        """Whoever is known under any of these canonical addresses, with all other names of theirs."""
        nobody = Person(addresses=tuple(sorted(set(addresses))), subjects=())
        return self._read(lambda connection: erasures.person(connection, nobody.addresses), nobody)

    def any(self) -> bool:
        """Whether there is a key of anybody."""
        return (
            self._read(lambda connection: connection.execute("SELECT 1 FROM subjects LIMIT 1").fetchone(), None)
            is not None
        )

    def join(self, pairs: Collection[tuple[str, str]]) -> None:
        """Each two canonical addresses are one party's; what concerns nobody who is known here is not kept."""
        if pairs:
            with self._turn:
                self._write(lambda connection: _join(connection, pairs))

    def begin_erasure(self, addresses: Iterable[str], at: datetime) -> Erasure:
        """Put on record that whoever has these addresses is to be forgotten. Nothing else has happened yet."""
        erasure = Erasure(id=str(uuid4()), at=at, stage=Begun(addresses=tuple(sorted(addresses))))
        with self._turn:
            self._write(lambda connection: erasures.write_down(connection, erasure))
            self._count_loss()
        return erasure

    def write(self, change: Callable[[Connection], T]) -> T:
        """What `change` does is on disk, or nothing of it. It destroys no keys."""
        with self._turn:
            return self._write(change)

    def destroy(self, change: Callable[[Connection], T]) -> T:
        """As `write`, where keys are destroyed: what was locked with them is empty for whoever reads it from now on."""
        with self._turn:
            try:
                return self._write(change)
            finally:
                self._lose()

    def unfinished_erasures(self) -> list[Erasure]:
        """What was begun, in this life or an earlier one, and not finished."""
        return self._read(erasures.unfinished, [])

    def erasure(self, id_: str) -> Erasure | None:
        """One of them, as it stands now."""
        return self._read(lambda connection: erasures.find(connection, id_), None)

    def forget(self) -> None:
        """Read every key anew: another server may have taken over that never had some of them."""
        with self._turn:
            self._forget()

    def notice(self, losses: int) -> None:
        """Others lost keys as well, so often by now: what is known of them may be out of date. Waits for nobody."""
        if losses != self._lost_by_all:
            self._lost_by_all = losses
            self._outdated = True
            self._count_loss()
            self._heed()

    def heed(self, noticed: Callable[[], None]) -> None:
        """Have this called, on a thread that must not wait, when `notice` has found that others lost or will lose keys."""
        self._heed = noticed

    def close(self) -> None:
        """Idempotent."""
        with self._turn:
            self._forget()
            if self._connection is not None:
                self._connection.close()
            self._connection, self._closed = None, True

    def _make(self, wanted: list[Wanted]) -> None:
        """Have keys for all of `wanted`. Who waits for the disk takes along what came meanwhile."""
        with self._gate:
            self._waiting += wanted
        with self._turn:
            with self._gate:
                taken, self._waiting = self._waiting, []
            if taken:  # else whoever had the turn before took ours along
                self._write(lambda connection: _enrol(connection, taken))

    def _lock_of(self, wanted: Wanted) -> Lock:
        """Has the turn. Raises StoreUnavailable where whoever was to write the keys could not."""
        try:
            found = self._open().execute("SELECT person FROM addresses WHERE address = ?", wanted.owners[:1]).fetchone()
        except sqlite3.Error as ex:
            raise unavailable(ex) from ex
        subject = found[0] if found else ""
        cipher = self._cipher_of((subject, wanted.period))
        if cipher is None:
            raise StoreUnavailable("io", "the keys of a new subject could not be written")
        if len(self._locks) >= REMEMBERED:
            self._locks.clear()
        lock = self._locks[wanted] = Lock(subject, cipher)
        return lock

    def _cipher_of(self, place: tuple[str, str]) -> AESGCM | None:
        """Has the turn."""
        self._renew()
        if place in self._ciphers:
            return self._ciphers[place]
        if self._connection is None and not self._closed:
            return None
        try:
            keys = self._open().execute(
                "SELECT (SELECT key FROM subjects WHERE subject = ?), (SELECT key FROM periods WHERE period = ?)", place
            )
            of_subject, of_period = keys.fetchone()
        except sqlite3.Error as ex:
            raise unavailable(ex) from ex
        made = None if of_subject is None or of_period is None else AESGCM(_derive(of_subject, of_period))
        if len(self._ciphers) >= REMEMBERED:
            self._ciphers.clear()
        self._ciphers[place] = made
        return made

    def _read(self, question: Callable[[Connection], T], otherwise: T) -> T:
        """The answer; `otherwise` where there is no file of keys."""
        with self._turn:
            if self._connection is None and not self._closed:
                return otherwise
            try:
                return question(self._open())
            except sqlite3.Error as ex:
                raise unavailable(ex) from ex

    def _write(self, change: Callable[[Connection], T]) -> T:
        """Has the turn. What `change` does is on disk, or nothing of it."""
        connection = self._open()
        try:
            connection.execute("BEGIN IMMEDIATE")
            changed = change(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as ex:
            raise unavailable(ex) from ex
        finally:
            if connection.in_transaction:
                connection.rollback()
        return changed

    def _open(self) -> Connection:
        if self._connection is None:
            raise StoreClosed
        return self._connection

    def _lose(self) -> None:
        """Also after a failure: the keys may be gone all the same, where only the answer to COMMIT was lost."""
        self._forget()
        self._count_loss()

    def _count_loss(self) -> None:
        with self._gate:
            self.losses += 1

    def _catch_up(self) -> None:
        """Know nothing any more that others have destroyed, as far as that was noticed."""
        if self._outdated:
            with self._turn:
                self._renew()

    def _renew(self) -> None:
        """Has the turn."""
        if self._outdated:
            self._forget()

    def _forget(self) -> None:
        """Has the turn."""
        self._outdated = False
        self._locks.clear()
        self._ciphers.clear()


def _enrol(connection: Connection, wanted: Iterable[Wanted]) -> None:
    for owners in {each.owners for each in wanted}:
        _person_of(connection, owners)
    for period in {each.period for each in wanted}:
        connection.execute("INSERT INTO periods VALUES (?, ?) ON CONFLICT DO NOTHING", (period, token_bytes(32)))


def _enrol_known(connection: Connection, wanted: Wanted) -> bool:
    """Have the keys for a party that is known; false for any other."""
    if not erasures.person(connection, wanted.owners).subjects:
        return False
    _enrol(connection, [wanted])
    return True


def _join(connection: Connection, pairs: Collection[tuple[str, str]]) -> None:
    known: dict[str, str] = {}
    addresses = list({address for pair in pairs for address in pair})
    for start in range(0, len(addresses), QUERIED):
        some = addresses[start : start + QUERIED]
        places = ", ".join("?" * len(some))
        known.update(connection.execute(f"SELECT address, person FROM addresses WHERE address IN ({places})", some))
    for pair in pairs:
        found = {known.get(address) for address in pair}
        if found != {None} and len(found) > 1:
            _person_of(connection, pair)


def _person_of(connection: Connection, owners: tuple[str, ...]) -> str:
    """The person behind these addresses, made or put together if need be."""
    known = {
        person
        for owner in owners
        for (person,) in connection.execute("SELECT person FROM addresses WHERE address = ?", (owner,))
    }
    person = min(known, default="") or token_hex(8)
    if not known:
        connection.execute("INSERT INTO subjects VALUES (?, ?, ?)", (person, person, token_bytes(32)))
    for other in known - {person}:
        for table in ("addresses", "subjects"):
            connection.execute(f"UPDATE {table} SET person = ? WHERE person = ?", (person, other))
    connection.executemany(
        "INSERT INTO addresses VALUES (?, ?) ON CONFLICT (address) DO UPDATE SET person = excluded.person",
        [(owner, person) for owner in owners],
    )
    return person


def _derive(of_subject: bytes, of_period: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=of_period, info=b"chatbot-erp box 1").derive(of_subject)
