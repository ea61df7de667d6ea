"""Who works with a shared log: the rules, and the rows in PostgreSQL that they rule."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Signal
from threading import Semaphore

import msgspec
import psycopg
import pytest

from chatbot_erp.eventstore import postgres_lease
from chatbot_erp.eventstore.company import News, Seat
from chatbot_erp.eventstore.errors import StoreError, StoreUnavailable, VersionConflict
from chatbot_erp.eventstore.events import InstanceCreated, InstanceRemoved, MessageAccepted
from chatbot_erp.eventstore.lease import ALONE, VISITOR, Lease, Node, decide
from chatbot_erp.eventstore.postgres_store import open_store, verify
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings
from chatbot_erp.eventstore.subject_keys import Wanted
from chatbot_erp.eventstore.subjects import Subjects

Facts = Callable[..., NewEvent]
Direct = Callable[[str], object]

A, B = Node(name="a", movable=True), Node(name="b", movable=True)
SHORT = Node(name="a", movable=True, lease_s=2.0)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PATIENCE_S = 60
ONCE, PATIENT = Settings(patience_ms=0), Settings(patience_ms=60_000)


def test_a_node_begins_beside_others_and_not_beside_one_that_shares_with_nobody() -> None:
    assert decide(A, Lease()) == "take"
    assert decide(A, Lease(company="nodes")) == "take"
    assert decide(A, Lease(company="alone")) == "wait"


def test_one_that_shares_with_nobody_waits_until_nobody_is_there() -> None:
    assert decide(ALONE, Lease()) == "take"
    assert decide(ALONE, Lease(company="nodes")) == "wait"
    assert decide(ALONE, Lease(company="alone", locked=True)) == "wait"


def test_who_was_killed_begins_again_at_once_and_in_place_of_who_is_frozen_when_its_lease_has_lapsed() -> None:
    assert decide(A, Lease(lapsed=False)) == "take"
    assert decide(A, Lease(lapsed=False, locked=True, company="nodes")) == "wait"
    assert decide(A, Lease(lapsed=True, locked=True, company="nodes")) == "take"


@pytest.fixture
def direct(database: str) -> Iterator[Direct]:
    """Runs a statement past the store."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET search_path = chatbot_erp")
        yield lambda statement: connection.execute(statement.encode())


def opened(database: str, directory: Path, node: Node, lost: Signal, settings: Settings = PATIENT) -> EventStore:
    return open_store(database, directory.with_name(node.name or "nobody"), settings, node, lost.set)


class Heard:
    """What a node hears of the others."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self._news: list[News] = []
        self._came = Semaphore(0)
        store.company.announce(f"http://{store.company.node}", self._hear)

    def _hear(self, news: News) -> None:
        self._news.append(news)
        self._came.release()

    def until(self, wanted: Callable[[News], bool]) -> News:
        while not (self._news and wanted(self._news[-1])):
            assert self._came.acquire(timeout=PATIENCE_S), self._news[-1:]
        return self._news[-1]

    def until_it_has(self, *streams: str) -> None:
        self.until(lambda news: {each.stream for each in news.mine} == set(streams))


def test_two_nodes_append_to_one_log(database: str, directory: Path, new: Facts, accepted: MessageAccepted) -> None:
    with opened(database, directory, A, Signal()) as a, opened(database, directory, B, Signal()) as b:
        for version in range(3):
            a.append("s", version, [new(accepted)], snapshot=b"1").result()
            b.append("t", version, [new(accepted)], snapshot=b"1").result()
        assert [(each.position, each.stream) for each in b.read()] == [(n, "st"[(n + 1) % 2]) for n in range(1, 7)]
    assert verify(database).problem is None


def test_who_wakes_with_an_old_epoch_appends_nothing_and_is_told(
    database: str, directory: Path, direct: Direct, new: Facts, accepted: MessageAccepted
) -> None:
    lost = Signal()
    with opened(database, directory, A, lost) as old:
        old.append("s", 0, [new(accepted)], snapshot=b"1").result()
        # As after a freeze: it has its line and its lock still.
        direct("UPDATE nodes SET epoch = epoch + 1")
        with pytest.raises(StoreUnavailable):
            old.append("s", 1, [new(accepted)], snapshot=b"2").result(PATIENCE_S)
        assert lost.wait(PATIENCE_S)
        assert old.healthy() is not None
        assert old.head() == 1


def test_what_a_node_had_that_fell_silent_is_anothers_and_it_appends_nothing_more(
    database: str,
    directory: Path,
    new: Facts,
    created: Callable[[str], InstanceCreated],
    accepted: MessageAccepted,
) -> None:
    lost = Signal()
    with opened(database, directory, SHORT, lost) as a, opened(database, directory, B, Signal()) as b:
        assert a.company.reserve("s", "empresa_x")
        a.append("s", 0, [new(created("empresa_x"))], snapshot=b"1").result()
        Heard(a).until_it_has("s")
        at_b = Heard(b)
        at_b.until(lambda news: set(news.living) == {"a", "b"})
        assert b.company.seat("empresa_x") == Seat("s", "a", "http://a", alive=True)
        life = a.company.life
        assert b.company.is_living(life)
        a.company.close()  # it renews nothing more, as where it is frozen
        at_b.until_it_has("s")
        assert not b.company.is_living(life)
        b.append("s", 1, [new(accepted)], snapshot=b"2").result()
        with pytest.raises(StoreError):
            a.append("s", 2, [new(accepted)], snapshot=b"3").result(PATIENCE_S)
        assert lost.wait(PATIENCE_S)
        b.append("s", 2, [new(accepted)], snapshot=b"3").result()
    assert verify(database).problem is None


def test_who_sees_that_a_lease_has_lapsed_looks_at_once_what_is_to_be_taken(
    database: str, directory: Path, direct: Direct, new: Facts, accepted: MessageAccepted
) -> None:
    opened(database, directory, A, Signal()).close()
    with opened(database, directory, Node(name="b", movable=True, lease_s=2.0), Signal()) as b:
        b.append("s", 0, [new(accepted)], snapshot=b"1").result()

        def commits() -> int:
            return sum(mark for (mark,) in direct("SELECT mark FROM writers"))  # type: ignore[attr-defined]

        before, deadline = commits(), time.monotonic() + PATIENCE_S
        while commits() == before:
            assert time.monotonic() < deadline
            # Again and again: it may have been its turn just then.
            direct("UPDATE nodes SET lease_until = clock_timestamp() - interval '1 second' WHERE name = 'a'")
            time.sleep(0.05)


def test_whoever_stumbles_over_the_news_ends_no_renewal(database: str, directory: Path) -> None:
    leases: list[float] = []
    came = Semaphore(0)
    with opened(database, directory, A, Signal()) as a:

        def stumble(news: News) -> None:
            leases.append(a.company.leased_until())
            came.release()
            raise ValueError("an address that nobody understands")

        a.company.announce("http://a", stumble)
        while len(set(leases)) < 3:
            assert came.acquire(timeout=PATIENCE_S)


def test_after_an_outage_that_was_longer_than_all_leases_nobody_is_taken_for_dead(
    database: str, directory: Path, direct: Direct, new: Facts, accepted: MessageAccepted
) -> None:
    lost = Signal()
    nodes = [msgspec.structs.replace(node, lease_s=5.0) for node in (A, B)]
    with opened(database, directory, nodes[0], lost) as a, opened(database, directory, nodes[1], lost) as b:
        at_a = Heard(a)
        Heard(b)
        at_a.until(lambda news: set(news.living) == {"a", "b"})
        lost.wait(5.5)  # who has just begun is patient anyway
        direct("UPDATE nodes SET lease_until = clock_timestamp() - interval '1 hour'")
        direct(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        for store, stream in ((a, "s"), (b, "t")):
            stands = False
            while not stands:
                # Refused until it has a connection again; what was on its way may have come through.
                with suppress(StoreUnavailable, VersionConflict):
                    store.append(stream, 0, [new(accepted)], snapshot=b"1").result(PATIENCE_S)
                with suppress(StoreUnavailable):
                    stands = store.version(stream) > 0
        assert not lost.is_set()
        assert direct("SELECT max(epoch) FROM nodes").fetchone() == (1,)  # type: ignore[attr-defined]


def test_who_joins_is_given_a_share_when_it_is_let_go_of_and_who_ends_leaves_everything_to_the_others(
    database: str, directory: Path
) -> None:
    with opened(database, directory, B, Signal()) as b:
        at_b = Heard(b)
        for stream in "stu":
            assert b.company.reserve(stream, f"empresa_{stream}")
        assert not b.company.reserve("v", "empresa_s")
        b.company.fix(["s", "t"])  # as where their sessions are files
        at_b.until_it_has("s", "t", "u")
        with opened(database, directory, A, Signal()) as a:
            at_a = Heard(a)
            wanted = at_b.until(lambda news: any(each.wanted == "a" for each in news.mine))
            (moving,) = [each for each in wanted.mine if each.wanted]
            assert moving.stream == "u"
            assert not a.company.has(moving.stream)
            b.company.hand_over(moving.stream).result()
            at_a.until_it_has(moving.stream)
            assert {each.name: each.instances for each in a.company.nodes()} == {"a": 1, "b": 2}
        at_b.until_it_has("s", "t", "u")


def test_who_leaves_hands_over_one_after_the_other_while_it_works_and_is_given_nothing_more(
    database: str, directory: Path, new: Facts, created: Callable[[str], InstanceCreated]
) -> None:
    with opened(database, directory, B, Signal()) as b, opened(database, directory, A, Signal()) as a:
        at_b, at_a = Heard(b), Heard(a)
        assert b.company.reserve("never made", "empresa_w")
        assert not b.company.can_part()
        b.company.forget("never made")
        for stream in "stu":
            assert b.company.reserve(stream, f"empresa_{stream}")
            b.append(stream, 0, [new(created(f"empresa_{stream}"))], snapshot=b"1").result()
        b.company.fix(["t"])
        b.company.leave()
        at_b.until(lambda news: {(each.stream, each.wanted) for each in news.mine} >= {("s", "a"), ("u", "a")})
        assert {each.name: each.leaving for each in a.company.nodes()} == {"a": False, "b": True}
        for stream, left in (("s", True), ("u", False)):
            assert b.company.has(stream)
            b.company.hand_over(stream).result()
            assert b.company.can_part() is left
        at_a.until_it_has("s", "u")
        assert a.company.reserve("v", "empresa_v")
        a.company.leave()
        at_a.until_it_has("s", "u", "v")
        assert not a.company.can_part()  # there is nobody who stays
    with opened(database, directory, B, Signal()) as b, opened(database, directory, A, Signal()) as a:
        assert not any(each.leaving for each in b.company.nodes())
        assert a.company.secret() == b.company.secret() != b""


def test_a_removed_instance_frees_its_name_and_keeps_its_place_until_it_is_forgotten(
    database: str, directory: Path, new: Facts, created: Callable[[str], InstanceCreated]
) -> None:
    with opened(database, directory, A, Signal()) as a:
        assert a.company.reserve("s", "empresa_x")
        a.append("s", 0, [new(created("empresa_x"))], snapshot=b"1").result()
        a.append("s", 1, [new(InstanceRemoved(session_kept=False, reason="deleted"))], snapshot=b"").result()
        assert a.company.has("s")
        assert a.company.reserve("t", "empresa_x")
        a.company.forget("s")
        assert a.company.reserve("s", "empresa_s"), "its place is free again"


def test_one_that_shares_with_nobody_has_everything_that_is_open(
    database: str, directory: Path, direct: Direct, new: Facts, created: Callable[[str], InstanceCreated]
) -> None:
    with open_store(database, directory, PATIENT) as store:
        store.append("s", 0, [new(created("empresa_s"))], snapshot=b"1").result()
    direct("DELETE FROM placements")  # as where it was moved here
    with opened(database, directory, A, Signal()) as a:
        assert a.company.has("s")
        assert not a.company.reserve("t", "empresa_s")
    with open_store(database, directory, PATIENT) as store:
        assert store.company.has("s")
        with pytest.raises(StoreUnavailable, match="another manager"):
            opened(database, directory, A, Signal(), ONCE)


def test_one_that_shares_with_nobody_leaves_numbers_with_the_machine_that_has_their_sessions(
    database: str, directory: Path, new: Facts, created: Callable[[str], InstanceCreated]
) -> None:
    with opened(database, directory, A, Signal()) as a:
        for stream in "stu":
            assert a.company.reserve(stream, f"empresa_{stream}")
            a.append(stream, 0, [new(created(f"empresa_{stream}"))], snapshot=b"1").result()
        a.company.fix(["s", "t"])
    alone = Node(name="c")
    with opened(database, directory, alone, Signal()) as c:
        c.company.fix(["t"])  # as where that file was brought here
        assert [c.company.has(stream) for stream in "stu"] == [False, True, True]
        assert c.company.seat("empresa_s") == Seat("s", "a", "", alive=False)
        assert not c.company.reserve("v", "empresa_s")
    with opened(database, directory, B, Signal()) as b:
        Heard(b).until_it_has("u")
        assert b.company.seat("empresa_t") == Seat("t", "c", "", alive=False)
    with opened(database, directory, A, Signal()) as a:
        assert a.company.has("s")


def test_who_was_cut_off_when_one_that_shares_with_nobody_began_has_an_old_epoch_and_no_lease(
    database: str, directory: Path, direct: Direct
) -> None:
    opened(database, directory, A, Signal()).close()
    # As of a node that works, and whose lines are gone.
    direct("UPDATE nodes SET lease_until = 'infinity' WHERE name = 'a'")
    direct("INSERT INTO placements VALUES ('s', 'empresa_in_the_making', 'a')")
    with opened(database, directory, Node(name="c"), Signal()) as c:
        assert not c.company.is_living("1/a")
        assert c.company.machines()["a"] is None
        assert direct("SELECT epoch FROM nodes WHERE name = 'a'").fetchone() == (2,)  # type: ignore[attr-defined]
        assert c.company.reserve("t", "empresa_in_the_making")


@pytest.mark.parametrize("node", [A, Node(name="alone")], ids=["a node", "one alone"])
def test_nobody_knows_a_machine_any_more_that_was_not_seen_for_a_month_whatever_it_still_has(
    database: str, directory: Path, direct: Direct, node: Node
) -> None:
    for lost in "bc":
        opened(database, directory, Node(name=lost, movable=True), Signal()).close()
    direct("INSERT INTO placements (stream, name, node, fixed) VALUES ('s', 'empresa_x', 'b', true)")
    direct("UPDATE nodes SET seen_at = now() - interval '31 days'")
    with opened(database, directory, node, Signal()) as store:
        store.company.fix([])
        assert list(store.company.machines()) == [node.name]
        assert direct("SELECT count(*) FROM nodes WHERE name = 'c'").fetchone() == (0,)  # type: ignore[attr-defined]


@pytest.mark.parametrize("node", [A, Node(name="alone"), VISITOR], ids=["a node", "one alone", "a visitor"])
def test_who_works_for_a_month_and_ends_is_remembered_from_its_end_on(
    database: str, directory: Path, direct: Direct, node: Node
) -> None:
    with opened(database, directory, node, Signal()) as store:
        store.company.fix([])
        direct("UPDATE nodes SET seen_at = now() - interval '31 days'")
    assert direct("SELECT count(*) FROM nodes WHERE seen_at > now() - interval '1 day'").fetchone() == (1,)  # type: ignore[attr-defined]


def test_one_that_shares_with_nobody_is_seen_now_and_then_as_long_as_it_works(
    database: str, directory: Path, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_lease, "SEEN_EVERY_S", 0.0)
    with opened(database, directory, Node(name="alone"), Signal()) as store:
        direct("UPDATE nodes SET seen_at = now() - interval '31 days'")
        store.company.fix([])
        store.company.fix([])
        assert "alone" in store.company.machines()


def test_a_visitor_writes_beside_nodes_and_when_nobody_is_there_and_has_nothing(
    database: str, directory: Path, direct: Direct, new: Facts, accepted: MessageAccepted
) -> None:
    with opened(database, directory, VISITOR, Signal()) as visitor:
        visitor.append("s", 0, [new(accepted)], snapshot=b"1").result()
        assert not visitor.company.has("s")
        with opened(database, directory, A, Signal()) as a:
            Heard(a).until_it_has("s")
            visitor.append("s", 1, [new(accepted)], snapshot=b"1").result()
            assert a.company.seat("s") is None
            assert [node.name for node in a.company.nodes()] == ["a"]
            assert list(a.company.machines()) == ["a"]
            with pytest.raises(StoreUnavailable, match="another manager"):
                opened(database, directory, ALONE, Signal(), ONCE)
    with opened(database, directory, ALONE, Signal()), pytest.raises(StoreUnavailable, match="another manager"):
        opened(database, directory, VISITOR, Signal(), ONCE)


def test_two_of_one_name_keep_each_other_out(database: str, directory: Path) -> None:
    with (
        opened(database, directory, A, Signal()),
        pytest.raises(StoreUnavailable, match="another manager"),
    ):
        opened(database, directory, A, Signal(), ONCE)


def test_a_key_that_one_node_destroys_is_forgotten_by_the_others(database: str, directory: Path) -> None:
    maria = Wanted(("5511999999999@s.whatsapp.net",), "2026-11-24")
    with opened(database, directory, A, Signal()) as a, opened(database, directory, B, Signal()) as b:
        at_b = Heard(b)
        Heard(a)
        (lock,) = a.keys.locks([maria])
        assert b.keys.cipher(lock.subject, maria.period) is not None
        people = Subjects(a)
        people.destroy(people.begin(maria.owners, NOON), maria.owners, NOON)
        at_b.until(lambda news: b.keys.cipher(lock.subject, maria.period) is None)


def hold_the_row(line: psycopg.Connection[tuple[object, ...]]) -> None:
    """As node "a", frozen in mid-transaction: nothing ends that but the end of its line."""
    line.execute("SELECT pg_advisory_lock(7167, hashtext('a'))")
    line.execute("BEGIN")
    line.execute("SELECT FROM chatbot_erp.head FOR UPDATE").fetchone()


def test_who_froze_in_mid_transaction_holds_up_nobody_who_begins(
    database: str, directory: Path, direct: Direct
) -> None:
    opened(database, directory, A, Signal()).close()
    with psycopg.connect(database, autocommit=True) as frozen:
        with suppress(psycopg.OperationalError), frozen.pipeline():
            hold_the_row(frozen)
            direct("UPDATE nodes SET lease_until = now() - interval '1 second' WHERE name = 'a'")
            opened(database, directory, B, Signal()).close()
        assert frozen.closed


def test_who_froze_in_mid_transaction_costs_nobody_the_lease_and_others_append_when_its_own_has_lapsed(
    database: str, directory: Path, direct: Direct, new: Facts, accepted: MessageAccepted
) -> None:
    opened(database, directory, A, Signal()).close()
    direct("UPDATE nodes SET lease_until = 'infinity' WHERE name = 'a'")
    lost = Signal()
    with (
        opened(database, directory, msgspec.structs.replace(B, lease_s=2.0), lost) as b,
        psycopg.connect(database, autocommit=True) as frozen,
    ):
        with suppress(psycopg.OperationalError), frozen.pipeline():
            hold_the_row(frozen)
            until = b.company.leased_until()
            direct("UPDATE nodes SET lease_until = now() - interval '1 second' WHERE name = 'b'")
            renewed = "DO $$BEGIN WHILE (SELECT lease_until < clock_timestamp() FROM nodes WHERE name = 'b') LOOP PERFORM pg_sleep(0.05); END LOOP; END$$"
            direct(renewed)
            assert b.company.leased_until() >= until
            waits = b.append("s", 0, [new(accepted)], snapshot=b"1")
            direct("UPDATE nodes SET lease_until = now() - interval '1 second' WHERE name = 'a'")
            assert waits.result(PATIENCE_S).version == 1
        assert frozen.closed
        assert not lost.is_set()
