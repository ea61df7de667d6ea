"""Plans for restarts: made, carried out, cancelled, brought forward."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from queue import Empty, Queue

import pytest

from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.healing import Healer
from chatbot_erp.actors.supervision import HASTE_S, INTENSITY
from chatbot_erp.actors.tallies import Tallies

PATIENCE_S = 10.0


class World:
    def __init__(self) -> None:
        self.alarms = Alarms().start()
        self.due: Queue[tuple[str, str]] = Queue()
        self.tallies = Tallies()
        self.healer = Healer(
            alarms=self.alarms,
            now=lambda: datetime.now(UTC),
            due=lambda instance, cause: self.due.put((instance, cause)),
            tallies=self.tallies,
            qr_attempts=1,
        )


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.alarms.stop()


def test_what_can_be_cured_at_once_is_due_at_once_and_once(world: World) -> None:
    assert world.healer.lose("a", "host_died")
    assert world.due.get(timeout=PATIENCE_S) == ("a", "host_died")
    assert world.healer.begin("a")
    assert not world.healer.begin("a")


@pytest.mark.parametrize("cause", ["stream_replaced", "locked", "qr_expired", "logged_out"])
def test_what_cannot_be_cured_is_not_planned(world: World, cause: str) -> None:
    assert not world.healer.lose("a", cause)
    assert not world.healer.has("a")


def test_a_number_that_is_connected_again_is_not_restarted(world: World) -> None:
    world.healer.lose("a", "dropped")
    world.healer.healthy("a")
    assert not world.healer.has("a")
    assert not world.healer.begin("a")


def test_the_intensity_counts_restarts_that_were_carried_out(world: World) -> None:
    for _ in range(INTENSITY[0]):
        world.healer.lose("a", "zombie")
        assert world.healer.begin("a")
    world.healer.lose("a", "zombie")
    assert world.tallies.read() == {("quarantines", "zombie"): 1}


def test_a_person_who_restarts_voids_the_quarantine(world: World) -> None:
    for _ in range(INTENSITY[0] + 1):
        world.healer.lose("a", "zombie")
        world.healer.begin("a")
    world.healer.forget("a")
    world.healer.lose("a", "zombie")
    assert world.due.get(timeout=PATIENCE_S)


def test_a_ban_is_waited_out(world: World) -> None:
    world.healer.lose("a", "temporarily_banned", datetime.now(UTC) + timedelta(hours=1))
    assert world.healer.has("a")
    with pytest.raises(Empty):
        world.due.get_nowait()


def test_when_the_network_is_back_for_one_the_others_need_not_wait_long(world: World) -> None:
    """An outage of some minutes has put everybody into long waits."""
    for instance in ("a", "b", "c"):
        for _ in range(20):
            world.healer.lose(instance, "refused")
            world.healer.begin(instance)
        world.healer.lose(instance, "refused")
    world.healer.lose("banned", "temporarily_banned")
    begun = time.monotonic()
    world.healer.healthy("a")
    assert {world.due.get(timeout=HASTE_S + PATIENCE_S)[0] for _ in range(2)} == {"b", "c"}
    print(f"\nbrought forward to {time.monotonic() - begun:.1f} s")
    assert world.healer.has("banned")
