"""What a group of appends does to the log, worked out before any of it is written: places, hashes, projections.

Pure but for one question back to the database. Whoever stages holds the end of the log still until it is committed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from chatbot_erp.eventstore.chain import GENESIS, link
from chatbot_erp.eventstore.checkpoints import Signer
from chatbot_erp.eventstore.errors import StoreError, VersionConflict
from chatbot_erp.eventstore.events import (
    EndpointRemoved,
    EndpointReplayed,
    WebhookAbandoned,
    WebhookDelivered,
)
from chatbot_erp.eventstore.records import ERASED, Appended, Recorded
from chatbot_erp.eventstore.work import Append, Cadence, Entry


class Head(NamedTuple):
    """Where a stream stands; both start from 0."""

    version: int
    sequence: int


NOWHERE = Head(0, 0)


class LogEnd(NamedTuple):
    """Where the log ends, and where its last checkpoint was signed."""

    position: int = 0
    hash: bytes = GENESIS
    recorded_at: datetime | None = None
    checkpoint: int = 0
    checkpoint_at: datetime | None = None


Known = Callable[[list[str]], Iterable[str]]
"""Which of these event ids are in the log already."""


class Staging:
    """Everything of one group. Rows of many are flat lists, one value after another, in the order of their columns."""

    def __init__(self, end: LogEnd, vocabulary: set[tuple[str, int]], known: Known) -> None:
        self._vocabulary = vocabulary
        self._known = known
        self.position = end.position
        self.hash = end.hash
        self.heads: dict[str, Head] = {}
        self.snapshots: dict[str, bytes] = {}
        self.events: list[Any] = []
        self.deliveries: list[Any] = []
        self.settled: list[Any] = []
        self.buried: list[dict[str, Any]] = []
        self.redelivered: list[dict[str, Any]] = []
        self.ended: list[dict[str, Any]] = []
        self.names: list[Any] = []
        self.words: set[tuple[str, int]] = set()
        self._recorded_at = end.recorded_at
        self._checkpoint = (end.checkpoint, end.checkpoint_at)

    def stage(self, appends: Sequence[Append], heads: Mapping[str, Head], *, look: bool) -> list[Appended | StoreError]:
        """Give every new event its place. One outcome for each append, in order. Raises what `known` raises.

        `heads` has every stream of the appends. Whether an event with the right version is in the log already is looked
        up only on demand: it nearly never is, and where it is, the insert fails.
        """
        known: set[str] = set()
        if look:
            known.update(self._known([entry.id for append in appends for entry in append.entries]))
        return [self._stage(append, heads, known) for append in appends]

    def _stage(self, append: Append, heads: Mapping[str, Head], known: set[str]) -> Appended | StoreError:
        stream = append.stream
        version, sequence = self.heads.get(stream) or heads[stream]
        if version != append.expected_version:
            known.update(self._known([entry.id for entry in append.entries]))
        new = [entry for entry in append.entries if entry.id not in known]
        if not new:
            return Appended(records=(), version=version)
        if version != append.expected_version:
            return VersionConflict(stream, append.expected_version, version)
        records = []
        for entry in new:
            if entry.id in known:
                continue  # twice in this very append
            known.add(entry.id)
            version += 1
            number = None
            if entry.recipients is not None:
                number = sequence = sequence + 1
            records.append(self._place(entry, stream, version, number))
            self._project(entry, stream, sequence)
        self.heads[stream] = Head(version, sequence)
        self.snapshots[stream] = append.snapshot
        self._recorded_at = new[-1].recorded_at
        return Appended(records=tuple(records), version=version)

    def _place(self, entry: Entry, stream: str, version: int, sequence: int | None) -> Recorded:
        self.position = position = self.position + 1
        self.hash = digest = link(self.hash, position, version, sequence, entry.known)
        name, schema = entry.word
        self.events += (
            position, stream, version, sequence, entry.id, name, schema, entry.recorded_text, entry.data, digest
        )  # fmt: skip
        for endpoint in entry.recipients or ():
            self.deliveries += (stream, endpoint, sequence, position, entry.chat)
        if entry.name is not None:
            self.names += (entry.name, position, stream)
        if entry.word not in self._vocabulary:
            self.words.add(entry.word)
        return Recorded(
            position=position,
            stream=stream,
            version=version,
            id=entry.id,
            type=name,
            event=entry.event,
            recorded_at=entry.recorded_at,
            hash=digest.hex(),
            sequence=sequence,
            data=msgspec.Raw(entry.shown),
        )

    def _project(self, entry: Entry, stream: str, sequence: int) -> None:
        """What a just placed event means for deliveries that wait already."""
        match entry.event:
            case WebhookDelivered() | WebhookAbandoned() as verdict:
                if verdict.sequence > sequence:  # a verdict says nothing of the future
                    return
                self.settled += (stream, verdict.endpoint, verdict.sequence, entry.round)
                if isinstance(verdict, WebhookAbandoned) and verdict.error != ERASED:
                    self.buried.append(
                        {
                            "stream": stream,
                            "endpoint": verdict.endpoint,
                            "sequence": verdict.sequence,
                            "round": entry.round,
                            "at": entry.recorded_text,
                            "attempts": verdict.attempts,
                            "error": verdict.error,
                        }
                    )
            case EndpointReplayed():
                self.redelivered += (
                    {"stream": stream, "round": self.position, **msgspec.structs.asdict(each)}
                    for each in entry.redeliveries
                )
            case EndpointRemoved(endpoint=endpoint):
                self.ended.append({"stream": stream, "endpoint": endpoint})
            case _:
                return

    def checkpoint(self, signer: Signer, cadence: Cadence | None = None) -> tuple[int, bytes, str, bytes, bytes] | None:
        """A signed row about the new end, where there is none yet and one is due; without a cadence it always is."""
        last, last_at = self._checkpoint
        at = self._recorded_at
        if at is None or self.position == last:
            return None
        if cadence is not None:
            if not self.events:
                return None
            is_due = last_at is None or self.position - last >= cadence.events or at - last_at >= cadence.period
            if not is_due:
                return None
        self._checkpoint = (self.position, at)
        return signer.row(self.position, self.hash, at)

    @property
    def end(self) -> LogEnd:
        """The log's end once this is committed."""
        return LogEnd(self.position, self.hash, self._recorded_at, *self._checkpoint)
