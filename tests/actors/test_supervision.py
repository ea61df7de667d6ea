"""The table of remedies, as a plan for one loss after another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.supervision import (
    HEALTHY_AFTER_S,
    INTENSITY,
    LIBRARY_DEADLINE_S,
    LIBRARY_SPREAD_S,
    LONGEST_DELAY_S,
    NETWORK,
    REMEDIES,
    Healing,
    Remedy,
    plan,
    recovered,
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
    assert plan("dropped", Healing(), now=0, draw=0.0).delay_s == LIBRARY_DEADLINE_S


def test_numbers_that_were_dropped_together_are_not_restarted_together() -> None:
    delays = [plan("dropped", Healing(), now=0, draw=draw / 200).delay_s for draw in range(200)]
    assert len(set(delays)) == 200
    assert max(delay for delay in delays if delay is not None) < LIBRARY_DEADLINE_S + LIBRARY_SPREAD_S


def test_a_ban_is_waited_out_also_by_an_instance_that_failed_often() -> None:
    healing = Healing(restarts=(0.0, 1.0, 2.0, 3.0, 4.0))
    assert plan("temporarily_banned", healing, now=5, draw=0.5, wait_s=7200.0).delay_s == 7200.0


@pytest.mark.parametrize("wait_s", [None, 0.0, 60.0])
def test_a_ban_that_goes_on_is_tried_less_and_less(wait_s: float | None) -> None:
    """Also where WhatsApp names a time each time, and lets nobody in after it."""
    healing, delays, now = Healing(), list[float](), 0.0
    for _ in range(20):
        decided = plan("temporarily_banned", healing, now=now, draw=0.0, wait_s=wait_s)
        assert decided.delay_s is not None
        healing, now = decided.healing, now + decided.delay_s
        delays.append(decided.delay_s)
    assert delays[0] == (LONGEST_DELAY_S if wait_s is None else wait_s)
    assert delays[1:4] == [2 * LONGEST_DELAY_S, 4 * LONGEST_DELAY_S, 8 * LONGEST_DELAY_S]
    assert delays[-1] == 256 * LONGEST_DELAY_S


def test_a_ban_that_was_over_for_ten_minutes_says_nothing_about_the_next() -> None:
    banned = plan("temporarily_banned", Healing(bans=5), now=0, draw=0.0, wait_s=60.0).healing
    healthy = recovered(banned, now=1.0)
    soon, later = HEALTHY_AFTER_S, HEALTHY_AFTER_S + 1
    assert plan("temporarily_banned", healthy, now=soon, draw=0.0, wait_s=60.0).delay_s == 64 * LONGEST_DELAY_S
    assert plan("temporarily_banned", healthy, now=later, draw=0.0, wait_s=60.0).delay_s == 60.0


@pytest.mark.parametrize(("attempts", "renewed"), [(1, 0), (3, 2)])
def test_a_code_is_renewed_as_often_as_is_allowed(attempts: int, renewed: int) -> None:
    healing, delays = Healing(), []
    for moment in range(5):
        decided = plan("qr_expired", healing, now=moment, draw=0.5, qr_attempts=attempts)
        healing = decided.healing
        delays.append(decided.delay_s)
    assert delays == [0.0] * renewed + [None] * (5 - renewed)


def test_codes_are_renewed_for_ever_where_that_is_wanted() -> None:
    healing = Healing()
    for moment in range(100):
        decided = plan("qr_expired", healing, now=moment, draw=0.5, qr_attempts=0)
        healing = decided.healing
        assert decided.delay_s == 0.0
    assert healing.restarts == (), "nobody scanning says nothing about the health of a connection"


def test_a_ban_for_a_time_is_waited_out() -> None:
    assert plan("temporarily_banned", Healing(), now=0, draw=0.5, wait_s=3600.0).delay_s == 3600.0


def quarantined() -> Healing:
    """What is remembered of an instance after its first probe."""
    healing = Healing()
    for moment in range(INTENSITY[0] + 1):
        healing = plan("host_died", healing, now=float(moment), draw=0.0).healing
    assert healing.quarantined
    return healing


def test_too_many_restarts_mean_quarantine_with_a_slow_probe_for_as_long_as_it_takes() -> None:
    healing, now = quarantined(), 10.0
    for _ in range(5):
        now += INTENSITY[1] + LONGEST_DELAY_S
        probe = plan("host_died", healing, now=now, draw=0.0)
        assert (probe.delay_s, probe.healing.quarantined) == (LONGEST_DELAY_S, True)
        healing = probe.healing


def test_a_line_that_flaps_ends_in_quarantine_however_often_it_connects() -> None:
    healing = Healing()
    for moment in range(INTENSITY[0] + 1):
        decided = plan("flapping", healing, now=float(moment), draw=0.0)
        healing = recovered(decided.healing, now=float(moment))
    assert (decided.delay_s, healing.quarantined) == (LONGEST_DELAY_S, True)


def test_ten_healthy_minutes_end_a_quarantine_and_less_do_not() -> None:
    healthy = recovered(quarantined(), now=1000.0)
    assert plan("host_died", healthy, now=999.0 + HEALTHY_AFTER_S, draw=0.0).healing.quarantined
    free = plan("host_died", healthy, now=1000.0 + HEALTHY_AFTER_S, draw=0.0)
    assert (free.delay_s, free.healing.quarantined) == (0.0, False)


def test_in_quarantine_the_network_and_a_ban_keep_their_own_patience() -> None:
    assert plan("unavailable", quarantined(), now=10.0, draw=0.0).delay_s == 0.0
    assert plan("temporarily_banned", quarantined(), now=10.0, draw=0.0, wait_s=60.0).delay_s == 60.0


@pytest.mark.parametrize("cause", sorted(NETWORK))
def test_an_outage_of_the_network_puts_nobody_into_quarantine(cause: str) -> None:
    healing = Healing()
    for moment in range(3 * INTENSITY[0]):
        decided = plan(cause, healing, now=float(moment), draw=0.01)
        healing = decided.healing
        assert not healing.quarantined
    assert not plan("host_died", healing, now=60.0, draw=0.0).healing.quarantined


def test_ten_healthy_minutes_are_forgiving() -> None:
    lost = plan("refused", Healing(failures=9), now=0, draw=0.0).healing
    healthy = recovered(lost, now=1.0)
    assert plan("host_died", healthy, now=HEALTHY_AFTER_S, draw=0.9).delay_s != 0
    assert plan("host_died", healthy, now=HEALTHY_AFTER_S + 1, draw=0.9).delay_s == 0


def test_ten_minutes_of_trouble_are_not() -> None:
    lost = plan("refused", Healing(failures=9), now=0, draw=0.0).healing
    assert (
        plan("refused", lost, now=HEALTHY_AFTER_S + 1, draw=0.9).delay_s
        != plan("refused", Healing(), now=0, draw=0.9).delay_s
    )


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
