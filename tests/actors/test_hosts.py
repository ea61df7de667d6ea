"""Which host is given up for a socket that does not close, and which is not."""

import math
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.actors import frames
from chatbot_erp.actors.hosts import CLOSE_PATIENCE_S, DIAL_PATIENCE_S, LATE_S, SocketHosts
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

    def order(self, order: frames.Order, /) -> None:
        """Nothing follows."""

    def kill(self) -> None:
        self.killed = True


class Scene:
    """Two numbers that share a host, and a clock."""

    def __init__(self, directory: Path) -> None:
        self.now = 0.0
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
        self.born.append(SilentHost(name))
        return self.born[-1]

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
    assert not scene.host.killed
    scene.look_until(DIAL_PATIENCE_S + LATE_S)
    assert scene.host.killed, "no dial takes so long"


def test_a_host_in_which_nobody_closes_has_nobody_to_lose(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.hosts.close("b")
    scene.look_until(CLOSE_PATIENCE_S + LATE_S)
    assert scene.host.killed


def test_a_neighbour_that_has_only_begun_to_close_has_its_time(scene: Scene) -> None:
    scene.hosts.close("a")
    scene.look_until(CLOSE_PATIENCE_S)
    scene.hosts.close("b")
    scene.look_until(CLOSE_PATIENCE_S + LATE_S)
    assert not scene.host.killed
