"""The people in a log: what it holds of one of them, and how one is forgotten.

To forget somebody: `begin`, see to spools, `destroy` the keys, `record` it, see to what else lies outside the log, `finish`.
Each step is on disk before the next; `unfinished` has those that were cut off. The erasure is an event of the stream
`STREAM`, which names the subjects, but no number.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, assert_never
from uuid import uuid4

from chatbot_erp.eventstore import erasures
from chatbot_erp.eventstore.erasures import Begun, Destroyed, Erasure, Expired, Person, Places
from chatbot_erp.eventstore.errors import LogCorrupt, StoreError, VersionConflict
from chatbot_erp.eventstore.events import ContentExpired, Event, SubjectErased
from chatbot_erp.eventstore.records import NewEvent, Recorded
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.walk import Progress

STREAM = "privacy"
STRETCH = 20_000
"""Positions in one query: no long read keeps the write-ahead file growing."""

LEGIBLE_STRETCH = 1_000
"""The same, where all that is found is held in memory."""

STRETCHES = 10
"""Queries for one page at most, so that a page of a large log takes a second, not a minute."""


class Log(Protocol):
    """What is read here: the store of a running manager, or a log that is only looked at."""

    def head(self) -> int: ...

    def read_sealed(self, subjects: Collection[str], *, after: int, until: int, limit: int) -> list[Recorded]: ...


def page(log: Log, person: Person, *, after: int, limit: int) -> tuple[list[Recorded], int | None]:
    """Up to `limit` events behind `after` that are sealed for the person, and where to go on; None where nothing is left.

    A page may be short, even empty, and not be the last one.
    """
    head, found = log.head(), list[Recorded]()
    for _ in range(STRETCHES):
        if after >= head or not person.subjects:
            return found, None
        until, room = min(head, after + STRETCH), limit - len(found)
        stretch = log.read_sealed(person.subjects, after=after, until=until, limit=room)
        found += stretch
        after = stretch[-1].position if len(stretch) == room else until
        if len(found) == limit:
            break
    return found, after


def events(log: Log, person: Person, progress: Progress = lambda done, total: None) -> Iterator[Recorded]:
    """All of them, in the order of the log, however many."""
    after: int | None = 0
    while after is not None:
        found, after = page(log, person, after=after, limit=1000)
        yield from found
        if after is not None:
            progress(after, log.head())


def legible(log: Log, person: Person) -> Iterator[Recorded]:
    """As `events`, without what is damaged and cannot be read."""
    head = log.head() if person.subjects else 0
    for after in range(0, head, LEGIBLE_STRETCH):
        yield from _legible(log, person.subjects, after, min(head, after + LEGIBLE_STRETCH))


def _legible(log: Log, subjects: Collection[str], after: int, until: int) -> Iterator[Recorded]:
    try:
        yield from log.read_sealed(subjects, after=after, until=until, limit=until - after)
    except LogCorrupt:
        if until - after > 1:
            middle = (after + until) // 2
            yield from _legible(log, subjects, after, middle)
            yield from _legible(log, subjects, middle, until)


class Subjects:
    """Any thread may call. Every method may raise StoreError."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._keys = store.keys

    def person(self, addresses: Iterable[str]) -> Person:
        """Whoever is known under any of these canonical addresses."""
        return self._keys.person(addresses)

    def begin(self, addresses: Iterable[str], at: datetime) -> Erasure:
        """Put on record that somebody is to be forgotten."""
        return self._keys.begin_erasure(addresses, at)

    def be_ready(self, erasure: Erasure, life: str, aliases: Iterable[str], *, has_files: bool) -> Erasure:
        """Put on record that the spools of a node hold nothing of them, and what else it knows them by; how it stands then."""
        return self._keys.write(lambda line: erasures.be_ready(line, erasure, life, aliases, has_files=has_files))

    def destroy(
        self,
        erasure: Erasure,
        addresses: Iterable[str],
        at: datetime,
        *,
        left: Mapping[str, Places] = MappingProxyType({}),
        media: tuple[str, ...] = (),
    ) -> Erasure:
        """Destroy the keys of whoever has any of these addresses: nobody can read any more what was theirs.

        A message of theirs that is being appended at this very moment is erased, too. Machines are `left` to be cleaned:
        they and the addresses stay on record until the last one was.
        """
        return self._keys.destroy(lambda line: erasures.destroy(line, erasure, addresses, at, left, media))

    def know(self, erasure: Erasure, aliases: Iterable[str]) -> Erasure:
        """Put on record what a machine that is to be cleaned knows them by; how it stands then."""
        return self._keys.write(lambda line: erasures.know(line, erasure, aliases))

    def owe(self, erasure: Erasure, left: Mapping[str, Places]) -> Erasure:
        """Put on record what is to be cleaned instead of what was left to whoever comes; how it stands then."""
        return self._keys.write(lambda line: erasures.owe(line, erasure, left))

    def inherit(self, erasure: Erasure, names: Collection[str], machine: str) -> Erasure:
        """Put on record that what is left to these names of a machine is left to its present one; how it stands then."""
        return self._keys.write(lambda line: erasures.inherit(line, erasure, names, machine))

    def strike(self, erasure: Erasure, cleaned: Mapping[str, tuple[str, ...]]) -> Erasure:
        """Put on record which machines were cleaned, but for these places; how it stands then."""
        return self._keys.write(lambda line: erasures.strike(line, erasure, cleaned))

    def again(self, erasure: Erasure) -> Erasure | None:
        """How it stands now; None where it is finished."""
        return self._keys.erasure(erasure.id)

    def expire(self, before: str, at: datetime) -> Erasure | None:
        """Destroy the keys of all days before one (YYYY-MM-DD, UTC); None where that was done already."""
        erasure = Erasure(id=str(uuid4()), at=at, stage=Expired(before=before))
        return self._keys.destroy(lambda line: erasures.expire(line, erasure, before))

    def unfinished(self) -> list[Erasure]:
        """Erasures of which something is left to do."""
        return self._keys.unfinished_erasures()

    def finish(self, erasure: Erasure) -> int | None:
        """As `record`, and nothing of it is left to do."""
        position = self.record(erasure)
        self.end(erasure)
        return position

    def end(self, erasure: Erasure) -> None:
        """Nothing of it is left to do: it is on record."""
        self._keys.write(lambda line: erasures.finish(line, erasure.id))

    def record(self, erasure: Erasure) -> int | None:
        """Append the event of what was destroyed, once; its position. None where nothing was: then there is no event."""
        match erasure.stage:
            case Begun():
                raise ValueError("The keys are still there.")
            case Destroyed(subjects=subjects):
                return self._append(erasure, SubjectErased(subjects=subjects)) if subjects else None
            case Expired(before=before):
                return self._append(erasure, ContentExpired(before=before))
            case _:
                assert_never(erasure.stage)

    def _append(self, erasure: Erasure, event: Event) -> int:
        new = NewEvent(id=erasure.id, event=event, recorded_at=erasure.at)
        for _ in range(100):
            version = self._store.version(STREAM)
            try:
                appended = self._store.append(STREAM, version, [new], snapshot=b"").result()
            except VersionConflict:
                continue  # another erasure was first
            if appended.records:
                return appended.records[0].position
            found = self.recorded(erasure)  # a life before had appended it, or another node
            assert found is not None, "what is known stands in the log"
            return found.position
        raise StoreError("The erasures are recorded faster than this one could be.")

    def recorded(self, erasure: Erasure) -> Recorded | None:
        """Its event, if it has one by now."""
        return next((each for each in self._past() if each.id == erasure.id), None)

    def _past(self) -> Iterator[Recorded]:
        after = 0
        while found := self._store.read(stream=STREAM, after=after):
            yield from found
            after = found[-1].position
