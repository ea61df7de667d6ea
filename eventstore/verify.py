"""Checking a log: does every event fit the one before it, its stream and the signed checkpoints?

`verify` needs no running store and no key, works on the files of a running manager too, and changes nothing in the log.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec

from chatbot_erp.eventstore.chain import GENESIS
from chatbot_erp.eventstore.checkpoints import Checkpoint, from_row
from chatbot_erp.eventstore.database import FILE, is_at_rest, must_be_readable, open_at_rest, open_readable
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import LogCorrupt, StoreError
from chatbot_erp.eventstore.sql import MIGRATIONS, asking
from chatbot_erp.eventstore.transaction import BLOCK

PAGE = 10_000
"""Events between two calls of `progress`, and in one query: no long read keeps a manager's write-ahead file growing."""

Progress = Callable[[int, int], None]
"""Told (events checked, events in all) from time to time."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found. The log is whole where `problem` is None."""

    events: int
    """How many events from the first one on fit."""
    hash: str
    """Hex of the chain's hash after them."""
    streams: int
    checkpoints: int
    """How many checkpoints were checked, kept ones included."""
    keys: tuple[str, ...]
    """Hex of the public keys that signed them."""
    checkpoint: Checkpoint | None
    """The newest of the log's own: whoever keeps it can prove later that nothing up to there was changed."""
    position: int | None
    """The first position that does not fit; None also where the fault is no event's."""
    problem: str | None
    """What is wrong there, one sentence."""


def verify(directory: Path, *, kept: Iterable[Checkpoint] = (), progress: Progress | None = None) -> Report:
    """Check the log in `directory`; `kept` are checkpoints of it that were stored elsewhere.

    Raises LogTooNew, and StoreError where there is no log that can be opened.
    """
    path = directory / FILE
    if not path.is_file():
        raise StoreError(f"There is no event log in {directory}.")
    checkpoints = tuple(kept)
    at_rest = is_at_rest(path)
    report = _verify(open_at_rest(path) if at_rest else open_readable(path), checkpoints, progress)
    if report.problem and at_rest and not is_at_rest(path):
        return _verify(open_readable(path), checkpoints, progress)  # a manager was started meanwhile
    return report


def _verify(opened: sqlite3.Connection, kept: Iterable[Checkpoint], progress: Progress | None) -> Report:
    with closing(opened) as connection:
        walk = Walk(asking(connection), whole=True)
        try:
            schema = must_be_readable(connection)
            connection.execute("BEGIN")
            walk.prepare(kept)
            connection.execute("COMMIT")
            walk.events(progress)
            walk.end()
            _check_index(walk, asking(connection))
            _check_triggers(connection, schema)
        except LogCorrupt as ex:
            return walk.report(ex.position, str(ex))
        except sqlite3.Error as ex:
            return walk.report(walk.position + 1, f"SQLite cannot read on after position {walk.position}: {ex}.")
        return walk.report(None, None)


def _check_index(walk: "Walk", ask: Ask) -> None:
    """Whoever reads one stream finds all of it: stream_positions has each event up to the last full block."""
    indexed = walk.head // BLOCK * BLOCK
    new = dict(ask("count_new", (indexed, walk.head)))
    expected = {stream: count for stream, version in walk.versions() if (count := version - new.get(stream, 0))}
    found = dict(ask("count_positions", (indexed,)))
    for stream in sorted(expected.keys() | found.keys()):
        if expected.get(stream) != found.get(stream):
            raise LogCorrupt(
                f"Of stream {stream}, {expected.get(stream, 0)} events are older than position {indexed + 1}, but its"
                f" index has {found.get(stream, 0)}.",
                walk.position + 1,
            )


def _check_triggers(connection: sqlite3.Connection, schema: int) -> None:
    """What refuses changes is still there, and nothing else acts when somebody writes."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript("".join(MIGRATIONS[:schema]))
        expected = dict(asking(fresh)("triggers"))
    found = dict(asking(connection)("triggers"))
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise LogCorrupt(f"The trigger {name} is not as a manager made it: somebody else changed the file.")


def check_tail(ask: Ask) -> None:
    """Check what came after the last checkpoint: a bounded number of events. Raises LogCorrupt, and what `ask` raises."""
    walk = Walk(ask, whole=False)
    walk.start_at_the_last_checkpoint()
    walk.chain(walk.head)
    (counted,) = ask("count_versions").fetchone()
    if counted != walk.head:
        raise LogCorrupt(f"The streams have {counted} events in all, the log has {walk.head}.", walk.position + 1)


class Walk:
    """From the first event to the last. Every method may raise LogCorrupt, and what `ask` raises."""

    def __init__(self, ask: Ask, *, whole: bool) -> None:
        self._ask = ask
        self._whole = whole
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._sequences: defaultdict[str, int] = defaultdict(int)
        self._heads: dict[str, tuple[int, int]] = {}
        self._kept: dict[int, list[Checkpoint]] = {}
        self._checkpoints = 0
        self._keys: set[str] = set()
        self._newest: Checkpoint | None = None
        self._promised = 0
        self.head = 0
        self.position = 0
        self.hash = GENESIS

    def report(self, position: int | None, problem: str | None) -> Report:
        return Report(
            events=self.position,
            hash=self.hash.hex(),
            streams=len(self._versions),
            checkpoints=self._checkpoints,
            keys=tuple(sorted(self._keys)),
            checkpoint=self._newest,
            position=position,
            problem=problem,
        )

    def versions(self) -> Iterable[tuple[str, int]]:
        """How many events each stream has up to here."""
        return self._versions.items()

    def prepare(self, kept: Iterable[Checkpoint]) -> None:
        """Read what the events will be compared with. The caller sees to it that all of it is of one moment."""
        self.head = self._last_position()
        self._heads = {stream: (v, s) for stream, v, s in self._ask("all_streams")}
        newest = self._ask("checkpoints", (1,)).fetchone()
        for checkpoint in kept:
            self._kept.setdefault(checkpoint.position, []).append(checkpoint)
            self._keys.add(checkpoint.key)
        self._promised = max([newest[0] if newest else 0, *self._kept])

    def start_at_the_last_checkpoint(self) -> None:
        """Take the newest checkpoint's hash for granted, if it is genuine and the log has it."""
        self.head = self._last_position()
        row = self._ask("checkpoints", (1,)).fetchone()
        if row is None:
            return
        checkpoint = _checkpoint(row)
        found = self._ask("hash_at", (checkpoint.position,)).fetchone()
        _compare(checkpoint, found and found[0])
        self.position, self.hash = checkpoint.position, found[0]

    def _last_position(self) -> int:
        found = self._ask("head").fetchone()
        return found[0] if found else 0

    def events(self, progress: Progress | None) -> None:
        """Check every event, page by page."""
        while self.position < self.head:
            before = self.position
            self.chain(min(self.head, before + PAGE))
            if self.position == before:
                raise LogCorrupt(f"Position {before + 1} is missing.", before + 1)
            if progress is not None:
                progress(self.position, self.head)

    def chain(self, until: int) -> None:
        """Check events up to `until`. Raises LogCorrupt."""
        position, digest = self.position, self.hash
        versions, sequences = self._versions, self._sequences
        checkpoints = self._checkpoints_of(position, until) if self._whole else {}
        try:
            for place, stream, version, sequence, event_id, name, schema, at, data, stored in self._ask(
                "chain", (position, until)
            ):
                if place != position + 1:
                    raise LogCorrupt(f"Position {position + 1} is missing.", position + 1)
                number = "" if sequence is None else sequence
                # As chain.py describes it; in a function of its own it would cost a tenth of the speed.
                text = f"{place}\n{version}\n{number}\n{stream}\n{event_id}\n{name}\n{schema}\n{at}\n{data}"
                computed = sha256(digest + text.encode()).digest()
                if computed != stored:
                    raise LogCorrupt(f"The event at position {place} does not have the hash of its content.", place)
                if self._whole:
                    versions[stream] = expected = versions[stream] + 1
                    if version != expected:
                        raise LogCorrupt(f"Position {place} is not the next version of stream {stream}.", place)
                    if sequence is not None:
                        sequences[stream] = expected = sequences[stream] + 1
                        if sequence != expected:
                            raise LogCorrupt(f"Position {place} is not the next delivery of stream {stream}.", place)
                    if place in checkpoints:
                        for checkpoint in checkpoints[place]:
                            self._check(checkpoint, computed)
                position, digest = place, computed
        finally:
            self.position, self.hash = position, digest

    def _checkpoints_of(self, after: int, until: int) -> dict[int, list[Checkpoint]]:
        """The log's own in a stretch of it, and the kept ones anywhere."""
        found = {position: list(kept) for position, kept in self._kept.items()}
        for row in self._ask("checkpoints_between", (after, until)).fetchall():
            checkpoint = _checkpoint(row)
            found.setdefault(checkpoint.position, []).append(checkpoint)
            self._newest = checkpoint
            self._keys.add(checkpoint.key)
        return found

    def _check(self, checkpoint: Checkpoint, chain_hash: bytes) -> None:
        self._checkpoints += 1
        _compare(checkpoint, chain_hash)

    def end(self) -> None:
        """Nothing is missing at the end: what streams and checkpoints tell of later events."""
        if self._promised > self.position:
            raise LogCorrupt(
                f"A checkpoint was signed at position {self._promised}, but the log ends at {self.position}.",
                self.position + 1,
            )
        seen = {stream: (version, self._sequences[stream]) for stream, version in self._versions.items()}
        for stream in sorted(seen.keys() | self._heads.keys()):
            if seen.get(stream) != self._heads.get(stream):
                raise LogCorrupt(
                    f"Stream {stream} should stand at (version, sequence) {self._heads.get(stream)},"
                    f" its events lead to {seen.get(stream)}.",
                    self.position + 1,
                )


def _checkpoint(row: tuple[int, bytes, str, bytes, bytes]) -> Checkpoint:
    try:
        return from_row(row)
    except ValueError:
        raise LogCorrupt(f"The checkpoint at position {row[0]} cannot be read.", row[0]) from None


def _compare(checkpoint: Checkpoint, chain_hash: bytes | None) -> None:
    if not checkpoint.is_genuine():
        raise LogCorrupt(
            f"The checkpoint at position {checkpoint.position} is not what its key signed.", checkpoint.position
        )
    if chain_hash is None or chain_hash.hex() != checkpoint.hash:
        raise LogCorrupt(
            f"A checkpoint was signed at position {checkpoint.position}, but the log differs from it.",
            checkpoint.position,
        )
