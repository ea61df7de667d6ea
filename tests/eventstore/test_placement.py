"""Which node has which instance: what must hold whoever comes and goes."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.eventstore.placement import Placement, place

NAMES = st.sampled_from("abcd")


@st.composite
def placements(draw: st.DrawFn, *, fixed: st.SearchStrategy[bool]) -> list[Placement]:
    owners = draw(st.lists(st.tuples(NAMES, st.none() | NAMES, fixed), max_size=25))
    return [
        Placement(f"s{number:02}", node, None if wanted == node else wanted, stays)
        for number, (node, wanted, stays) in enumerate(owners)
    ]


@st.composite
def nodes(draw: st.DrawFn) -> tuple[set[str], set[str]]:
    living = draw(st.sets(NAMES))
    return living, draw(st.sets(st.sampled_from(sorted(living)))) if living else set()


def after(before: list[Placement], changes: list[Placement]) -> list[Placement]:
    changed = {each.stream: each for each in changes}
    assert len(changed) == len(changes)
    return [changed.get(each.stream, each) for each in before]


@given(nodes(), placements(fixed=st.booleans()))
def test_nobody_is_given_anything_who_is_not_ready_and_what_is_fixed_stays(
    who: tuple[set[str], set[str]], before: list[Placement]
) -> None:
    living, ready = who
    for each, was in zip(after(before, place(living, ready, before)), before, strict=True):
        assert each.node == was.node or (each.node in ready and was.node not in living and not was.fixed)
        assert each.wanted is None or each.wanted in ready or each == was
        assert not was.fixed or each.goal == was.node or was.node not in living


@given(nodes(), placements(fixed=st.booleans()))
def test_whatever_can_move_has_a_living_owner_where_anybody_is_ready(
    who: tuple[set[str], set[str]], before: list[Placement]
) -> None:
    living, ready = who
    for each in after(before, place(living, ready, before)):
        assert each.fixed or not ready or (each.node in living and each.goal in living)


@given(nodes(), placements(fixed=st.booleans()))
def test_a_second_look_changes_nothing(who: tuple[set[str], set[str]], before: list[Placement]) -> None:
    living, ready = who
    now = after(before, place(living, ready, before))
    assert place(living, ready, now) == []


@given(st.sets(NAMES, min_size=1), placements(fixed=st.just(False)))
def test_loads_end_within_one_of_each_other_by_the_fewest_moves(living: set[str], before: list[Placement]) -> None:
    now = after(before, place(living, living, before))
    load = Counter(each.goal for each in now)
    loads = [load[node] for node in living]
    assert max(loads) - min(loads) <= 1
    # Where each was going to be, of those that need no new home; each node keeps as many of them as it may have.
    was = Counter(each.goal if each.goal in living else each.node for each in before if each.node in living)
    few, extra = divmod(len(before), len(living))
    surplus = sorted((was[node] - few for node in living), reverse=True)
    fewest = sum(max(0, over - (rank < extra)) for rank, over in enumerate(surplus))
    moved = sum(
        each.goal != (was_.goal if was_.goal in living else was_.node)
        for each, was_ in zip(now, before, strict=True)
        if was_.node in living
    )
    assert moved == fewest


@given(nodes(), st.sets(NAMES), placements(fixed=st.booleans()))
def test_who_leaves_has_everything_taken_that_can_move_when_it_lets_go_of_it_and_is_given_nothing(
    who: tuple[set[str], set[str]], ending: set[str], before: list[Placement]
) -> None:
    living, ready = who
    leaving = living & ending
    ready -= leaving
    now = after(before, place(living, ready, before, leaving))
    for each, was in zip(now, before, strict=True):
        assert was.node not in leaving or each.node == was.node
        assert each.fixed or not ready or each.goal not in leaving
    assert place(living, ready, now, leaving) == []


def test_who_joins_is_given_a_share_and_who_died_has_its_own_given_away_at_once() -> None:
    of_a = [Placement(f"s{number}", "a") for number in range(4)]
    moved = place({"a", "b"}, {"a", "b"}, of_a)
    assert [(each.node, each.wanted) for each in moved] == [("a", "b"), ("a", "b")]
    assert place({"b"}, {"b"}, of_a) == [Placement(f"s{number}", "b") for number in range(4)]


def test_a_move_that_was_begun_is_undone_where_who_wanted_it_is_gone() -> None:
    assert place({"a"}, {"a"}, [Placement("s", "a", "b")]) == [Placement("s", "a")]
    # Nor is it another's to take before it has been let go of.
    assert place({"a", "b"}, {"b"}, [Placement("s", "a", "b")]) == []
