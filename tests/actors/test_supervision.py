"""The table of remedies, as a plan for one loss after another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.supervision import (
    HEALTHY_AFTER_S,
    INTENSITY,
    LIBRARY_DEADLINE_S,
    LONGEST_DELAY_S,
    REMEDIES,
    Healing,
    Remedy,
    plan,
)


@pytest.mark.parametrize("cause", [cause for cause, remedy in REMEDIES.items() if remedy is Remedy.NONE])
def test_the_incurable_is_never_restarted(cause: str) -> None:
    assert plan(cause, Healing(), now=0, draw=0.5).delay_s is None


def test_nobody_scanning_is_no_reason_to_go_on() -> None:
    assert plan("qr_expired", Healing(), now=0, draw=0.5).delay_s is None


def test_a_dead_host_is_replaced_at_once_and_then_with_growing_patience() -> None:
    first = plan("host_died", Healing(), now=0, draw=0.999)
    second = plan("host_died", first.healing, now=1, draw=0.999)
    third = plan("host_died", second.healing, now=2, draw=0.999)
    assert first.delay_s == 0
    assert second.delay_s is not None
    assert third.delay_s is not None
    assert 0 < second.delay_s < third.delay_s


def test_the_library_gets_its_chance_first() -> None:
    assert plan("dropped", Healing(), now=0, draw=0.5).delay_s == LIBRARY_DEADLINE_S


def test_a_ban_for_a_time_is_waited_out() -> None:
    assert plan("temporarily_banned", Healing(), now=0, draw=0.5, wait_s=3600.0).delay_s == 3600.0


def test_too_many_restarts_mean_quarantine_with_a_slow_probe() -> None:
    healing = Healing()
    for moment in range(INTENSITY[0]):
        healing = plan("host_died", healing, now=float(moment), draw=0.0).healing
    assert plan("host_died", healing, now=10.0, draw=0.0).delay_s == LONGEST_DELAY_S


def test_ten_healthy_minutes_are_forgiving() -> None:
    healing = plan("refused", Healing(failures=9), now=0, draw=0.0).healing
    assert plan("host_died", healing, now=HEALTHY_AFTER_S + 1, draw=0.9).delay_s == 0


@given(
    cause=st.sampled_from(sorted(REMEDIES)) | st.text(max_size=5),
    failures=st.integers(0, 10_000),
    now=st.floats(0, 1e6),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_never_negative_nor_longer_than_five_minutes(
    cause: str, failures: int, now: float, draw: float
) -> None:
    delay = plan(cause, Healing(failures=failures), now=now, draw=draw).delay_s
    assert delay is None or 0 <= delay <= LONGEST_DELAY_S
