"""Forgetting somebody: the keys to what the log holds of them, and every trace of them in files beside it.

An erasure is on record before it begins. What it does to the log ends with its event, `subject.erased`. One that was cut
off, by a crash or a disk that refused, is taken up by `resume`, at the next start and every few minutes. A file that
cannot be cleaned, perhaps never, does not keep the keys from being destroyed; only a spool does, which is still to be
read into the log.

Where nodes share the log, each of them cleans what is on its machine as soon as it finds an erasure on record: before the
keys are destroyed, its spools; afterwards all else. One that is down does both when it is back, before it works.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from threading import Lock, Thread
from types import MappingProxyType
from typing import assert_never

import msgspec
import structlog

from chatbot_erp.actors import session_traces, traces
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.errors import ErasureUnfinished, Unavailable
from chatbot_erp.actors.phone_numbers import normalise
from chatbot_erp.actors.remains import Remains
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.company import VISITED
from chatbot_erp.eventstore.erasures import DATABASE, WHOEVER, Begun, Destroyed, Erasure, Expired, Places
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import SubjectErased
from chatbot_erp.eventstore.records import Recorded
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.subjects import Subjects, page
from chatbot_erp.eventstore.vault import Vault

log = structlog.get_logger()

TURN_PATIENCE_S = 30.0
OTHERS_PATIENCE_S = 60.0
"""How long the nodes that work may take to do their part."""

LOOK_EVERY_S = 0.05

VISIT = timedelta(hours=1)
"""So long a visitor is given to clean its data directory; then whoever started it was told what refused."""


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
    awaited: tuple[str, ...] = ()
    """Nodes that are down: they clean what is on their machines when they are back."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far an erasure has come. Nothing is `behind` where all that can be done now is done."""

    stage: Begun | Destroyed
    position: int | None = None
    behind: tuple[str, ...] = ()
    """Nodes that work and have not done their part yet."""
    awaited: tuple[str, ...] = ()
    """Nodes that are down."""
    refusals: Mapping[str, str] = MappingProxyType({})
    """What on which machine cannot be cleaned, and why as far as that is known here."""

    @property
    def obstacle(self) -> str:
        """One sentence; empty where there is none."""
        match self.stage:
            case Begun():
                how_far = "The keys are not destroyed yet:"
            case Destroyed():
                how_far = "The keys are destroyed, but"
            case _:
                assert_never(self.stage)
        reasons = [why or f"{what} refused" for what, why in self.refusals.items()]
        reasons += [f"the node {name} has not done its part" for name in self.behind]
        return f"{how_far} {'; '.join(reasons)}." if reasons else ""


class Eraser:
    """Any thread may call; what changes something waits for its turn. Methods may raise `StoreError`."""

    def __init__(
        self, store: EventStore, config: Config, shelf: Vault | None = None, spools: "Lock | None" = None
    ) -> None:
        """`shelf` is where nodes leave spools for each other, if anywhere. Who has `spools` may touch spools."""
        self._store = store
        self._subjects = Subjects(store)
        self._directory = config.data_dir
        self._database = config.database
        self._region = config.default_region
        self._machine = store.company.machine
        self._remains = Remains(config, shelf, spools or Lock())
        self._turn = Lock()
        store.keys.heed(lambda: Thread(target=self._take_part, name="take-part", daemon=True).start())

    def held(self, number: str, *, after: int, limit: int) -> Held:
        """What the log holds of whoever has this number, LID or group's jid. Raises `BadNumber`."""
        person = self._subjects.person(self._aliases({canonical(normalise(number, self._region))}))
        records, reached = page(self._store, person, after=after, limit=limit)
        return Held(addresses=person.addresses, records=tuple(records), next=reached)

    def erase(self, number: str, now: datetime) -> Erased:
        """Forget them. A second time finds nothing to do.

        Raises `BadNumber`; `ErasureUnfinished` where it is on record and goes on by itself; `StoreError` or `Unavailable`
        where it is not.
        """
        with _Turn(self._turn):
            self._inherit()
        erasure = self._subjects.begin({canonical(normalise(number, self._region))}, now)
        deadline = time.monotonic() + OTHERS_PATIENCE_S
        position: int | None = None
        try:
            while True:
                with _Turn(self._turn):
                    standing = self._go_on(erasure, now, position)
                position = standing.position
                if not standing.behind or time.monotonic() > deadline:
                    break
                time.sleep(LOOK_EVERY_S)
        except (StoreError, Unavailable) as ex:
            raise ErasureUnfinished(f"It is on record, but could not go on: {ex}") from ex
        if standing.obstacle:
            raise ErasureUnfinished(standing.obstacle)
        return self._outcome(erasure, standing)

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
        """Finish what was begun and cut off, here or on another node; one that has to wait on holds up no other.

        When all were tried, raises `StoreError` or `ErasureUnfinished` where one is stuck here.
        """
        obstacle: StoreError | ErasureUnfinished | None = None
        with _Turn(self._turn):
            self._inherit()
            for erasure in self._subjects.unfinished():
                try:
                    if isinstance(erasure.stage, Expired):
                        self._subjects.finish(erasure)
                        continue
                    standing = self._go_on(erasure, now)
                    if standing.obstacle and not standing.behind:
                        raise ErasureUnfinished(standing.obstacle)
                except (StoreError, ErasureUnfinished) as ex:
                    log.error("an erasure is not finished", action="erasure_stuck", erasure=erasure.id, error=str(ex))
                    obstacle = obstacle or ex
                else:
                    self._tell_of_those_behind(erasure, standing, now)
        if obstacle is not None:
            raise obstacle

    def _inherit(self) -> None:
        """What former names of this data directory had to clean, its present one has."""
        former = self._store.company.former_names()
        if not former:
            return
        unfinished = self._subjects.unfinished()
        for erasure in unfinished:
            self._subjects.inherit(erasure, former, self._machine)
        if not any(isinstance(each.stage, Begun) for each in unfinished):
            # Else it may just be left to them by somebody who has not seen the present name yet.
            self._store.company.succeed(former)

    def _tell_of_those_behind(self, erasure: Erasure, standing: Standing, now: datetime) -> None:
        if standing.behind and now - erasure.at > timedelta(seconds=OTHERS_PATIENCE_S):
            log.error("nodes hold an erasure up", action="erasure_stuck", erasure=erasure.id, behind=standing.behind)
        elif standing.behind:
            log.info("an erasure goes on", action="erasure_goes_on", erasure=erasure.id, behind=standing.behind)

    def _take_part(self) -> None:
        """Do what is to be done on this machine for whoever erases somebody; what fails is tried again by `resume`."""
        try:
            with _Turn(self._turn):
                for erasure in self._subjects.unfinished():
                    self._do_part(erasure)
        except (StoreError, Unavailable) as ex:
            log.warning("not forgotten here yet", action="forgetting_postponed", error=str(ex))

    def _do_part(self, erasure: Erasure) -> None:
        try:
            match erasure.stage:
                case Begun(ready=ready) if self._store.company.life not in ready:
                    self._be_ready(erasure, erasure.stage)
                case Destroyed(left=left) if left.get(self._machine, ()) is None:
                    self._clean(erasure, {self._machine})
                case _:
                    pass
        except (ErasureUnfinished, OSError) as ex:
            log.error("an erasure is not finished", action="erasure_stuck", erasure=erasure.id, error=str(ex))

    def _go_on(self, erasure: Erasure, now: datetime, position: int | None = None) -> Standing:
        """Do what can be done now. Raises `ErasureUnfinished` for a spool that keeps the keys.

        `position` is that of its event, if it is known to have one.
        """
        current = self._subjects.again(erasure)
        if current is None:
            # Another node has finished it.
            return Standing(stage=Destroyed(subjects=()))
        others = {name: life for name, life in self._store.company.machines().items() if name != self._machine}
        working = {name for name, life in others.items() if life is not None}
        if isinstance(current.stage, Begun):
            current = self._be_ready(current, current.stage)
        if isinstance(current.stage, Begun):
            if behind := [name for name in working if others[name] not in current.stage.ready]:
                return Standing(stage=current.stage, behind=tuple(sorted(behind)))
            person = self._subjects.person({*current.stage.addresses, *current.stage.aliases})
            has_files = self._remains.has_media() or any(current.stage.ready.values()) or working < others.keys()
            media = dict.fromkeys(self._remains.media_of(self._store, person)) if has_files else ()
            left = self._owed(others, None)
            current = self._subjects.destroy(current, person.addresses, now, left=left, media=tuple(media))
        current = self._assign(current, others)
        current, reasons = self._clean(current, {self._machine, WHOEVER})
        current = self._forget_machines(current, others, now)
        assert isinstance(current.stage, Destroyed), "and stays so"
        left = current.stage.left
        if position is None:
            position = self._subjects.record(current)
        if not left:
            self._subjects.end(current)
        refused = {f"{what} of {name}": "" for name in left.keys() & others for what in left[name] or ()}
        return Standing(
            stage=current.stage,
            position=position,
            behind=tuple(sorted(name for name in working if left.get(name, ()) is None)),
            awaited=tuple(sorted((others.keys() - working) & left.keys())),
            refusals={**reasons, **refused},
        )

    def _clean(self, erasure: Erasure, machines: Collection[str]) -> tuple[Erasure, dict[str, str]]:
        """Clean what is here of what is left to these; how the erasure stands then, and what refused it and why."""
        stage = erasure.stage
        assert isinstance(stage, Destroyed), "before that there is nothing to clean"
        if stage.left.get(self._machine, ()) is None and (more := self._aliases(stage.named) - set(stage.addresses)):
            # Before the sessions that know them are cleaned: what refuses has to be tried again.
            erasure = self._subjects.know(erasure, more)
            stage = erasure.stage
            assert isinstance(stage, Destroyed), "and stays so"
        cleaned: dict[str, tuple[str, ...]] = {}
        reasons: dict[str, str] = {}
        for machine in stage.left.keys() & machines:
            places = stage.left[machine]
            if places is None:
                places = (*stage.media, *self._remains.places())
            refusals = self._remains.forget_in(places, stage.addresses)
            cleaned[machine] = tuple(refusals)
            reasons |= refusals
        changed = any(stage.left[machine] != refused for machine, refused in cleaned.items())
        return self._subjects.strike(erasure, cleaned) if changed else erasure, reasons

    def _owed(self, others: Iterable[str], places: Places) -> dict[str, Places]:
        """What is to be cleaned where: these places on every machine, and the database, if there is one, by whoever comes."""
        of_machines = places if places is None else tuple(each for each in places if each != DATABASE)
        owed = {machine: of_machines for machine in (*others, self._machine) if of_machines != ()}
        is_shared = self._database is not None and (places is None or DATABASE in places)
        return {**owed, WHOEVER: (DATABASE,)} if is_shared else owed

    def _assign(self, erasure: Erasure, others: Iterable[str]) -> Erasure:
        """What was left before machines had names may lie on any: the data directory has moved into the database since."""
        places = erasure.stage.left.get(WHOEVER, ()) if isinstance(erasure.stage, Destroyed) else ()
        if self._machine == WHOEVER or places in ((), (DATABASE,)):
            return erasure
        return self._subjects.owe(erasure, self._owed(others, places))

    def _forget_machines(self, erasure: Erasure, others: Collection[str], now: datetime) -> Erasure:
        """Nobody waits any longer for those that were not seen for a month, nor for a visitor that has gone."""
        assert isinstance(erasure.stage, Destroyed), "before that nobody is waited for"
        gone = erasure.stage.left.keys() - {*others, self._machine, WHOEVER}
        if now - erasure.at < VISIT:
            gone -= {VISITED}
        return self._subjects.strike(erasure, dict.fromkeys(gone, ())) if gone else erasure

    def _outcome(self, erasure: Erasure, standing: Standing) -> Erased:
        subjects = standing.stage.subjects if isinstance(standing.stage, Destroyed) else ()
        position = standing.position
        if not subjects and (found := self._subjects.recorded(erasure)) is not None:
            # Another node was faster.
            position = found.position
            subjects = found.event.subjects if isinstance(found.event, SubjectErased) else ()
        return Erased(id=erasure.id, position=position, subjects=len(subjects), awaited=standing.awaited)

    def _be_ready(self, erasure: Erasure, begun: Begun) -> Erasure:
        """Have nothing of theirs in the spools here, and let the others know; how it stands then. Raises `ErasureUnfinished`.

        Before the keys are destroyed: what is read from a spool afterwards would be somebody new's.
        """
        life, aliases = self._store.company.life, set(begun.aliases)
        if is_first := life not in begun.ready:
            aliases |= self._aliases(begun.addresses)
        try:
            self._remains.drop_spooled(self._subjects.person({*begun.addresses, *aliases}).addresses)
        except (OSError, StoreError) as ex:
            raise ErasureUnfinished(f"The keys are not destroyed yet: a spool cannot be changed ({ex}).") from ex
        if not is_first:
            return erasure
        return self._subjects.be_ready(erasure, life, aliases, has_files=self._remains.has_media())

    def _aliases(self, named: Iterable[str]) -> set[str]:
        """The addresses, and what WhatsApp calls their owner besides, as far as sessions here or in the database know it.

        Not what it calls these again: a number that changed hands would lead to somebody else.
        """
        return {name for each in named for name in session_traces.aliases(self._directory, self._database, each)}


class _Turn:
    """One erasure at a time. Raises `Unavailable` where the one before takes too long."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=TURN_PATIENCE_S):
            raise Unavailable("Another erasure is still under way.")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
