"""Who works with a shared log: the rules, and the rows in PostgreSQL that they rule."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from threading import Event as Signal

import msgspec
import psycopg
import pytest

from chatbot_erp.eventstore import postgres
from chatbot_erp.eventstore.company import Seat
from chatbot_erp.eventstore.errors import StoreError, StoreUnavailable, VersionConflict
from chatbot_erp.eventstore.events import InstanceCreated, MessageAccepted
from chatbot_erp.eventstore.lease import ALONE, VISITOR, Lease, Node, decide
from chatbot_erp.eventstore.postgres_store import verify
from node_stores import ONCE, PATIENCE_S, PATIENT, A, B, Direct, Facts, Heard, opened
from waiting import wait_until

SHORT = Node(name="a", movable=True, lease_s=2.0)


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


def test_a_node_begins_beside_one_that_made_the_database_while_it_waited(database: str, directory: Path) -> None:
    with closing(postgres.connect(database)) as other, ThreadPoolExecutor(1) as pool:
        postgres.own(other)
        beginning = pool.submit(opened, database, directory, A, Signal())
        asks = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%try_advisory_lock_shared(%'"
        while other.execute(f"{asks} AND pid <> pg_backend_pid()".encode()).fetchone() is None:
            assert not beginning.done()
        postgres.migrate(other)
        other.execute("SELECT pg_advisory_lock_shared(7166, 1), pg_advisory_unlock(7166, 1)")
        beginning.result(PATIENCE_S).close()


def test_a_node_keeps_its_lease_however_long_its_beginning_takes(database: str, directory: Path) -> None:
    opened(database, directory, B, Signal()).close()
    with closing(postgres.connect(database)) as former, ThreadPoolExecutor(1) as pool:
        # As a line of its last life does of which the server has not noticed yet that it broke.
        former.execute("SELECT pg_advisory_lock(7167, hashtext('a'))")
        beginning = pool.submit(opened, database, directory, SHORT, Signal())
        seen = "SELECT seen_at FROM nodes WHERE name = 'a'"
        while (first := former.execute(seen).fetchone()) is None:
            assert not beginning.done()
        later = f"{seen} AND seen_at > %s".encode(), (first[0] + timedelta(seconds=SHORT.lease_s),)
        wait_until(lambda: beginning.done() or former.execute(*later).fetchone())
        assert not beginning.done()
        former.execute("SELECT pg_advisory_unlock(7167, hashtext('a'))")
        beginning.result(PATIENCE_S).close()


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

        before = commits()

        def has_looked() -> bool:
            # Again and again: it may have been its turn just then.
            direct("UPDATE nodes SET lease_until = clock_timestamp() - interval '1 second' WHERE name = 'a'")
            return commits() != before

        wait_until(has_looked)


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
        # At once, as in an outage: nobody has a line on which to see that the leases have lapsed.
        direct(
            "WITH lapsed AS (UPDATE nodes SET lease_until = clock_timestamp() - interval '1 hour')"
            " SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
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


def test_who_was_committed_hears_of_it_while_another_node_keeps_the_next_group_waiting(
    database: str, directory: Path, new: Facts, accepted: MessageAccepted
) -> None:
    one_by_one = msgspec.structs.replace(PATIENT, group=1)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with (
        opened(database, directory, msgspec.structs.replace(A, lease_s=600.0), Signal()) as a,
        opened(database, directory, msgspec.structs.replace(B, lease_s=600.0), Signal(), one_by_one) as b,
        psycopg.connect(database) as first,
        psycopg.connect(database) as second,
        psycopg.connect(database, autocommit=True) as looker,
        ThreadPoolExecutor(1) as pool,
    ):
        for node in (a, b):
            node.company.fix([])  # having looked whether everything is in its place

        def until_so_many_wait(count: int) -> None:
            while looker.execute(waiting.encode()).fetchone() != (count,):
                time.sleep(0.01)

        first.execute("SELECT FROM chatbot_erp.head FOR UPDATE")
        committed = b.append("s", 0, [new(accepted)], snapshot=b"1")
        until_so_many_wait(1)
        held = pool.submit(second.execute, "SELECT FROM chatbot_erp.head FOR UPDATE")
        until_so_many_wait(2)
        next_one = b.append("s", 1, [new(accepted)], snapshot=b"1")
        first.rollback()
        held.result(PATIENCE_S)
        assert committed.result(PATIENCE_S).version == 1
        second.rollback()
        assert next_one.result(PATIENCE_S).version == 2


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
