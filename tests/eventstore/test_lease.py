"""Who works with a shared log: the rules, played through by hypothesis, and the row in PostgreSQL that they rule."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event as Signal

import msgspec
import psycopg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatbot_erp.eventstore.errors import StoreClosed, StoreUnavailable
from chatbot_erp.eventstore.events import MessageAccepted
from chatbot_erp.eventstore.lease import LEASE_S, Lease, Node, decide
from chatbot_erp.eventstore.postgres_store import open_store, verify
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings

Facts = Callable[..., NewEvent]
Direct = Callable[[str], object]

A, B = (Node(name=name, url=f"http://{name}", movable=True, lease_s=3600) for name in "ab")
"""They renew nothing while a test lasts."""
PATIENCE_S = 120
PATIENT, ONCE = Settings(patience_ms=60_000), Settings(patience_ms=0)


def held_by(node: Node, **what: bool) -> Lease:
    return Lease(epoch=1, holder=node.name, movable=node.movable, **{"lapsed": False, "locked": False, **what})


def test_a_lease_that_nobody_has_is_taken_and_one_that_is_kept_is_not() -> None:
    assert decide(A, Lease()) == "take"
    assert decide(B, held_by(A, locked=True)) == "wait"


def test_who_was_killed_gets_its_own_lease_back_at_once_and_others_get_it_when_it_has_lapsed() -> None:
    assert decide(A, held_by(A)) == "take"
    assert decide(B, held_by(A)) == "wait"
    assert decide(B, held_by(A, lapsed=True)) == "take"


def test_who_is_frozen_is_superseded_when_its_lease_has_lapsed() -> None:
    assert decide(B, held_by(A, locked=True, lapsed=True)) == "take"


def test_a_manager_with_files_waits_for_nobody_but_a_lock_and_is_never_superseded_while_it_has_that() -> None:
    with_files = Node(name="c")
    assert decide(with_files, held_by(A)) == "take"
    assert decide(with_files, held_by(A, locked=True, lapsed=True)) == "wait"
    assert decide(B, held_by(with_files, locked=True, lapsed=True)) == "wait"


class Nodes(RuleBasedStateMachine):
    """Three nodes that come, die, freeze, wake and lose their lines, as the database sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.epoch, self.holder, self.until = 0, "", 0.0
        self.locked_by = ""
        self.alive = {"a", "b", "c"}
        self.frozen: set[str] = set()
        self.believes: dict[str, int] = {}
        self.appended: list[tuple[int, str]] = []

    def lease(self) -> Lease:
        return Lease(
            epoch=self.epoch,
            holder=self.holder or None,
            movable=True,
            lapsed=self.until < self.now,
            locked=bool(self.locked_by),
        )

    def acting(self) -> list[str]:
        return sorted(self.alive - self.frozen)

    @rule(seconds=st.floats(0, 2))
    def time_passes(self, seconds: float) -> None:
        """Whoever can renews its lease: more often than it could lapse."""
        for name in self.acting():
            if self.believes.get(name) == self.epoch and self.locked_by == name:
                self.until = self.now + LEASE_S
        self.now += seconds

    @rule(name=st.sampled_from("abc"))
    def tries(self, name: str) -> None:
        if name not in self.acting() or name in self.believes:
            return
        before = self.lease()
        if decide(Node(name=name, movable=True), before) == "take":
            keeps = self.holder in self.acting() and self.locked_by == self.holder != name
            assert not keeps or before.lapsed
            self.epoch, self.holder, self.until, self.locked_by = self.epoch + 1, name, self.now + LEASE_S, name
            self.believes[name] = self.epoch

    @rule(name=st.sampled_from("abc"))
    def appends(self, name: str) -> None:
        """In its transaction it compares epochs; a line that broke is made again first."""
        if name not in self.acting() or name not in self.believes:
            return
        if self.believes[name] != self.epoch:
            del self.believes[name]
            return
        self.locked_by = name
        self.appended.append((self.epoch, name))

    @rule(name=st.sampled_from("abc"))
    def dies(self, name: str) -> None:
        self.alive.discard(name)
        self.frozen.discard(name)
        self.believes.pop(name, None)
        self.locked_by = "" if self.locked_by == name else self.locked_by

    @rule(name=st.sampled_from("abc"))
    def comes(self, name: str) -> None:
        self.alive.add(name)

    @rule(name=st.sampled_from("abc"))
    def freezes_or_wakes(self, name: str) -> None:
        if name in self.alive:
            self.frozen ^= {name}

    @rule()
    def lines_break(self) -> None:
        self.locked_by = ""

    @precondition(lambda self: self.acting())
    @rule()
    def waits_long(self) -> None:
        """With anybody there to take it, the lease is never without a holder for longer than it lasts."""
        self.now = max(self.now, self.until) + 1
        if self.holder in self.acting() and self.believes.get(self.holder) == self.epoch:
            self.until, self.locked_by = self.now + LEASE_S, self.holder
            return
        free = [name for name in self.acting() if name not in self.believes]
        assert all(decide(Node(name=name, movable=True), self.lease()) == "take" for name in free)

    @invariant()
    def every_epoch_has_one_writer_and_none_comes_back(self) -> None:
        writers = dict(self.appended)
        assert all(writers[epoch] == name for epoch, name in self.appended)
        assert [epoch for epoch, _ in self.appended] == sorted(epoch for epoch, _ in self.appended)


TestNodes = Nodes.TestCase


@pytest.fixture
def direct(database: str) -> Iterator[Direct]:
    """Runs a statement past the store."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET search_path = chatbot_erp")
        yield lambda statement: connection.execute(statement.encode())


def opened(database: str, directory: Path, node: Node, lost: Signal, settings: Settings = PATIENT) -> EventStore:
    return open_store(database, directory.with_name(node.name), settings, node, lost.set)


def test_who_wakes_with_an_old_epoch_appends_nothing_and_is_told(
    database: str, directory: Path, direct: Direct, new: Facts, accepted: MessageAccepted
) -> None:
    lost = Signal()
    with opened(database, directory, A, lost) as old:
        old.append("s", 0, [new(accepted)], snapshot=b"1").result()
        with pytest.raises(StoreUnavailable, match="another manager"):
            opened(database, directory, B, Signal(), ONCE)
        # As after a freeze: it has its line and its lock still, and has renewed nothing for long.
        direct("UPDATE head SET lease_until = now() - interval '1 second'")
        with opened(database, directory, B, Signal()) as young:
            young.append("s", 1, [new(accepted)], snapshot=b"2").result()
            # It may have looked after its line already, and have ended.
            with pytest.raises((StoreUnavailable, StoreClosed)):
                old.append("s", 2, [new(accepted)], snapshot=b"3").result(PATIENCE_S)
            assert lost.wait(PATIENCE_S)
            assert old.healthy() is not None
            young.append("s", 2, [new(accepted)], snapshot=b"3").result()
            assert [each.version for each in young.read()] == [1, 2, 3]
    assert verify(database).problem is None


def test_an_old_epoch_is_refused_within_the_transaction_also_where_the_line_was_never_cut(
    database: str, directory: Path, direct: Direct, new: Facts, accepted: MessageAccepted
) -> None:
    lost = Signal()
    with opened(database, directory, A, lost) as store:
        direct("UPDATE head SET epoch = epoch + 1")
        with pytest.raises(StoreUnavailable, match="another node"):
            store.append("s", 0, [new(accepted)], snapshot=b"1").result(PATIENCE_S)
        assert lost.wait(PATIENCE_S)
        assert store.head() == 0


def test_a_node_that_does_nothing_keeps_its_lease_and_hears_that_it_lost_it(
    database: str, directory: Path, direct: Direct
) -> None:
    lost, quick = Signal(), msgspec.structs.replace(A, lease_s=5)
    with opened(database, directory, quick, lost):
        direct("UPDATE head SET lease_until = now() - interval '1 second'")
        renewed = "DO $$BEGIN WHILE (SELECT lease_until < clock_timestamp() FROM head) LOOP PERFORM pg_sleep(0.05); END LOOP; END$$"
        direct(renewed)
        assert not lost.is_set()
        direct("UPDATE head SET epoch = epoch + 1")
        assert lost.wait(PATIENCE_S)


def test_a_lease_that_was_given_back_is_taken_at_once_and_one_of_the_dead_by_its_own_node(
    database: str, directory: Path, direct: Direct
) -> None:
    opened(database, directory, A, Signal()).close()
    opened(database, directory, B, Signal()).close()
    direct("UPDATE head SET holder = 'a', movable = true, lease_until = now() + interval '1 hour'")  # as after a kill
    with pytest.raises(StoreUnavailable, match="another manager"):
        opened(database, directory, B, Signal(), ONCE)
    opened(database, directory, A, Signal()).close()


def test_who_froze_in_mid_transaction_holds_up_nobody(database: str, directory: Path, direct: Direct) -> None:
    opened(database, directory, A, Signal()).close()
    with psycopg.connect(database, autocommit=True) as frozen:
        frozen.execute("SELECT pg_advisory_lock(7166, 1)")
        direct("UPDATE head SET holder = 'a', movable = true, lease_until = now() - interval '1 second'")
        with suppress(psycopg.OperationalError), frozen.pipeline():
            frozen.execute("BEGIN")
            frozen.execute("SELECT FROM chatbot_erp.head FOR UPDATE").fetchone()
            young = opened(database, directory, B, Signal())
        assert frozen.closed
        young.close()
