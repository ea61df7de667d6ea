"""The stream of one instance as its actor writes it: commands are decided one by one and appended together.

While one append is on its way to the disk the actor's mailbox fills; all that came meanwhile shares the next append.
A number under load so costs one wait for the disk per batch instead of one per event, and alone it waits for nobody.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from chatbot_erp.actors.commands import Command, Observed, RecordVerdict
from chatbot_erp.actors.endpoint import TellAgain, recipients
from chatbot_erp.actors.identities import event_ids
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.state import Instance, State, encode_state, evolve
from chatbot_erp.eventstore.errors import NotStorable, StoreError
from chatbot_erp.eventstore.events import Event
from chatbot_erp.eventstore.store import EventStore, NewEvent, Recorded

APPEND_PATIENCE_S = 30.0
"""A disk that has not answered by then leaves the outcome unknown."""

Settle = Callable[[StoreError | None], None]
"""Told once whether what was staged is stored (None), or why it certainly is not."""


class JournalBroken(Exception):
    """Raised when nobody can say what the stream holds now: its actor must stop and the next one read it anew."""


class Written(msgspec.Struct, frozen=True):
    """An event that is now in the log, the state after it, and the endpoints that are told if it is one to be told."""

    record: Recorded
    state: State
    recipients: tuple[str, ...]


class Staged(msgspec.Struct, frozen=True):
    """What one command led to."""

    events: tuple[NewEvent, ...]
    states: tuple[State, ...]
    """After each of them, on top of what was staged before."""
    settle: Settle


class Journal:
    """Used by one actor, in its thread."""

    def __init__(
        self, instance: str, store: EventStore, now: Callable[[], datetime], state: State, version: int
    ) -> None:
        self.state = state
        """After all that is stored."""
        self._ahead = state
        self._version = version
        self._instance = instance
        self._store = store
        self._now = now
        self._staged: list[Staged] = []

    def __len__(self) -> int:
        """How many commands are staged."""
        return len(self._staged)

    @property
    def ahead(self) -> State:
        """After all that is stored or staged."""
        return self._ahead

    def stage(self, command: Command, settle: Settle) -> None:
        """Decide on top of what is staged already. Raises what `decide` raises; then nothing is staged."""
        events = decide(self._ahead, command)
        at = command.at if isinstance(command, Observed) else self._now()
        ids = event_ids(self._instance, command, len(events))
        ahead = self._ahead
        again = command.deliveries if isinstance(command, TellAgain) else ()
        turn = command.round if isinstance(command, RecordVerdict) else 0
        new: list[NewEvent] = []
        states: list[State] = []
        for event, id_ in zip(events, ids, strict=True):
            ahead = evolve(ahead, event, at)
            told = recipients(ahead.endpoints, event) if ahead else ()
            new.append(NewEvent(id=id_, event=event, recorded_at=at, recipients=told, redeliveries=again, round=turn))
            states.append(ahead)
        self._ahead = ahead
        self._staged.append(Staged(tuple(new), tuple(states), settle))

    def write(self) -> list[Written]:
        """Append what is staged and settle it; what is new in the log, in order.

        A command that cannot be stored at all is settled with `NotStorable`, and costs the others nothing.
        Raises `JournalBroken`, or another StoreError that is not retryable, without settling anything.
        """
        staged, self._staged = self._staged, []
        try:
            # Folded once: to do it again for the snapshot and the records was a tenth of what an actor does for an event.
            return self._append(staged, [state for each in staged for state in each.states])
        except NotStorable as ex:
            if len(staged) > 1:
                return self._append_one_by_one(staged)
            staged[0].settle(ex)
        except StoreError as ex:
            settle_later(staged, ex)
        finally:
            self._ahead = self.state
        return []

    def _append_one_by_one(self, staged: list[Staged]) -> list[Written]:
        written: list[Written] = []
        for place, each in enumerate(staged):
            try:
                written += self._append([each], self._fold((new.event, new.recorded_at) for new in each.events))
            except NotStorable as ex:
                each.settle(ex)
            except StoreError as ex:
                # Nor what was staged after it, which would overtake it.
                settle_later(staged[place:], ex)
                break
        return written

    def _fold(self, events: Iterable[tuple[Event, datetime]]) -> list[State]:
        """The states after each event, on top of what is stored."""
        state, states = self.state, []
        for event, at in events:
            state = evolve(state, event, at)
            states.append(state)
        return states

    def _append(self, staged: list[Staged], states: list[State]) -> list[Written]:
        """`states` are those after each event. Raises what the store raises; then nothing is settled."""
        events = [event for each in staged for event in each.events]
        written: list[Written] = []
        if events:
            ahead = states[-1]
            snapshot = encode_state(ahead) if isinstance(ahead, Instance) else b""
            future = self._store.append(self._instance, self._version, events, snapshot=snapshot)
            try:
                appended = future.result(APPEND_PATIENCE_S)
            except TimeoutError as ex:
                raise JournalBroken("The disk did not answer in time.") from ex
            self._version = appended.version
            if len(appended.records) < len(events):  # some were in the log already
                states = self._fold((record.event, record.recorded_at) for record in appended.records)
            told = {event.id: event.recipients for event in events}
            written += [
                Written(record, state, told[record.id]) for record, state in zip(appended.records, states, strict=True)
            ]
            self.state = states[-1] if states else self.state
        for each in staged:
            each.settle(None)
        return written


def settle_later(staged: Iterable[Staged], failure: StoreError) -> None:
    """Nothing of this is stored, and all of it may be later. Raises a failure after which that is not so."""
    if not failure.retryable:
        raise failure
    for each in staged:
        each.settle(failure)
