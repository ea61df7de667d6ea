"""From one end of a log to the other: does every event fit the one before it, its stream and the signed checkpoints?"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from hashlib import sha256

import msgspec

from chatbot_erp.eventstore.chain import GENESIS
from chatbot_erp.eventstore.checkpoints import Checkpoint, from_row
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import LogCorrupt
from chatbot_erp.eventstore.lookups import FOUND_BY_CONTENT, Found, Lookups

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


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The later part of a log, which fits in itself; how far each stream must be before it, and is after it."""

    versions: dict[str, tuple[int, int]]
    sequences: dict[str, tuple[int, int]]
    found: Found


class Walk:
    """From the first event to the last. Every method may raise LogCorrupt, and what `ask` raises."""

    def __init__(self, ask: Ask, lookups: Lookups, *, whole: bool = True) -> None:
        """Unless it is `whole` the chain alone is checked."""
        self._ask = ask
        self._lookups = lookups
        self._whole = whole
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._sequences: defaultdict[str, int] = defaultdict(int)
        self._is_part = False
        self._before: tuple[dict[str, int], dict[str, int]] = ({}, {})
        """Of a part: the last version and sequence that each stream must have had where it begins."""
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

    def prepare(self, kept: Iterable[Checkpoint]) -> None:
        """Read what the events will be compared with. The caller sees to it that all of it is of one moment."""
        self.head = self._last_position()
        self._heads = {stream: (v, s) for stream, v, s in self._ask("all_streams")}
        newest = self._ask("checkpoints", (1,)).fetchone()
        for checkpoint in kept:
            self._kept.setdefault(checkpoint.position, []).append(checkpoint)
            self._keys.add(checkpoint.key)
        self._promised = max([newest[0] if newest else 0, *self._kept])
        self._lookups.begin(self.head)

    def count(self) -> None:
        """See how much is found by what, in the same moment, which takes some time in a large log."""
        self._lookups.count()

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

    def _hash_at(self, position: int) -> bytes:
        found = self._ask("hash_at", (position,)).fetchone()
        if found is None:
            raise LogCorrupt(f"Position {position} is missing.", position)
        chain_hash: bytes = found[0]
        return chain_hash

    def _last_position(self) -> int:
        found = self._ask("head").fetchone()
        return found[0] if found else 0

    def events(self, progress: Progress | None, until: int) -> None:
        """Check every event up to `until`, page by page."""
        while self.position < until:
            before = self.position
            self.chain(min(until, before + PAGE))
            if self.position == before:
                raise LogCorrupt(f"Position {before + 1} is missing.", before + 1)
            if progress is not None:
                progress(self.position, self.head)

    def part(self, after: int, until: int, progress: Progress) -> Part:
        """Check only the events between the two, beginning with the hash that is stored where they begin."""
        self._is_part = True
        self.position, self.hash = after, self._hash_at(after)
        self._lookups.begin(until)
        self.events(progress, until)
        versions, sequences = (
            {stream: (before.get(stream, 0), last) for stream, last in seen.items()}
            for before, seen in zip(self._before, (self._versions, self._sequences), strict=True)
        )
        return Part(versions=versions, sequences=sequences, found=self._lookups.found)

    def join(self, part: Part | None) -> None:
        """Go to the head, where `part` is all that lies before it and fits; stay where it does not."""
        if part is None:
            return
        together = ((self._versions, part.versions), (self._sequences, part.sequences))
        if any(seen.get(stream, 0) != before for seen, found in together for stream, (before, _) in found.items()):
            return
        try:
            checkpoints = [each for here in self._checkpoints_of(self.position, self.head).values() for each in here]
            checkpoints = [each for each in checkpoints if self.position < each.position <= self.head]
            for checkpoint in checkpoints:
                _compare(checkpoint, self._hash_at(checkpoint.position))
        except LogCorrupt:
            return
        self._checkpoints += len(checkpoints)
        for seen, found in together:
            seen.update((stream, last) for stream, (_, last) in found.items())
        self.position, self.hash = self.head, self._hash_at(self.head)
        self._lookups.join(part.found)

    def chain(self, until: int) -> None:
        """Check events up to `until`. Raises LogCorrupt."""
        position, digest = self.position, self.hash
        versions, sequences, whole = self._versions, self._sequences, self._whole
        places, note = self._lookups.places, self._lookups.note
        checkpoints = self._checkpoints_of(position, until) if whole else {}
        try:
            # Read row by row: to have a page of them in memory at once cost a tenth of the speed.
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
                if whole:
                    versions[stream] = expected = versions[stream] + 1
                    if version != expected and not self._presume(versions, self._before[0], stream, version):
                        raise LogCorrupt(f"Position {place} is not the next version of stream {stream}.", place)
                    if sequence is not None:
                        sequences[stream] = expected = sequences[stream] + 1
                        if sequence != expected and not self._presume(sequences, self._before[1], stream, sequence):
                            raise LogCorrupt(f"Position {place} is not the next delivery of stream {stream}.", place)
                    if place in checkpoints:
                        for checkpoint in checkpoints[place]:
                            self._check(checkpoint, computed)
                    places[stream].append(place)
                    if name in FOUND_BY_CONTENT:
                        note(place, stream, name, data)
                position, digest = place, computed
        finally:
            first, self.position, self.hash = self.position + 1, position, digest
        if whole and first <= position:
            self._lookups.check(first, position)

    def _presume(self, seen: dict[str, int], before: dict[str, int], stream: str, number: int) -> bool:
        """Whether it may be the next all the same: nobody has seen what a stream had before the part that is checked."""
        if not self._is_part or seen[stream] != 1 or stream in before:
            return False
        before[stream], seen[stream] = number - 1, number
        return True

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
        """Nothing is missing at the end, which streams and checkpoints would tell, and nothing is found that is not there."""
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
        self._lookups.end()


def check_tail(ask: Ask) -> None:
    """Check what came after the last checkpoint: a bounded number of events. Raises LogCorrupt, and what `ask` raises."""
    walk = Walk(ask, Lookups(ask, ()), whole=False)
    walk.start_at_the_last_checkpoint()
    walk.chain(walk.head)
    (counted,) = ask("count_versions").fetchone()
    if counted != walk.head:
        raise LogCorrupt(f"The streams have {counted} events in all, the log has {walk.head}.", walk.position + 1)


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
