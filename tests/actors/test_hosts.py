"""Which host is given up for a socket that does not close, and which is not; and what is done for who is removed."""

import math
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.actors import frames
from chatbot_erp.actors.hosts import CLOSE_PATIENCE_S, DIAL_PATIENCE_S, ENDING_S, LATE_S, SocketHosts
from chatbot_erp.actors.house import Switchboard
from chatbot_erp.actors.sessions import Sessions
from chatbot_erp.actors.tidings import PlaceSocket


class SilentHost:
    """Takes every order and closes nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0
        self.last_alive = math.inf
        self.killed = False
        self.given_up = False
        self.ended: tuple[float, float] | None = None
        self.orders: list[frames.Order] = []

    def order(self, order: frames.Order, /) -> None:
        self.orders.append(order)

    def end(self, timeout_s: float, spooling_s: float) -> bool:
        self.ended = timeout_s, spooling_s
        return True

    def give_up(self) -> None:
        self.given_up = True

    def kill(self) -> None:
        self.killed = True


class Scene:
    """Two numbers that share a host, and a clock."""

    def __init__(self, directory: Path) -> None:
        self.now = 0.0
        self.barren = False
        self.attempts = 0
        self._directory = directory
        self.born: list[SilentHost] = []
        self.hosts = SocketHosts(
            sessions=Sessions(directory),
            numbers_per_host=2,
            ping=False,
            switchboard=Switchboard(),
            spawn=self._spawn,
            clock=lambda: self.now,
        )
        for instance in "ab":
            self.hosts.open(PlaceSocket(instance=instance, generation=1, pairing=False, session_from=None))
        (self.host,) = self.born

    def _spawn(self, name: str) -> Any:
        self.attempts += 1
        if self.barren:
            raise OSError("no more processes")
        self.born.append(SilentHost(name))
        return self.born[-1]

    def session(self, instance: str) -> Path:
        return self._directory / f"{instance}.db"

    def look_until(self, moment: float) -> None:
        while self.now < moment:
            self.now += LATE_S / 2
            self.hosts.look()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_number_that_does_not_close_costs_its_neighbour_nothing_for_as_long_as_a_dial_may_hang(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.look_until(DIAL_PATIENCE_S - LATE_S)
    assert not scene.host.given_up
    scene.look_until(DIAL_PATIENCE_S + LATE_S)
    assert scene.host.given_up, "no dial takes so long"


def test_a_host_in_which_nobody_closes_has_nobody_to_lose(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.hosts.close("b")
    scene.look_until(CLOSE_PATIENCE_S + LATE_S)
    assert scene.host.given_up


def test_a_neighbour_that_has_only_begun_to_close_has_its_time(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.look_until(CLOSE_PATIENCE_S)
    scene.hosts.close("b")
    scene.look_until(CLOSE_PATIENCE_S + LATE_S)
    assert not scene.host.given_up


def test_one_that_is_removed_while_its_dial_hangs_leaves_its_neighbour_alone_and_then_the_host(scene: Scene) -> None:
    scene.hosts.close("a", unlink=True, erase=True)
    scene.look_until(60.0)
    scene.hosts.closed("a", scene.host.name)
    assert not scene.host.given_up
    assert scene.hosts.carried_by(scene.host.name) == ["b"]
    scene.hosts.close("b", unlink=True, erase=True)
    scene.hosts.closed("b", scene.host.name)
    assert isinstance(scene.host.orders[-1], frames.EndHost)
    assert scene.hosts.processes() == []


def test_a_host_that_is_given_up_gets_no_new_socket(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.look_until(DIAL_PATIENCE_S + LATE_S)
    assert scene.host.given_up
    scene.hosts.closed("a", scene.host.name)
    scene.hosts.open(PlaceSocket(instance="a", generation=2, pairing=False, session_from=None))
    (_, other) = scene.born
    assert isinstance(other.orders[-1], frames.OpenSocket)


def test_a_host_whose_last_number_is_removed_while_its_dial_hangs_does_not_stay(scene: Scene) -> None:
    scene.hosts.close("a", unlink=True, erase=True)
    scene.hosts.close("b", unlink=True, erase=True)
    scene.hosts.closed("b", scene.host.name)
    scene.look_until(CLOSE_PATIENCE_S + LATE_S)
    assert scene.host.given_up
    scene.hosts.gone(scene.host.name)
    assert not scene.hosts.has("a")
    assert scene.hosts.processes() == []


def test_where_no_process_can_be_had_that_is_found_out_once_for_all_who_wait_for_one(scene: Scene) -> None:
    """It may take a minute, in which nobody else is looked after."""
    for instance in "ab":
        scene.hosts.open(PlaceSocket(instance=instance, generation=2, pairing=False, session_from=None))
    scene.barren = True
    scene.hosts.gone(scene.host.name)
    assert [request.instance for request in scene.hosts.unplaced] == ["a", "b"]
    assert scene.attempts == 2, "the first of them, and this one"


def test_a_host_that_is_given_up_for_a_socket_may_spool_what_its_other_numbers_have_in_hand(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.look_until(DIAL_PATIENCE_S + LATE_S)
    assert (scene.host.given_up, scene.host.killed) == (True, False)
    assert scene.hosts.lost_with(scene.host.name)[0] == "host_hung"


def test_a_host_that_has_nobody_left_has_time_to_spool_to_a_sick_disk(scene: Scene) -> None:
    for instance in "ab":
        scene.hosts.close(instance)
        scene.hosts.closed(instance, scene.host.name)
    scene.look_until(15.0)
    assert not scene.host.killed
    scene.look_until(ENDING_S + LATE_S)
    assert scene.host.killed


def part(scene: Scene) -> None:
    """The turn of the next farewell has come."""
    (request,) = scene.hosts.farewells.values()
    scene.hosts.farewells.clear()
    scene.hosts.open(request)


def farewell(instance: str) -> PlaceSocket:
    return PlaceSocket(instance=instance, generation=2, pairing=False, session_from=None, farewell=True)


def removed(scene: Scene, instance: str) -> None:
    """What the removal of a number that has a link does."""
    scene.session(instance).touch()
    scene.hosts.close(instance, unlink=True, erase=True, farewell=farewell(instance))


def assert_it_says_farewell(scene: Scene, host: SilentHost, instance: str) -> None:
    """Its next socket is made only to unlink the device; then nothing is left."""
    opened, closing = host.orders[-2:]
    assert isinstance(opened, frames.OpenSocket)
    assert isinstance(closing, frames.CloseSocket)
    assert (opened.instance, opened.generation, opened.ping) == (instance, 2, False)
    assert (closing.instance, closing.unlink) == (instance, True)
    assert scene.session(instance).exists()
    scene.hosts.closed(instance, host.name, unlinked=True)
    assert not scene.session(instance).exists()
    assert not scene.hosts.has(instance)


def test_one_that_is_removed_while_it_is_restarted_is_unlinked_by_a_socket_of_its_own(scene: Scene) -> None:
    scene.hosts.open(PlaceSocket(instance="a", generation=2, pairing=False, session_from=None))
    removed(scene, "a")
    scene.hosts.closed("a", scene.host.name)
    part(scene)
    assert_it_says_farewell(scene, scene.host, "a")


def test_one_that_is_removed_while_it_has_no_socket_is_unlinked_by_one_that_is_made_for_it(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.hosts.closed("a", scene.host.name)
    removed(scene, "a")
    part(scene)
    assert_it_says_farewell(scene, scene.host, "a")


def test_one_whose_socket_could_not_unlink_it_gets_another_one_for_that_and_no_third(scene: Scene) -> None:
    removed(scene, "a")
    scene.hosts.closed("a", scene.host.name, unlinked=False)
    part(scene)
    opened, closing = scene.host.orders[-2:]
    assert isinstance(opened, frames.OpenSocket)
    assert isinstance(closing, frames.CloseSocket)
    scene.hosts.closed("a", scene.host.name, unlinked=False)
    assert scene.hosts.farewells == {}
    assert scene.host.orders[-1] is closing
    assert not scene.session("a").exists()


def test_one_that_its_socket_has_unlinked_needs_no_other_one(scene: Scene) -> None:
    removed(scene, "a")
    scene.hosts.closed("a", scene.host.name, unlinked=True)
    assert scene.hosts.farewells == {}
    assert isinstance(scene.host.orders[-1], frames.CloseSocket)
    assert not scene.session("a").exists()


def test_one_that_is_removed_when_its_process_has_died_is_unlinked_by_another(scene: Scene) -> None:
    removed(scene, "a")
    scene.hosts.gone(scene.host.name)
    part(scene)
    assert_it_says_farewell(scene, scene.born[-1], "a")


def test_one_whose_socket_takes_too_long_to_close_is_erased_without_a_farewell(scene: Scene) -> None:
    removed(scene, "a")
    scene.now += CLOSE_PATIENCE_S
    scene.hosts.closed("a", scene.host.name)
    assert scene.hosts.farewells == {}, "its dial hung, and so would another"
    assert not scene.session("a").exists()


def test_one_whose_session_is_still_another_s_waits_for_that_with_its_farewell(scene: Scene) -> None:
    scene.session("a").touch()
    scene.hosts.close("a")
    scene.hosts.close(
        "c",
        unlink=True,
        erase=True,
        farewell=PlaceSocket(instance="c", generation=2, pairing=False, session_from="a", farewell=True),
    )
    part(scene)
    assert isinstance(scene.host.orders[-1], frames.CloseSocket)
    scene.hosts.closed("a", scene.host.name)
    assert_it_says_farewell(scene, scene.host, "c")
    assert not scene.session("a").exists()


def test_one_whose_farewell_finds_no_session_to_take_over_leaves_neither_that_nor_its_own(scene: Scene) -> None:
    scene.session("former").touch()
    scene.session("c").mkdir()
    last = PlaceSocket(instance="c", generation=2, pairing=False, session_from="former", farewell=True)
    scene.hosts.erase_linked(last)
    assert not scene.session("former").exists()


def test_one_that_is_removed_before_its_turn_has_the_session_that_it_leaves_to_the_next(scene: Scene) -> None:
    scene.session("former").touch()
    request = PlaceSocket(instance="c", generation=1, pairing=False, session_from="former")
    scene.hosts.close("c", waiting=request, for_good=True)
    assert (scene.session("former").exists(), scene.session("c").exists()) == (False, True)
    assert not scene.hosts.has("c")


def test_one_that_lost_a_socket_which_it_waits_for_waits_for_none_any_more(scene: Scene) -> None:
    scene.session("a").touch()
    scene.hosts.close("a")
    scene.hosts.open(PlaceSocket(instance="c", generation=1, pairing=False, session_from="a"))
    assert scene.hosts.has("c")
    scene.hosts.close("c")
    assert not scene.hosts.has("c"), (
        "it lives, and is healed; whoever takes it for one with a socket would wait in vain"
    )
    scene.hosts.closed("a", scene.host.name)
    assert scene.session("a").exists()


def test_a_session_that_is_left_again_while_it_is_another_s_comes_to_the_last_of_the_name(scene: Scene) -> None:
    scene.session("a").touch()
    scene.hosts.close("a")
    for instance, former in (("c", "a"), ("d", "c"), ("e", "d")):
        scene.hosts.open(PlaceSocket(instance=instance, generation=1, pairing=False, session_from=former))
        if instance != "e":
            scene.hosts.close(instance, for_good=True)
    assert isinstance(scene.host.orders[-1], frames.CloseSocket), "its library has it open"
    scene.hosts.closed("a", scene.host.name)
    opened = scene.host.orders[-1]
    assert isinstance(opened, frames.OpenSocket)
    assert (opened.instance, opened.session) == ("e", str(scene.session("e")))
    assert scene.session("e").exists()
    assert [scene.hosts.has(each) for each in "acd"] == [False] * 3


def test_nobody_is_unlinked_by_a_new_process_when_the_end_has_come(scene: Scene) -> None:
    removed(scene, "a")
    scene.hosts.close("c", unlink=True, erase=True, farewell=farewell("c"))
    scene.hosts.end_all(0.0)
    scene.hosts.gone(scene.host.name)
    assert scene.hosts.farewells == {}


def test_all_hosts_have_one_deadline_at_the_end(scene: Scene) -> None:
    scene.hosts.open(PlaceSocket(instance="c", generation=1, pairing=True, session_from=None))
    scene.now = 80.0
    scene.hosts.end_all(100.0)
    ended = [host.ended for host in scene.born]
    assert len(ended) == 2
    assert all(each is not None and sum(each) == pytest.approx(20.0) for each in ended), ended


def test_when_the_end_has_come_nobody_who_waited_gets_a_process(scene: Scene) -> None:
    scene.hosts.open(PlaceSocket(instance="a", generation=2, pairing=False, session_from=None))
    scene.hosts.end_all(0.0)
    scene.hosts.gone(scene.host.name)
    assert scene.hosts.processes() == []


def test_a_session_that_cannot_be_erased_keeps_no_neighbour_from_a_new_socket(scene: Scene) -> None:
    scene.session("a").mkdir()
    scene.hosts.close("a", erase=True)
    scene.hosts.open(PlaceSocket(instance="b", generation=2, pairing=False, session_from=None))
    scene.hosts.gone(scene.host.name)
    assert scene.hosts.carried_by(scene.born[-1].name) == ["b"]
