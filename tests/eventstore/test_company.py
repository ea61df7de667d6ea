"""What each of the nodes that share a log has, and what it knows of the others."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Signal
from threading import Semaphore

import pytest

from chatbot_erp.eventstore import postgres_lease
from chatbot_erp.eventstore.company import News, Seat
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.events import InstanceCreated, InstanceRemoved
from chatbot_erp.eventstore.lease import VISITOR, Node
from chatbot_erp.eventstore.postgres_store import open_store
from chatbot_erp.eventstore.subject_keys import Wanted
from chatbot_erp.eventstore.subjects import Subjects
from node_stores import ONCE, PATIENCE_S, PATIENT, A, B, Direct, Facts, Heard, opened

C = Node(name="c", movable=True)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


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
            b.company.exchange(moving.stream, "s")  # which is fixed here
            b.company.fix(["t"])
            b.company.exchange(moving.stream, "s")
            at_b.until(lambda news: {(each.stream, each.wanted) for each in news.mine} >= {("s", "a"), ("u", None)})
            b.company.exchange("s", moving.stream)
            at_b.until(lambda news: {(each.stream, each.wanted) for each in news.mine} >= {("s", None), ("u", "a")})
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


def test_what_is_fixed_to_a_former_name_of_a_data_directory_and_lies_there_comes_to_the_present_one(
    database: str, directory: Path, direct: Direct
) -> None:
    with open_store(database, directory, PATIENT, A) as a:
        for stream in "stu":
            assert a.company.reserve(stream, f"empresa_{stream}")
        a.company.fix(["s", "t"])
    with open_store(database, directory, PATIENT, C) as c:
        c.company.fix(["s"])
        assert [c.company.has(stream) for stream in "st"] == [True, False]
        assert c.company.former_names() == ["a"]
        c.company.succeed(["a"])
        assert c.company.former_names() == []
        at_c = Heard(c)
        at_c.until_it_has("s", "u")
        assert {each.name: each.instances for each in c.company.nodes()} == {"a": 1, "c": 2}
        assert list(c.company.machines()) == ["c"]
        with opened(database, directory, B, Signal()) as b:
            assert b.company.seat("empresa_s") == Seat("s", "c", "http://c", alive=True)
            assert b.company.seat("empresa_t") == Seat("t", "a", "", alive=False)


def test_what_is_fixed_to_a_former_name_comes_to_the_present_one_when_nobody_goes_on_under_that(
    database: str, directory: Path, direct: Direct
) -> None:
    with open_store(database, directory, PATIENT, A) as a:
        assert a.company.reserve("s", "empresa_s")
        a.company.fix(["s"])
    direct("UPDATE nodes SET lease_until = 'infinity' WHERE name = 'a'")  # as where it was killed just now
    with open_store(database, directory, PATIENT, C) as c:
        c.company.fix(["s"])
        at_c = Heard(c)
        assert not c.company.has("s")
        direct("UPDATE nodes SET lease_until = '-infinity' WHERE name = 'a'")
        at_c.until_it_has("s")


def test_a_data_directory_that_has_a_former_name_again_has_a_life_under_it_that_was_not_before(
    database: str, directory: Path
) -> None:
    lives = []
    for node in (A, C, A):
        with open_store(database, directory, PATIENT, node) as store:
            store.company.succeed(store.company.former_names())
            store.company.announce("http://anywhere", lambda news: None)
            store.company.fix([])
            assert [seen.name for seen in store.company.nodes()] == [node.name]
            lives.append(store.company.life)
    assert lives == ["1/a", "1/c", "2/a"]


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


def test_a_visitor_knows_whose_directory_it_has_also_while_the_lease_of_one_that_was_killed_lasts(
    database: str, directory: Path, direct: Direct
) -> None:
    opened(database, directory, A, Signal()).close()
    direct("UPDATE nodes SET lease_until = clock_timestamp() + interval '1 hour' WHERE name = 'a'")
    with open_store(database, directory.with_name("a"), PATIENT, VISITOR, Signal().set) as visitor:
        assert visitor.company.machine == "a"
