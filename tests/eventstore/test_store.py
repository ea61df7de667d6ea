"""What the store promises to those who append and read."""

import gc
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import msgspec
import pytest

from chatbot_erp.eventstore import reader
from chatbot_erp.eventstore.errors import LogCorrupt, NotStorable, StoreClosed, StoreOverloaded, VersionConflict
from chatbot_erp.eventstore.events import (
    InstanceCreated,
    MessageAccepted,
    MessageSent,
    PingSent,
    SubjectErased,
    WebhookDelivered,
)
from chatbot_erp.eventstore.staging import Staging
from chatbot_erp.eventstore.store import (
    Attempt,
    EventStore,
    NewEvent,
    Settings,
)

Facts = Callable[..., NewEvent]
OpenStore = Callable[..., EventStore]

pytestmark = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
Hold = Callable[[EventStore, threading.Event], None]


def test_what_was_appended_is_read_after_a_restart(
    open_store: OpenStore, new: Facts, accepted: MessageAccepted, sent: MessageSent
) -> None:
    first, second = new(accepted), new(sent)
    with open_store() as store:
        appended = store.append("a", 0, [first, second], snapshot=b"state").result()
    with open_store() as store:
        found = store.read()
        assert found == list(appended.records)
        assert [(r.position, r.version, r.sequence, r.id) for r in found] == [
            (1, 1, None, first.id),
            (2, 2, 1, second.id),
        ]
        assert [r.event for r in found] == [accepted, sent]
        assert [r.recorded_at for r in found] == [first.recorded_at, second.recorded_at]
        assert msgspec.json.decode(found[1].data)["messageId"] == "3EB0"
        assert store.head() == 2


def test_a_commit_leaves_nothing_to_the_garbage_collector(
    store: EventStore, new: Facts, accepted: MessageAccepted
) -> None:
    """Which comes rarely: what hundreds of commits had staged was in memory until then."""
    gc.disable()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for version in range(5):
            store.append("a", version, [new(accepted)], snapshot=b"1").result()
        gc.collect()
        assert not [each for each in gc.garbage if isinstance(each, Staging)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_an_append_after_another_version_than_expected_is_refused(
    store: EventStore, new: Facts, accepted: MessageAccepted
) -> None:
    store.append("a", 0, [new(accepted)], snapshot=b"1").result()
    with pytest.raises(VersionConflict) as caught:
        store.append("a", 0, [new(accepted)], snapshot=b"2").result()
    assert (caught.value.expected, caught.value.actual) == (0, 1)
    assert store.head() == 1
    assert store.open_streams()[0].snapshot == b"1"


def test_a_conflict_fails_nobody_else_in_its_commit(store: EventStore, new: Facts, accepted: MessageAccepted) -> None:
    futures = [store.append("a", version, [new(accepted)], snapshot=b"1") for version in (0, 7, 1, 1, 2)]
    assert [future.exception() is None for future in futures] == [True, False, True, False, True]
    assert [record.version for record in store.read(stream="a")] == [1, 2, 3]


def test_names_of_any_characters_come_back_as_they_were(
    store: EventStore, new: Facts, sent: MessageSent, created: Callable[[str], InstanceCreated]
) -> None:
    words = ["".join(map(chr, range(ord("!"), ord("~") + 1))), "NULL", "{}", '"', "\\", "\\n", "1"]
    texts = [*words, "a b", "\n", "\t\u001f", "é\U0001f980"]
    for number, stream in enumerate(words):
        events = [new(created(text)) for text in texts]
        events += [new(msgspec.structs.replace(sent, message_id=text)) for text in texts]
        events = [
            msgspec.structs.replace(each, id=f"{stream}{n}", recipients=tuple(texts)) for n, each in enumerate(events)
        ]
        store.append(stream, 0, events, snapshot=b"").result()
        assert [each.id for each in store.read(stream=stream)] == [each.id for each in events]
        assert store.version(stream) == len(events)
        for text in texts:
            assert len(store.deliveries(stream, text, limit=100)) == len(texts)
            assert store.streams_named(text) == words[number::-1]
            assert len(store.about(stream, text)) == 1


def test_the_same_event_again_is_a_no_op(store: EventStore, new: Facts, accepted: MessageAccepted) -> None:
    event = new(accepted)
    once = store.append("a", 0, [event], snapshot=b"1").result()
    again = store.append("a", 0, [event], snapshot=b"2").result()
    assert (len(once.records), again.records, again.version) == (1, (), 1)
    assert store.open_streams()[0].snapshot == b"1"


def test_the_same_event_twice_in_one_commit_is_stored_once(
    store: EventStore, new: Facts, accepted: MessageAccepted
) -> None:
    event = new(accepted)
    futures = [store.append("a", 0, [event, event], snapshot=b"1") for _ in range(5)]
    assert sum(len(future.result().records) for future in futures) == 1
    assert store.head() == 1


def test_an_append_with_some_known_events_stores_the_others(
    store: EventStore, new: Facts, accepted: MessageAccepted
) -> None:
    known, unknown = new(accepted), new(accepted)
    store.append("a", 0, [known], snapshot=b"1").result()
    appended = store.append("a", 1, [known, unknown], snapshot=b"2").result()
    assert [record.id for record in appended.records] == [unknown.id]
    assert appended.version == 2
    assert store.open_streams()[0].snapshot == b"2"


def test_positions_are_global_and_versions_belong_to_a_stream(
    store: EventStore, new: Facts, accepted: MessageAccepted
) -> None:
    for version in range(3):
        for stream in "abc":
            store.append(stream, version, [new(accepted)], snapshot=b"1").result()
    found = store.read()
    assert [record.position for record in found] == list(range(1, 10))
    assert [record.version for record in found if record.stream == "b"] == [1, 2, 3]


def test_reading_is_paged_and_filtered_by_stream_type_and_position(
    store: EventStore,
    noon: datetime,
    new: Facts,
    accepted: MessageAccepted,
    sent: MessageSent,
    created: Callable[[str], InstanceCreated],
) -> None:
    for version, event in enumerate([created("x"), accepted, sent, accepted, sent]):
        store.append("a", version, [new(event)], snapshot=b"1").result()
        store.append("b", version, [new(event)], snapshot=b"1").result()

    def positions(**filters: object) -> list[int]:
        return [record.position for record in store.read(**filters)]  # type: ignore[arg-type]

    assert positions() == list(range(1, 11))
    assert positions(after=3, limit=2) == [4, 5]
    assert positions(after=3, until=6) == [4, 5, 6]
    assert positions(stream="b") == [2, 4, 6, 8, 10]
    assert positions(stream="b", after=4, limit=2) == [6, 8]
    assert positions(stream="b", types=["message.sent"]) == [6, 10]
    assert positions(types=["instance.created"]) == [1, 2]
    assert positions(types=["message.sent", "instance.created", "no.such"], after=1, until=9, limit=3) == [2, 5, 6]
    latest = store.read_latest("b", until=9, limit=2, types=["message.sent", "message.accepted"])
    assert [record.position for record in latest] == [6, 8]
    assert [store.last_until("b", noon + timedelta(seconds=n)) for n in (0, 1, 2, 9)] == [0, 2, 2, 10]
    assert positions(stream="c") == positions(types=["no.such"]) == positions(limit=0) == positions(after=10) == []


def test_a_stream_is_read_across_the_blocks_in_which_it_is_indexed(open_store: OpenStore, new: Facts) -> None:
    small = [PingSent(message_id=str(n)) for n in range(7)]
    positions: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    with open_store() as store:
        futures = []
        for n in range(450):
            stream = "abc"[n % 5 % 3]
            futures.append(store.append(stream, len(positions[stream]), [new(e) for e in small], snapshot=b"1"))
            positions[stream] += range(7 * n + 1, 7 * n + 8)
        for future in futures:
            future.result()
        assert store.head() == 3150
        for stream, expected in positions.items():
            for limit in (999, 5000):
                for after in (0, 1, 1023, 1024, 1025, 2047, 2048, 2500, 3150):
                    found = store.read(stream=stream, after=after, limit=limit)
                    assert [record.position for record in found] == [p for p in expected if p > after][:limit]
            found = store.read(stream=stream, after=1000, until=2100, limit=5000, types=["ping.sent"])
            assert [record.position for record in found] == [p for p in expected if 1000 < p <= 2100]
            for limit in (40, 999):
                for until in (0, 1023, 1024, 1025, 3100, 9999):
                    found = store.read_latest(stream, until=until, limit=limit)
                    assert [record.position for record in found] == [p for p in expected if p <= until][-limit:]
            found = store.read_latest(stream, after=1000, until=2100, limit=5000, types=["ping.sent"])
            assert [record.position for record in found] == [p for p in expected if 1000 < p <= 2100]
            assert store.read_latest(stream, until=3150, limit=5, types=["message.sent"]) == []


def test_reading_on_says_how_far_it_came(store: EventStore, new: Facts, sent: MessageSent) -> None:
    store.append("a", 0, [new(sent), new(sent), new(PingSent(message_id="m"))], snapshot=b"1").result()
    store.append("b", 0, [new(sent)], snapshot=b"1").result()

    def told(
        limit: int, after: int = 0, stream: str | None = None, types: Collection[str] = ()
    ) -> tuple[list[int], int]:
        found, reached = store.read_on(after=after, limit=limit, stream=stream, types=types)
        return [record.position for record in found], reached

    assert told(2) == ([1, 2], 2)
    assert told(9, 2) == ([3, 4], 4)
    assert told(9, stream="a", types={"message.sent"}) == ([1, 2], 4)
    assert told(2, stream="a", types={"message.sent"}) == ([1, 2], 2)
    assert told(9, 4) == ([], 4)
    assert told(9, 7) == ([], 7)


def test_what_happened_under_some_names_is_read_without_a_look_at_what_is_of_others(
    store: EventStore,
    new: Facts,
    created: Callable[[str], InstanceCreated],
    sent: MessageSent,
    edit: Callable[[str], None],
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "STRETCH", 8)
    for stream, name in (("old", "a"), ("mine", "a"), ("other", "b"), ("next", "c")):
        store.append(stream, 0, [new(created(name)), new(sent), new(PingSent(message_id="m"))], snapshot=b"1").result()
    store.append("privacy", 0, [new(SubjectErased(subjects=("x",)))], snapshot=b"").result()
    edit(f"DROP TRIGGER {'events_are_not_updated' if engine == 'sqlite' else 'events_are_never_changed ON events'}")
    edit("UPDATE events SET data = 'no JSON' WHERE stream IN ('old', 'other')")
    with pytest.raises(LogCorrupt):
        store.read()

    def told(after: int, limit: int = 9, types: Collection[str] = ()) -> tuple[list[int], int]:
        found, reached = store.read_named(
            {"a", "c"}, former={"old"}, besides={"subject.erased"}, after=after, limit=limit, types=types
        )
        return [record.position for record in found], reached

    assert told(0) == ([4, 5, 6], 8)
    assert told(0, limit=2) == ([4, 5], 5)
    assert told(8) == ([10, 11, 12, 13], 13)
    assert told(6, types={"ping.sent", "subject.erased"}) == ([12, 13], 13)
    assert told(13) == ([], 13)
    assert told(99) == ([], 99)
    assert store.read_named({"nobody"}, after=0, limit=9) == ([], 8)


@pytest.mark.parametrize("head", [1, 1023, 1024, 1025, 2047, 2048])
def test_a_stream_is_read_whole_where_a_block_ends(store: EventStore, new: Facts, head: int) -> None:
    events = [new(PingSent(message_id=str(n))) for n in range(head)]
    store.append("a", 0, events[:-1], snapshot=b"1").result()
    store.append("a", head - 1, events[-1:], snapshot=b"1").result()
    assert [record.position for record in store.read(stream="a", limit=5000)] == list(range(1, head + 1))


def test_a_stream_is_found_by_the_name_it_was_created_under(
    store: EventStore, new: Facts, created: Callable[[str], InstanceCreated]
) -> None:
    for stream in "abc":
        store.append(stream, 0, [new(created("x" if stream != "b" else "y"))], snapshot=b"").result()
    assert store.streams_named("x") == ["c", "a"]
    assert store.streams_named("z") == []


def test_an_open_stream_has_a_snapshot_or_deliveries_that_wait(
    store: EventStore,
    new: Facts,
    accepted: MessageAccepted,
    sent: MessageSent,
    delivered: Callable[[int], WebhookDelivered],
) -> None:
    store.append("closed", 0, [new(accepted)], snapshot=b"").result()
    store.append("open", 0, [new(accepted)], snapshot=b"1").result()
    store.append("waiting", 0, [new(sent), new(sent)], snapshot=b"").result()
    assert [(head.stream, head.version, head.snapshot, head.pending) for head in store.open_streams()] == [
        ("open", 1, b"1", 0),
        ("waiting", 2, b"", 2),
    ]
    store.append("waiting", 2, [new(delivered(1)), new(delivered(2))], snapshot=b"").result()
    assert [store.open_stream(stream) for stream in ("open", "closed", "nobody")] == [*store.open_streams(), None, None]
    assert [head.stream for head in store.open_streams()] == ["open"]


def test_appends_of_many_threads_are_all_there_and_in_order(
    open_store: OpenStore, new: Facts, accepted: MessageAccepted
) -> None:
    def work(stream: str) -> None:
        for version in range(50):
            assert store.append(stream, version, [new(accepted)], snapshot=b"1").result().version == version + 1

    with open_store(Settings(group=7)) as store:
        threads = [threading.Thread(target=work, args=(f"stream-{n}",)) for n in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = store.read(limit=10_000)
    assert [record.position for record in found] == list(range(1, 2001))
    for stream in {record.stream for record in found}:
        assert [record.version for record in found if record.stream == stream] == list(range(1, 51))


def test_more_than_the_queue_holds_is_refused_at_once(
    open_store: OpenStore, new: Facts, accepted: MessageAccepted, hold: Hold
) -> None:
    gate = threading.Event()
    with open_store(Settings(queue=3)) as store:
        hold(store, gate)
        waiting = [store.append("a", version, [new(accepted)], snapshot=b"1") for version in (0, 1, 2)]
        with pytest.raises(StoreOverloaded) as caught:
            store.append("a", 3, [new(accepted)], snapshot=b"1")
        assert caught.value.queued == 3
        gate.set()
        assert [future.result().version for future in waiting] == [1, 2, 3]
        assert store.append("a", 3, [new(accepted)], snapshot=b"1").result().version == 4


def test_what_was_appended_before_is_in_the_log_when_that_is_settled(
    store: EventStore, new: Facts, accepted: MessageAccepted, hold: Hold
) -> None:
    gate = threading.Event()
    hold(store, gate)
    appended, settled = store.append("a", 0, [new(accepted)], snapshot=b"1"), store.settled()
    assert not settled.done()
    gate.set()
    settled.result()
    assert appended.done()
    assert store.version("a") == 1


def test_what_is_queued_when_the_store_is_closed_is_still_written(
    open_store: OpenStore, new: Facts, accepted: MessageAccepted
) -> None:
    store = open_store()
    futures = [store.append(f"s{n}", 0, [new(accepted)], snapshot=b"1") for n in range(500)]
    store.close()
    store.close()
    assert all(future.result().version == 1 for future in futures)
    with pytest.raises(StoreClosed):
        store.append("a", 0, [new(accepted)], snapshot=b"1")
    with pytest.raises(StoreClosed):
        store.head()
    with open_store() as store:
        assert store.head() == 500


def test_an_id_that_its_sender_chose_badly_keeps_no_message_out(
    store: EventStore, new: Facts, sent: MessageSent
) -> None:
    chosen = ["x" * 100_000, "".join(map(chr, range(0x4E00, 0x4E00 + 5000))), "a\0b", "3EB1"]
    facts = [new(msgspec.structs.replace(sent, message_id=id_)) for id_ in chosen]
    store.append("a", 0, facts, snapshot=b"1").result()
    assert [getattr(record.event, "message_id", None) for record in store.read()] == chosen
    assert [record.position for record in store.about("a", "3EB1")] == [4]
    assert store.healthy() is None


@pytest.mark.parametrize("stream", ["", "a b", "a\nb", "ä", "x" * 201, "\ud800", "a\0"])
def test_a_stream_has_a_plain_name(store: EventStore, new: Facts, accepted: MessageAccepted, stream: str) -> None:
    with pytest.raises(NotStorable):
        store.append(stream, 0, [new(accepted)], snapshot=b"1")


def test_a_moment_without_a_time_zone_is_refused(store: EventStore, accepted: MessageAccepted) -> None:
    naive = datetime(2026, 11, 24)
    with pytest.raises(NotStorable, match="time zone"):
        store.append("a", 0, [NewEvent(id="e", event=accepted, recorded_at=naive)], snapshot=b"1")


def test_values_that_the_database_cannot_take_fail_only_their_own_caller(
    store: EventStore, new: Facts, accepted: MessageAccepted, noon: datetime
) -> None:
    attempt = Attempt(at=noon, duration_ms=2**70, http_status=None, error="", address="", answer="")
    good = [store.append("a", 0, [new(accepted)], snapshot=b"1")]
    bad = [store.record_attempt("a", "main", 1, attempt, None)]
    bad.append(
        store.record_attempt("a", "main", 1, msgspec.structs.replace(attempt, duration_ms=1, answer="\ud800"), None)
    )
    bad.append(store.record_attempt("a", "main", 1, msgspec.structs.replace(attempt, duration_ms="soon"), None))
    good.append(store.append("a", 1, [new(accepted)], snapshot=b"1"))
    assert [type(future.exception()) for future in bad] == [NotStorable] * 3
    assert [future.result().version for future in good] == [1, 2]
    assert store.healthy() is None
