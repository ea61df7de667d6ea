"""What is derived from events so that they are found: names, messages, streams. Who edits it hides events, or passes
them off as another's, without touching one.

Whatever the events of a page must have there is there (`check`), and in all there is no more (`end`).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import msgspec

from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import LogCorrupt
from chatbot_erp.eventstore.events import EVENT_NAMES, InstanceCreated
from chatbot_erp.eventstore.transaction import BLOCK

Kind = Literal["names", "messages", "streams"]

IN_A_DATABASE: tuple[Kind, ...] = ("names", "messages")


def in_a_file(schema: int) -> tuple[Kind, ...]:
    """Those that a log with this schema has (06_messages.sql)."""
    return ("names", "streams", "messages") if schema >= 6 else ("names", "streams")


CREATED = EVENT_NAMES[InstanceCreated]
ABOUT_MESSAGES = frozenset(name for name in EVENT_NAMES.values() if name.startswith("message."))


class _Key(msgspec.Struct, rename="camel", gc=False):
    """What an event is found by."""

    message_id: str | None = None
    command_id: str | None = None
    name: str = ""


_decode = msgspec.json.Decoder(_Key).decode
_encode = msgspec.json.Encoder().encode


class Found(msgspec.Struct, kw_only=True):
    """What became of the pages that were checked."""

    entries: dict[Kind, int]
    """How many their events have, by kind."""
    problem: str | None
    """The first entry that is missing, or another than it must be; one sentence."""


class Lookups:
    """Every method may raise what `ask` raises; `check` and `end` also LogCorrupt."""

    def __init__(self, ask: Ask, kinds: Collection[Kind], takes: Callable[[str], bool] = bool) -> None:
        """`kinds` are those that the log has: where streams have a table it ends with the last full block of events, as
        the one of messages does then. `takes` says which id of a message can be looked up.
        """
        self._ask = ask
        self._kinds = kinds
        self._takes = takes
        self._indexed = 0
        self._there: dict[Kind, int] = {}
        self.found = Found(entries={}, problem=None)

    def begin(self, head: int) -> None:
        """The log that is checked ends at `head`."""
        self._indexed = head // BLOCK * BLOCK if "streams" in self._kinds else head

    def count(self) -> None:
        """See how much there is. The caller sees to it that it is of the moment in which the log ended at its head."""
        self._there = {kind: self._ask(f"count_{kind}").fetchone()[0] for kind in self._kinds}

    def check(self, page: Sequence[Any]) -> None:
        """Are these rows of the log, which lie side by side, found?"""
        first, last = page[0][0], page[-1][0]
        self._names([row for row in page if row[5] == CREATED], first, last)
        indexed = page if last <= self._indexed else page[: max(0, self._indexed + 1 - first)]
        if indexed and "messages" in self._kinds:
            self._messages([row for row in indexed if row[5] in ABOUT_MESSAGES])
        if indexed and "streams" in self._kinds:
            self._streams(indexed, first, indexed[-1][0])

    def _names(self, rows: list[Any], first: int, last: int) -> None:
        expected = {(_key(row).name, row[0], row[1]) for row in rows}
        if wrong := expected.symmetric_difference(self._ask("names_between", (first, last))):
            self._note("names", min(each[1] for each in wrong))
        self._count("names", len(expected))

    def _messages(self, rows: list[Any]) -> None:
        ids: dict[int, str] = {}
        commands: dict[int, str] = {}
        for row in rows:
            key = _key(row)
            message, command = key.message_id, key.command_id
            if message and self._takes(message):
                ids[row[0]] = message
            if command and command != message and self._takes(command):
                commands[row[0]] = command
        for expected in (ids, commands):
            if missing := self._ask("missing_messages", (_encode(expected).decode(),)).fetchall():
                self._note("messages", min(missing)[0])
            self._count("messages", len(expected))

    def _streams(self, rows: Sequence[Any], first: int, last: int) -> None:
        expected: defaultdict[str, list[tuple[int]]] = defaultdict(list)
        for row in rows:
            expected[row[1]].append((row[0],))
        for stream, positions in expected.items():
            found = self._ask("stream_positions", (stream, first, last)).fetchall()
            if found != positions:
                self._note("streams", min(set(positions).symmetric_difference(found))[0])
        self._count("streams", len(rows))

    def _count(self, kind: Kind, entries: int) -> None:
        self.found.entries[kind] = self.found.entries.get(kind, 0) + entries

    def _note(self, kind: Kind, position: int) -> None:
        self.found.problem = self.found.problem or f"The index of {kind} is not right about position {position}."

    def join(self, behind: Found) -> None:
        """Somebody else has checked the pages behind these."""
        for kind, entries in behind.entries.items():
            self._count(kind, entries)
        self.found.problem = self.found.problem or behind.problem

    def end(self) -> None:
        """Every event was checked, and fits: were all found, and is there nothing else?"""
        if self.found.problem is not None:
            raise LogCorrupt(self.found.problem)
        for kind, count in sorted(self._there.items()):
            if count != (expected := self.found.entries.get(kind, 0)):
                raise LogCorrupt(f"The index of {kind} has {count} entries; the log asks for {expected}.")


def _key(row: Any) -> _Key:
    try:
        return _decode(row[8])
    except (msgspec.MsgspecError, UnicodeError):
        raise LogCorrupt(f"The event at position {row[0]} cannot be read.", row[0]) from None
