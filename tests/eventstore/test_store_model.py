"""Random histories against a model of a few dictionaries: the store never says anything else."""

import shutil
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from chatbot_erp.eventstore.errors import VersionConflict
from chatbot_erp.eventstore.events import Event, InstanceCreated, MessageAccepted, MessageSent, WebhookDelivered
from chatbot_erp.eventstore.places import Place, verify
from chatbot_erp.eventstore.postgres_store import open_store
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings
from postgres_server import PostgresServer

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STREAMS = st.sampled_from("abc")
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(InstanceCreated, name=st.sampled_from(["x", "y"]), webhook_url=st.just("u"), session_from=st.just(None)),
    st.builds(MessageAccepted, command_id=st.just("c"), number=st.just("1"), kind=st.just("text"), text=st.text()),
    st.builds(
        MessageSent,
        command_id=st.just("c"),
        message_id=st.just("m"),
        jid=st.just("j"),
        kind=st.just("text"),
        text=st.text(),
        sent_at=st.just(NOON),
    ),
    st.builds(WebhookDelivered, sequence=st.integers(1, 6), attempts=st.just(1), http_status=st.just(200)),
)


class StoreMachine(RuleBasedStateMachine):
    """What the store should be, in plain data."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.place = self._make_place()
        self.store = self._open()
        self.log: list[tuple[str, int, str, Event, int | None]] = []
        self.versions: dict[str, int] = {}
        self.sequences: dict[str, int] = {}
        self.snapshots: dict[str, bytes] = {}
        self.waiting: dict[str, dict[int, int]] = {}
        self.known: list[str] = []

    def _make_place(self) -> Place:
        return self.directory

    def _open(self) -> EventStore:
        return EventStore.open(self.directory, Settings(checkpoint_events=3, group=2))

    @rule(
        appends=st.lists(
            st.tuples(
                STREAMS,
                st.sampled_from([0, 0, 0, 0, -1, 1]),
                st.lists(st.tuples(EVENTS, st.none() | st.integers(0, 30)), max_size=4),
                st.binary(max_size=3),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def append(self, appends: list[tuple[str, int, list[tuple[Event, int | None]], bytes]]) -> None:
        """Several at once: they may share a commit. Some expect a wrong version, some repeat what is known."""
        promised = []
        for stream, error, parts, snapshot in appends:
            expected = self.versions.get(stream, 0) + error
            events = []
            for event, old in parts:
                fresh = old is None or old >= len(self.known)
                event_id = str(uuid.uuid4()) if fresh else self.known[old or 0]
                events.append(NewEvent(id=event_id, event=event, recorded_at=NOON + timedelta(seconds=len(self.log))))
            promise = self._expect(stream, expected, events, snapshot)
            promised.append((self.store.append(stream, expected, events, snapshot=snapshot), promise))
        for future, promise in promised:
            if promise is None:
                assert isinstance(future.exception(), VersionConflict)
            else:
                appended = future.result()
                assert ([record.position for record in appended.records], appended.version) == promise

    def _expect(self, stream: str, expected: int, events: list[NewEvent], snapshot: bytes) -> Any:
        new = {event.id: event for event in events if event.id not in self.known}
        version = self.versions.get(stream, 0)
        if not new:
            return [], version
        if expected != version:
            return None
        positions = []
        for event_id, event in new.items():
            sequence = None
            if isinstance(event.event, MessageSent):
                sequence = self.sequences[stream] = self.sequences.get(stream, 0) + 1
            version += 1
            self.log.append((stream, version, event_id, event.event, sequence))
            positions.append(len(self.log))
            self.known.append(event_id)
            if sequence is not None:
                self.waiting.setdefault(stream, {})[sequence] = len(self.log)
            elif isinstance(event.event, WebhookDelivered):
                self.waiting.get(stream, {}).pop(event.event.sequence, None)
        self.versions[stream] = version
        self.snapshots[stream] = snapshot
        return positions, version

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = self._open()

    @precondition(lambda self: self.log)
    @rule(data=st.data(), stream=st.none() | STREAMS, limit=st.integers(0, 5), kinds=st.sets(st.sampled_from("cs")))
    def read(self, data: st.DataObject, stream: str | None, limit: int, kinds: set[str]) -> None:
        after = data.draw(st.integers(0, len(self.log)))
        until = data.draw(st.none() | st.integers(0, len(self.log)))
        types = {"instance.created" if kind == "c" else "message.sent" for kind in kinds}
        found = self.store.read(after=after, until=until, limit=limit, stream=stream, types=types)
        wanted = [
            position
            for position, (of, _, _, event, _) in enumerate(self.log, 1)
            if after < position <= (len(self.log) if until is None else until)
            and stream in (None, of)
            and (
                not types
                or ("instance.created" in types and isinstance(event, InstanceCreated))
                or ("message.sent" in types and isinstance(event, MessageSent))
            )
        ]
        assert [record.position for record in found] == wanted[:limit]

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        found = self.store.read(limit=1000)
        assert [(r.stream, r.version, r.id, r.event, r.sequence) for r in found] == self.log
        assert [record.position for record in found] == list(range(1, len(self.log) + 1))
        assert self.store.head() == len(self.log)
        heads = {h.stream: (h.version, h.snapshot, h.pending) for h in self.store.open_streams()}
        assert heads == {
            stream: (version, self.snapshots[stream], len(self.waiting.get(stream, {})))
            for stream, version in self.versions.items()
            if self.snapshots[stream] or self.waiting.get(stream)
        }
        for stream in "abc":
            waiting = [(d.sequence, d.record.position) for d in self.store.deliveries(stream, limit=100)]
            assert waiting == sorted(self.waiting.get(stream, {}).items())
        for name in "xy":
            created = [of for of, _, _, e, _ in self.log if isinstance(e, InstanceCreated) and e.name == name]
            assert self.store.streams_named(name) == created[::-1]

    def teardown(self) -> None:
        self.store.close()
        assert verify(self.place).problem is None
        shutil.rmtree(self.directory)


TestStoreModel = StoreMachine.TestCase
TestStoreModel.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_postgresql_never_says_anything_else_either(postgres: PostgresServer) -> None:
    class OnPostgres(StoreMachine):
        def _make_place(self) -> Place:
            return postgres.database()

        def _open(self) -> EventStore:
            return open_store(str(self.place), self.directory, Settings(checkpoint_events=3, group=2))

    few = settings(TestStoreModel.settings, max_examples=6)
    run_state_machine_as_test(OnPostgres, settings=few)
