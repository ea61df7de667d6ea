"""How fast an instance may send, by a clock and a chance that the test holds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.errors import SendingTooFast
from chatbot_erp.actors.pacing import SPREAD, UNPACED, Pacer, Pacing


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def wait_of(pacer: Pacer, pacing: Pacing) -> float:
    try:
        pacer.check(pacing)
    except SendingTooFast as refused:
        return refused.retry_after_s
    return 0.0


def may_go(pacer: Pacer, pacing: Pacing) -> bool:
    if wait_of(pacer, pacing) > 0:
        return False
    pacer.spend(pacing)
    return True


def test_a_burst_goes_at_once_and_the_next_one_when_it_is_told_to() -> None:
    clock = Clock()
    pacer, pacing = Pacer(clock, lambda: 0.5), Pacing(per_minute=6, burst=3)
    assert [may_go(pacer, pacing) for _ in range(4)] == [True, True, True, False]
    with pytest.raises(SendingTooFast) as refused:
        pacer.check(pacing)
    assert refused.value.retry_after_s == pytest.approx(10)
    clock.now += 9.9
    assert not may_go(pacer, pacing)
    clock.now += 0.2
    assert [may_go(pacer, pacing) for _ in range(2)] == [True, False]


def test_what_is_only_asked_costs_nothing() -> None:
    pacer, pacing = Pacer(Clock(), lambda: 0.5), Pacing(per_minute=6)
    for _ in range(5):
        pacer.check(pacing)
    assert may_go(pacer, pacing)


def test_a_long_rest_saves_no_more_than_a_burst() -> None:
    clock = Clock()
    pacer, pacing = Pacer(clock, lambda: 0.5), Pacing(per_minute=60, burst=2)
    assert may_go(pacer, pacing)
    clock.now += 10_000
    assert [may_go(pacer, pacing) for _ in range(3)] == [True, True, False]


def test_another_pacing_holds_at_once() -> None:
    pacer = Pacer(Clock(), lambda: 0.5)
    slow = Pacing(per_minute=0.1)
    assert [may_go(pacer, slow) for _ in range(2)] == [True, False]
    assert may_go(pacer, Pacing(per_minute=0.1, burst=2))


def test_without_pacing_everything_goes() -> None:
    pacer = Pacer(Clock(), lambda: 0.5)
    assert all(may_go(pacer, UNPACED) for _ in range(1000))


@given(
    seed=st.integers(0, 2**32),
    per_minute=st.floats(0.5, 600),
    burst=st.integers(1, 20),
    rests=st.lists(st.floats(0, 30), max_size=60),
)
def test_nobody_is_ever_faster_than_the_pacing_and_a_wait_that_is_kept_suffices(
    seed: int, per_minute: float, burst: int, rests: list[float]
) -> None:
    clock, pacing = Clock(), Pacing(per_minute=per_minute, burst=burst)
    pacer = Pacer(clock, random.Random(seed).random)
    went: list[float] = []
    for rest in rests:
        clock.now += rest
        if (wait := wait_of(pacer, pacing)) > 0:
            assert wait <= 60 / per_minute * (1 + SPREAD) + 1e-6
            clock.now += wait + 1e-6
        assert may_go(pacer, pacing)
        went.append(clock.now)
    quickest = 60 / per_minute * (1 - SPREAD)
    for first, at in enumerate(went):
        for last in range(first + burst, len(went)):
            assert went[last] - at >= (last - first - burst + 1) * quickest - 1e-3
