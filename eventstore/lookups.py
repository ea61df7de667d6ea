"""What is derived from events so that they are found: names, messages, streams. Who edits it hides events, or passes
them off as another's, without touching one.

Whatever the events of a page must have there is there (`check`), and in all there is no more (`end`).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Literal

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
FOUND_BY_CONTENT = frozenset(name for name in EVENT_NAMES.values() if name == CREATED or name.startswith("message."))
"""Types of events whose data has something that they are found by."""


class _Key(msgspec.Struct, rename="camel", gc=False):
    """What an event is found by."""

    message_id: str | None = None
    command_id: str | None = None
    name: str = ""


_decode = msgspec.json.Decoder(_Key).decode
_encode = msgspec.json.Encoder().encode


def _has_no_nul(text: str) -> bool:
    return "\0" not in text


class Found(msgspec.Struct, kw_only=True):
    """What became of the pages that were checked."""

    entries: dict[Kind, int]
    """How many their events have, by kind."""
    problem: str | None
    """The first entry that is missing, or another than it must be; one sentence."""


class Lookups:
    """Every method may raise what `ask` raises; `note` and `end` also LogCorrupt.

    Events are checked page by page: whoever reads one adds each of it to `places`, and what is in FOUND_BY_CONTENT is to
    be told to `note`.
    """

    def __init__(self, ask: Ask, kinds: Collection[Kind], takes: Callable[[str], bool] = _has_no_nul) -> None:
        """`kinds` are those that the log has: where streams have a table it ends with the last full block of events, as
        the one of messages does then. `takes` says which id of a message can be looked up.
        """
        self._ask = ask
        self._kinds = kinds
        self._takes = takes
        self._is_file = "streams" in kinds
        self._indexed = 0
        self.places: defaultdict[str, list[int]] = defaultdict(list)
        """Positions of the page, by stream."""
        self._named: set[tuple[str, int, str]] = set()
        self._messages: dict[int, str] = {}
        self._commands: dict[int, str] = {}
        self._refused: set[int] = set()
        self._there: dict[Kind, int] = {}
        self.found = Found(entries={}, problem=None)

    def begin(self, head: int) -> None:
        """The log that is checked ends at `head`."""
        self._indexed = head // BLOCK * BLOCK if self._is_file else head

    def count(self) -> None:
        """See how much there is. The caller sees to it that it is of the moment in which the log ended at its head."""
        self._there = {kind: self._ask(f"count_{kind}").fetchone()[0] for kind in self._kinds}

    def note(self, position: int, stream: str, name: str, data: str) -> None:
        """What this event of the page is found by, beside its stream."""
        try:
            key = _decode(data)
        except (msgspec.MsgspecError, UnicodeError):
            raise LogCorrupt(f"The event at position {position} cannot be read.", position) from None
        if name == CREATED:
            self._named.add((key.name, position, stream))
        elif position <= self._indexed:
            message, command = key.message_id, key.command_id
            if message:
                if self._takes(message):
                    self._messages[position] = message
                else:
                    self._refused.add(position)
            if command and command != message:
                if self._takes(command):
                    self._commands[position] = command
                else:
                    self._refused.add(position)

    def check(self, first: int, last: int) -> None:
        """Are the events of the page found, from the first one to the last? The next page begins."""
        self._check_names(first, last)
        if "messages" in self._kinds:
            self._check_messages()
        if self._is_file and first <= self._indexed:
            self._check_streams(first, min(last, self._indexed))
        for noted in (self.places, self._named, self._messages, self._commands, self._refused):
            noted.clear()

    def _check_names(self, first: int, last: int) -> None:
        if wrong := self._named.symmetric_difference(self._ask("names_between", (first, last))):
            self._find_fault("names", min(position for _, position, _ in wrong))
        self._count("names", len(self._named))

    def _check_messages(self) -> None:
        if self._is_file:
            # What SQLite makes of an id with a NUL depends on its version, and nobody can ask for one.
            for position in self._refused:
                self._messages.pop(position, None)
                self._commands.pop(position, None)
                self._count("messages", self._ask("count_messages_at", (position,)).fetchone()[0])
        for expected in (self._messages, self._commands):
            if missing := self._ask("missing_messages", (_encode(expected).decode(),)).fetchall():
                self._find_fault("messages", min(missing)[0])
            self._count("messages", len(expected))

    def _check_streams(self, first: int, last: int) -> None:
        for stream, there in self.places.items():
            positions = there[: bisect_right(there, last)]
            (found,) = self._ask("stream_positions", (stream, first, last)).fetchone()
            if found != _encode(positions).decode():
                self._find_fault("streams", min({*positions}.symmetric_difference(msgspec.json.decode(found))))
        self._count("streams", last - first + 1)

    def _count(self, kind: Kind, entries: int) -> None:
        self.found.entries[kind] = self.found.entries.get(kind, 0) + entries

    def _find_fault(self, kind: Kind, position: int) -> None:
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
