"""Plans for restarts: made, carried out, cancelled, brought forward."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from chatbot_erp.actors.healing import Healer
from chatbot_erp.actors.supervision import HASTE_S, INTENSITY, LONGEST_DELAY_S
from chatbot_erp.actors.tallies import Tallies

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)


class FakeAlarm:
    def __init__(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.delay_s = delay_s
        self.callback = callback
        self.open = True

    def cancel(self) -> None:
        self.open = False


class World:
    """A healer whose alarms ring when the test says so."""

    def __init__(self) -> None:
        self.alarms: list[FakeAlarm] = []
        self.due: list[tuple[str, int]] = []
        self.shown: dict[str, datetime | None] = {}
        self.tallies = Tallies()
        self.healer = Healer(
            alarms=cast(Any, self),
            now=lambda: NOON,
            due=lambda instance, number: self.due.append((instance, number)),
            show=self.shown.__setitem__,
            tallies=self.tallies,
            qr_attempts=1,
        )

    def set(self, delay_s: float, callback: Callable[[], None]) -> FakeAlarm:
        self.alarms.append(FakeAlarm(delay_s, callback))
        return self.alarms[-1]

    def waits(self) -> list[float]:
        """For how long the alarms that are still to ring were set."""
        return [alarm.delay_s for alarm in self.alarms if alarm.open]

    def ring(self) -> None:
        """Every alarm that is set goes off; what is due is on its way to the supervisor."""
        for alarm in self.alarms:
            if alarm.open:
                alarm.callback()
        self.alarms.clear()

    def carry_out(self) -> list[tuple[str, str | None]]:
        """The supervisor comes to read it."""
        due, self.due = self.due, []
        return [(instance, self.healer.begin(instance, number)) for instance, number in due]


@pytest.fixture
def world() -> World:
    return World()


def test_what_can_be_cured_at_once_is_due_at_once_and_once(world: World) -> None:
    assert world.healer.lose("a", "host_died")
    assert world.waits() == [0.0]
    world.ring()
    world.due *= 2
    assert world.carry_out() == [("a", "host_died"), ("a", None)]


@pytest.mark.parametrize("cause", ["stream_replaced", "locked", "qr_expired", "logged_out"])
def test_what_cannot_be_cured_is_not_planned(world: World, cause: str) -> None:
    assert not world.healer.lose("a", cause)
    assert not world.healer.has("a")


def test_a_number_that_is_connected_again_is_not_restarted(world: World) -> None:
    world.healer.lose("a", "dropped")
    world.ring()
    world.healer.healthy("a")
    assert not world.healer.has("a")
    assert world.carry_out() == [("a", None)]


def test_a_restart_that_was_due_before_a_ban_does_not_end_the_ban(world: World) -> None:
    world.healer.lose("a", "zombie")
    world.ring()
    world.healer.lose("a", "temporarily_banned", NOON + timedelta(hours=1))
    assert world.carry_out() == [("a", None)]
    assert world.healer.has("a")
    world.ring()
    assert world.carry_out() == [("a", "temporarily_banned")]


def test_the_intensity_counts_restarts_that_were_carried_out(world: World) -> None:
    for _ in range(INTENSITY[0]):
        world.healer.lose("a", "zombie")
        world.ring()
        assert world.carry_out() == [("a", "zombie")]
    world.healer.lose("a", "zombie")
    assert world.tallies.read() == {("quarantines", "zombie"): 1}
    assert world.waits() == [LONGEST_DELAY_S]


def test_a_restart_that_was_not_carried_out_does_not_count(world: World) -> None:
    for _ in range(INTENSITY[0] + 1):
        world.healer.lose("a", "zombie")
    assert world.tallies.read() == {}


def test_whoever_is_lost_once_more_before_the_probe_stays_in_quarantine(world: World) -> None:
    for _ in range(INTENSITY[0]):
        world.healer.lose("a", "zombie")
        world.ring()
        world.carry_out()
    assert not world.healer.is_quarantined("a")
    for _ in range(3):
        world.healer.lose("a", "zombie")
        assert world.waits() == [LONGEST_DELAY_S]
        assert world.healer.is_quarantined("a")
    assert world.tallies.read() == {("quarantines", "zombie"): 1}


def test_a_person_who_restarts_voids_the_quarantine(world: World) -> None:
    for _ in range(INTENSITY[0] + 1):
        world.healer.lose("a", "zombie")
        world.ring()
        world.carry_out()
    world.healer.forget("a")
    assert not world.healer.is_quarantined("a")
    world.healer.lose("a", "zombie")
    assert world.waits() == [0.0]


def test_a_ban_is_waited_out(world: World) -> None:
    world.healer.lose("a", "temporarily_banned", NOON + timedelta(hours=1))
    assert world.healer.has("a")
    assert world.waits() == [3600.0]


def test_it_is_said_when_a_number_will_be_tried_next(world: World) -> None:
    world.healer.lose("a", "temporarily_banned")
    assert world.shown == {"a": NOON + timedelta(seconds=LONGEST_DELAY_S)}
    world.ring()
    world.carry_out()
    assert world.shown == {"a": None}
    world.healer.lose("a", "temporarily_banned", NOON + timedelta(seconds=1))
    assert world.shown == {"a": NOON + timedelta(seconds=2 * LONGEST_DELAY_S)}, "WhatsApp has not meant it before"
    world.healer.forget("a")
    assert world.shown == {"a": None}


def test_where_the_library_tries_all_the_time_no_moment_is_said(world: World) -> None:
    world.healer.lose("a", "dropped")
    assert world.waits()
    assert world.shown == {"a": None}


def test_when_the_network_is_back_for_one_the_others_need_not_wait_long(world: World) -> None:
    """An outage of some minutes has put everybody into long waits."""
    for _ in range(20):
        for instance in ("a", "b", "c"):
            world.healer.lose(instance, "refused")
        world.ring()
        world.carry_out()
    for instance in ("a", "b", "c"):
        world.healer.lose(instance, "refused")
    world.healer.lose("banned", "temporarily_banned")
    world.healer.healthy("a")
    *others, ban = sorted(world.waits())
    assert len(others) == 2
    assert max(others) <= HASTE_S
    assert ban == LONGEST_DELAY_S
    world.ring()
    assert {instance for instance, cause in world.carry_out() if cause == "refused"} == {"b", "c"}


def test_a_neighbour_that_flaps_hastens_nobody_a_second_time(world: World) -> None:
    """Nor does the one that it let in: it is its own outage that counts."""

    def is_hastened() -> bool:
        world.alarms.clear()
        while not any(delay > HASTE_S for delay in world.waits()):
            world.healer.lose("a", "unavailable")
            world.ring()
            world.carry_out()
            world.healer.lose("a", "unavailable")
        world.healer.lose("neighbour", "dropped")
        world.healer.healthy("neighbour")
        return all(delay <= HASTE_S for delay in world.waits())

    assert [is_hastened() for _ in range(3)] == [True, False, False]
    world.healer.healthy("a")
    assert [is_hastened() for _ in range(2)] == [True, False]
    world.healer.forget("a")
    assert [is_hastened() for _ in range(2)] == [True, False]
