"""The start-rate limit, in a time of its own."""

from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.starts import BURST, FAILED_WAIT_S, Starts
from chatbot_erp.actors.tidings import PlaceSocket


def request(instance: str, generation: int = 1) -> PlaceSocket:
    return PlaceSocket(instance=instance, generation=generation, pairing=False, session_from=None)


T = TypeVar("T")


def noted(notes: list[T], note: T) -> bool:
    notes.append(note)
    return True


def test_a_few_start_at_once_and_a_herd_in_order_at_the_rate() -> None:
    started: list[tuple[str, float]] = []
    now = 100.0
    starts = Starts(lambda each: noted(started, (each.instance, now)), per_s=10.0, burst=4)
    for number in range(24):
        starts.want(request(str(number)))
    while (wait_s := starts.go(now)) is not None:
        now += wait_s
    assert [instance for instance, _ in started] == [str(number) for number in range(24)]
    assert [at for _, at in started[:4]] == [100.0] * 4
    assert 101.9 < started[-1][1] < 102.1


def test_the_last_request_of_an_instance_counts_and_keeps_its_place() -> None:
    started: list[PlaceSocket] = []
    starts = Starts(lambda each: noted(started, each), per_s=1.0, burst=2)
    for instance, generation in (("a", 1), ("b", 1), ("a", 2)):
        starts.want(request(instance, generation))
    assert starts.go(0.0) is None
    assert [(each.instance, each.generation) for each in started] == [("a", 2), ("b", 1)]


def test_who_ends_meanwhile_is_not_started() -> None:
    started: list[PlaceSocket] = []
    starts = Starts(lambda each: noted(started, each), per_s=1.0, burst=1)
    for instance in "abc":
        starts.want(request(instance))
    starts.go(0.0)
    assert starts.has("b")
    starts.forget("b")
    assert not starts.has("b")
    starts.go(1.0)
    assert [each.instance for each in started] == ["a", "c"]


def test_where_one_cannot_start_the_rest_waits_a_moment() -> None:
    tried: list[str] = []
    starts = Starts(lambda each: noted(tried, each.instance) and each.instance != "b", per_s=25.0)
    for instance in "abc":
        starts.want(request(instance))
    assert starts.go(0.0) == FAILED_WAIT_S
    assert tried == ["a", "b"]
    assert starts.go(FAILED_WAIT_S) is None
    assert tried == ["a", "b", "c"]


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 3)), max_size=30))
def test_never_more_than_the_burst_and_the_rate(steps: list[tuple[int, float]]) -> None:
    times: list[float] = []
    now = 0.0
    starts = Starts(lambda _: noted(times, now), per_s=25.0)
    for count, pause in steps:
        for number in range(count):
            starts.want(request(str(number)))
        starts.go(now)
        now += pause
    for index, begun in enumerate(times):
        within = sum(1 for at in times[index:] if at <= begun + 1.0)
        assert within <= BURST + 25 + 1
