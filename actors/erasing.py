"""Forgetting somebody: the keys to what the log holds of them, and every trace of them in files beside it.

An erasure is on record before it begins. What it does to the log ends with its event, `subject.erased`. One that was cut
off, by a crash or a disk that refused, is taken up by `resume`, at the next start and every few minutes. A file that
cannot be cleaned, perhaps never, does not keep the keys from being destroyed; only a spool does, which is still to be
read into the log.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import assert_never

import msgspec
import structlog

from chatbot_erp.actors import session_traces, traces
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.errors import ErasureUnfinished, Unavailable
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_specs import media_in
from chatbot_erp.actors.phone_numbers import normalise
from chatbot_erp.eventstore.addresses import canonical, written_forms
from chatbot_erp.eventstore.erasures import Begun, Destroyed, Erasure, Expired, Person
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import MessageEdited, MessageReceived
from chatbot_erp.eventstore.places import sessions_in
from chatbot_erp.eventstore.records import Recorded
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.subjects import Subjects, legible, page

log = structlog.get_logger()

TURN_PATIENCE_S = 30.0

DATABASE = "database"
"""Stands among files for the WhatsApp sessions in the database."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what the log holds of somebody; the next one begins behind `next`, None where this is the last."""

    addresses: tuple[str, ...]
    """All names under which somebody is known: digits of a number, `…@lid`. Those of Brazil without the ninth digit."""
    records: tuple[Recorded, ...]
    next: int | None


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is forgotten. `position` is where that stands in the log, None where the log knew nothing of them."""

    id: str
    position: int | None
    subjects: int


class Eraser:
    """Any thread may call; what changes something waits for its turn. Methods may raise `StoreError`."""

    def __init__(self, store: EventStore, config: Config) -> None:
        self._store = store
        self._subjects = Subjects(store)
        self._directory = config.data_dir
        self._database = config.database
        self._files = MediaFiles(config)
        self._turn = Lock()

    def held(self, number: str, *, after: int, limit: int) -> Held:
        """What the log holds of whoever has this number, LID or group's jid. Raises `BadNumber`."""
        person = self._subjects.person(self._names(number))
        records, reached = page(self._store, person, after=after, limit=limit)
        return Held(addresses=person.addresses, records=tuple(records), next=reached)

    def erase(self, number: str, now: datetime) -> Erased:
        """Forget them. A second time finds nothing to do. Raises `BadNumber`, `ErasureUnfinished`, `Unavailable`."""
        names = self._names(number)
        with _Turn(self._turn):
            return self._go_on(self._subjects.begin(names, now), now)

    def forget_here(self, number: str) -> None:
        """Forget them in the files of this machine, while their keys are there still. As `erase`."""
        with _Turn(self._turn):
            person = self._subjects.person(self._names(number))
            self._forget_in_spools(person)
            refusals = self._forget_in([*self._media_of(person), *self._beside_the_log()], person.addresses)
        if refusals:
            raise ErasureUnfinished(f"The keys are not destroyed yet, for {'; '.join(refusals.values())}.")

    def expire(self, keep_days: int, now: datetime) -> None:
        """Destroy the keys of what was said longer ago than so many days, of whomever.

        Raises `Unavailable`, and `OSError` where something that was parked then stays.
        """
        before = f"{now - timedelta(days=keep_days):%Y-%m-%d}"
        with _Turn(self._turn):
            if expired := self._subjects.expire(before, now):
                self._subjects.finish(expired)
            traces.drop_parked_before(self._directory, now - timedelta(days=keep_days))

    def resume(self, now: datetime) -> None:
        """Finish what was begun and cut off; one that has to wait on holds up no other.

        When all were tried, raises `StoreError` or `ErasureUnfinished` where one is not.
        """
        obstacle: StoreError | ErasureUnfinished | None = None
        with _Turn(self._turn):
            for erasure in self._subjects.unfinished():
                try:
                    self._go_on(erasure, now)
                except (StoreError, ErasureUnfinished) as ex:
                    log.error("an erasure is not finished", action="erasure_stuck", erasure=erasure.id, error=str(ex))
                    obstacle = obstacle or ex
        if obstacle is not None:
            raise obstacle

    def _go_on(self, erasure: Erasure, now: datetime) -> Erased:
        refusals: dict[str, str] = {}
        match erasure.stage:
            case Begun(addresses=addresses):
                person = self._subjects.person(addresses)
                self._forget_in_spools(person)
                refusals = self._forget_in([*self._media_of(person), *self._beside_the_log()], person.addresses)
                erasure = self._subjects.destroy(erasure, person.addresses, now, files=tuple(refusals))
            case Destroyed(addresses=addresses, files=files) as stage:
                # Not in all of them: what the others hold by now is of a life since.
                left = self._beside_the_log() if files is None else [self._directory / name for name in files]
                refusals = self._forget_in(left, addresses) if addresses else {}
                if refusals and tuple(refusals) != files:
                    stage = msgspec.structs.replace(stage, files=tuple(refusals))
                    erasure = msgspec.structs.replace(erasure, stage=stage)
                    self._subjects.note(erasure)
            case Expired():
                pass
            case _:
                assert_never(erasure.stage)
        if refusals:
            self._subjects.record(erasure)
            raise ErasureUnfinished(f"The keys are destroyed, but {'; '.join(refusals.values())}.")
        position = self._subjects.finish(erasure)
        count = len(erasure.stage.subjects) if isinstance(erasure.stage, Destroyed) else 0
        return Erased(id=erasure.id, position=position, subjects=count)

    def _forget_in_spools(self, person: Person) -> None:
        """Before the keys are destroyed: what is read from a spool afterwards would be somebody new's."""
        try:
            traces.drop_spooled(self._directory, set(person.addresses), _forms_of(person.addresses))
        except OSError as ex:
            raise ErasureUnfinished(f"The keys are not destroyed yet: a spool cannot be changed ({ex}).") from ex

    def _media_of(self, person: Person) -> Iterator[Path]:
        """Files of their messages: only who can read a message knows the name of its file."""
        if self._files.any():
            for record in legible(self._store, person):
                if isinstance(record.event, MessageReceived | MessageEdited):
                    media = media_in(record.event.raw, record.event.message_id)
                    if media is not None:
                        yield self._files.place(record.stream, media)

    def _beside_the_log(self) -> Iterator[Path]:
        """All other places that may speak of somebody."""
        for pattern in ("parked/*", "hosts/*.log", "sessions/*.db"):
            yield from self._directory.glob(pattern)
        if self._database is not None:
            yield self._directory / DATABASE

    def _forget_in(self, files: Iterable[Path], addresses: Collection[str]) -> dict[str, str]:
        """Clean them; which of them, by its place below the data directory, refused it and why."""
        forms = _forms_of(addresses)
        refusals = {}
        for path in files:
            place = path.relative_to(self._directory)
            try:
                match place.parts[0]:
                    case "media":
                        path.unlink(missing_ok=True)
                    case "parked":
                        traces.drop_parked(path, forms)
                    case "hosts":
                        traces.blank_last_words(path, forms)
                    case "sessions":
                        session_traces.forget(path, forms)
                    case "database" if self._database is not None:
                        sessions_in(self._database).forget(forms, session_traces.NAMES)
            except (OSError, StoreError) as ex:
                refusals[str(place)] = str(ex)
        return refusals

    def _names(self, number: str) -> Iterable[str]:
        """The number, and what WhatsApp calls its owner besides."""
        return session_traces.aliases(self._directory, self._database, canonical(normalise(number)))


class _Turn:
    """One erasure at a time. Raises `Unavailable` where the one before takes too long."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=TURN_PATIENCE_S):
            raise Unavailable("Another erasure is still under way.")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _forms_of(addresses: Collection[str]) -> set[str]:
    return {form for address in addresses for form in written_forms(address)}
