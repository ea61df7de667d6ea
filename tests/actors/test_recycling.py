"""Hosts that have grown too large are replaced, one number after another."""

from typing import Any, cast

from chatbot_erp.actors.frames import Alive
from chatbot_erp.actors.recycling import MOVE_PATIENCE_S, PAUSE_S, Recycler


class FakeHost:
    def __init__(self, name: str) -> None:
        self.name = name
        self.vitals: Alive | None = None


class FakeHosts:
    """What `Recycler` asks of `SocketHosts`."""

    def __init__(self) -> None:
        self.hosts = {name: FakeHost(name) for name in ("h1", "h2")}
        self.numbers = {"h1": ["a", "b", "c"], "h2": ["d"]}
        self.retired: list[str] = []

    def shared(self) -> list[FakeHost]:
        return [host for name, host in self.hosts.items() if name not in self.retired]

    def retire(self, name: str) -> None:
        self.retired.append(name)

    def carried_by(self, name: str) -> list[str]:
        return self.numbers[name]


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.hosts: Any = FakeHosts()
        self.moved: list[str] = []
        self.lost_for_good: set[str] = set()
        self.recycler = Recycler(
            cast(Any, self.hosts),
            self.moved.append,
            most_bytes=1000,
            most_descriptors=100,
            comes_back=lambda instance: instance not in self.lost_for_good,
            clock=lambda: self.now,
        )

    def grow(self, host: str, *, rss: int = 10, descriptors: int = 10) -> None:
        self.hosts.hosts[host].vitals = Alive(rss_bytes=rss, descriptors=descriptors)

    def leave(self, instance: str) -> None:
        """The socket of this instance is now in another host, and connected."""
        for numbers in self.hosts.numbers.values():
            if instance in numbers:
                numbers.remove(instance)
        self.recycler.healthy(instance)


def test_a_host_within_its_limits_is_left_alone() -> None:
    world = World()
    world.recycler.look()
    world.grow("h1", rss=1000, descriptors=100)
    world.recycler.look()
    assert world.hosts.retired == world.moved == []


def test_numbers_move_one_after_another() -> None:
    world = World()
    world.grow("h1", rss=1001)
    world.recycler.look()
    assert (world.hosts.retired, world.moved) == (["h1"], ["a"])
    world.recycler.look()
    world.recycler.healthy("d")
    assert world.moved == ["a"], "the next one waits until the first is connected"
    world.leave("a")
    assert world.moved == ["a", "b"]
    world.leave("b")
    world.leave("c")
    assert world.moved == ["a", "b", "c"]


def test_where_no_login_succeeds_the_others_stay_connected_where_they_are() -> None:
    world = World()
    world.grow("h1", descriptors=101)
    world.recycler.look()
    world.hosts.numbers["h1"].remove("a")
    for after in (1, 2, 100):
        world.now = after * (MOVE_PATIENCE_S + 1)
        world.recycler.look()
        assert world.moved == ["a"]
    world.recycler.healthy("a")
    assert world.moved == ["a", "b"]


def test_a_number_that_is_lost_for_good_does_not_hold_up_the_next() -> None:
    world = World()
    world.grow("h1", descriptors=101)
    world.recycler.look()
    world.hosts.numbers["h1"].remove("a")
    world.lost_for_good.add("a")
    world.now = MOVE_PATIENCE_S + 1
    world.recycler.look()
    assert world.moved == ["a", "b"]


def test_where_nobody_is_left_in_the_host_nobody_is_waited_for() -> None:
    world = World()
    world.grow("h2", descriptors=101)
    world.recycler.look()
    world.hosts.numbers["h2"].clear()
    world.now = MOVE_PATIENCE_S + 1
    world.recycler.look()
    world.grow("h1", descriptors=101)
    world.now += PAUSE_S
    world.recycler.look()
    assert world.moved == ["d", "a"]


def test_a_number_that_stays_in_its_host_does_not_hold_up_the_others_and_is_asked_again() -> None:
    world = World()
    world.grow("h1", descriptors=101)
    world.recycler.look()
    for after, asked in ((1, "ab"), (2, "abc"), (3, "abca"), (4, "abcab")):
        world.now = after * (MOVE_PATIENCE_S + 1)
        world.recycler.look()
        assert world.moved == list(asked)
    world.leave("b")
    world.leave("c")
    world.leave("a")
    assert world.moved == list("abcabca")


def test_a_limit_set_too_low_does_not_keep_all_numbers_moving() -> None:
    world = World()
    world.grow("h2", rss=5000)
    world.recycler.look()
    world.leave("d")
    world.hosts.hosts["h3"] = FakeHost("h3")
    world.hosts.numbers["h3"] = ["d"]
    world.grow("h3", rss=5000)
    world.recycler.look()
    assert world.moved == ["d"]
    world.now = PAUSE_S
    world.recycler.look()
    assert world.moved == ["d", "d"]


def test_a_host_that_dies_meanwhile_ends_the_move() -> None:
    world = World()
    world.grow("h1", rss=5000)
    world.recycler.look()
    world.hosts.numbers["h1"].clear()
    world.recycler.healthy("a")
    world.now = PAUSE_S
    world.grow("h2", rss=5000)
    world.recycler.look()
    assert world.moved == ["a", "d"]
