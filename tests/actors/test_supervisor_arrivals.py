"""The supervisor where several nodes share the log: numbers that come from another one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from chatbot_erp.actors import moves, tidings, watching
from chatbot_erp.eventstore.events import InstanceRestarted
from chatbot_erp.eventstore.placement import Placement
from moves_world import Fellows, gone_to_another_node, here, let_go
from supervisor_world import PATIENCE_S, World
from waiting import wait_until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@contextmanager
def coming(world: World, fellows: Fellows, *names: str) -> Iterator[None]:
    """These come, and what they write of it is not in the log before the end of the block."""
    written = Event()
    world.mute.slow_on = (InstanceRestarted, written)
    fellows.gone.clear()
    world.supervisor.tell(here(*names))
    try:
        assert all(world.mute.slowed.acquire(timeout=PATIENCE_S) for _ in names)
        yield
    finally:
        written.set()


def test_a_number_that_comes_goes_on_where_the_log_has_it(world: World) -> None:
    fellows = gone_to_another_node(world)
    told = tidings.Placements(mine=(Placement("a", "here"), Placement("in-the-making", "here", "there")))
    world.supervisor.tell(told)
    world.supervisor.ask(tidings.Introduce())
    assert not world.house.directory.has("a")  # what was told is of before it went
    world.house.directory.part("a")  # told to go once more when it had gone already
    fellows.gone.clear()
    world.supervisor.tell(told)
    world.open("a", 3)
    assert not world.house.directory.is_leaving("a")
    assert world.log_causes("a")[-1] == "manager_started"
    assert fellows.given.empty()


def test_numbers_that_come_together_do_not_wait_until_what_the_others_write_is_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "ARRIVAL_PATIENCE_S", 3600.0)
    with coming(world, gone_to_another_node(world, "b"), "a", "b"):
        world.supervisor.ask(tidings.Introduce())  # it waits for none
        assert all(map(world.house.directory.is_coming, "ab"))
    host = world.open("a", 3)
    world.open("b", 3, host)
    wait_until(lambda: not any(map(world.house.directory.is_coming, "ab")))


def test_a_number_that_comes_without_a_socket_is_not_taken_for_one_that_was_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "ARRIVAL_PATIENCE_S", 3600.0)
    monkeypatch.setattr(watching, "LOST_PATIENCE_S", 0.0)
    fellows = world.store.company = Fellows()
    host = world.create("a")
    let_go(world, host, 1, "a")
    with coming(world, fellows, "a"):
        world.look_thoroughly()
        assert world.house.directory.view("a").next_try_at is None


def test_a_number_that_comes_once_more_has_as_long_as_the_first_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "ARRIVAL_PATIENCE_S", 3600.0)
    fellows = gone_to_another_node(world)
    fellows.gone.clear()
    world.supervisor.tell(here("a"))
    host = world.open("a", 3)
    wait_until(lambda: not world.house.directory.is_coming("a"))
    let_go(world, host, 3, "a")
    with coming(world, fellows, "a"):
        for ring in world.alarms.long:
            ring()  # what was set for its first arrival, if anything
        assert world.house.directory.is_coming("a")
    world.open("a", 4)


def test_a_number_that_gets_no_thread_holds_up_none_that_comes_with_it_and_comes_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fellows, start, refusals = gone_to_another_node(world, "b"), Thread.start, ["a"]

    def may_refuse(thread: Thread) -> None:
        if refusals and thread.name.startswith("InstanceActor"):
            refusals.pop()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(Thread, "start", may_refuse)
    fellows.gone.clear()
    world.supervisor.tell(here("a", "b"))
    host = world.open("b", 3)
    assert not world.house.directory.has("a")
    world.supervisor.tell(here("a", "b"))
    world.open("a", 3, host)
