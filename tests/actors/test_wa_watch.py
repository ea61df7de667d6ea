"""What the watch over a connection notices, with a library that obeys the test."""

import math
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatbot_erp.actors import wa_watch
from chatbot_erp.actors.frames import SocketStands
from chatbot_erp.actors.wa_client import Hearing
from chatbot_erp.actors.wa_watch import Watch
from fake_client import FakeClient

PATIENCE_S = 60.0
QUIET_S = 0.3
UNHURRIED_S = 1.5
"""What a test wants to do before a look, it has done by then, on a slow machine, too."""


class Scene:
    """An open connection, and what the watch had to say of it."""

    def __init__(self) -> None:
        self.said: queue.SimpleQueue[str | SocketStands] = queue.SimpleQueue()
        deaf = Hearing(event=lambda _: None, garbled=lambda _: None, qr=lambda _: None, login_word=lambda _: None)
        self.client = FakeClient(Path(), deaf)
        self.watch = Watch(
            "a",
            self.client,
            give_up=lambda cause, detail: self.said.put(cause),
            report=self.said.put,
            ask=lambda: self.client.find(["5511"]),
        )
        self.watch.opened()

    def next(self) -> str | SocketStands:
        return self.said.get(timeout=PATIENCE_S)

    def assert_quiet(self, after_s: float = 0.0) -> None:
        with pytest.raises(queue.Empty):
            self.said.get(timeout=after_s + QUIET_S)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(wa_watch, "RECONNECT_PATIENCE_S", 0.05)
    monkeypatch.setattr(wa_watch, "LOGIN_PATIENCE_S", 0.05)
    monkeypatch.setattr(wa_watch, "PROBE_PATIENCE_S", 0.05)
    monkeypatch.setattr(wa_watch, "SHORT_S", 0.0)
    scene = Scene()
    yield scene
    scene.client.stop()


def test_silence_after_a_question_is_deafness(scene: Scene) -> None:
    scene.client.silent = True
    scene.watch.was_not_answered()
    assert scene.next() == "deaf"


def test_who_answers_the_question_is_not_deaf(scene: Scene) -> None:
    scene.watch.was_not_answered()
    assert scene.client.asked.wait(PATIENCE_S)
    scene.assert_quiet()


def test_a_connection_made_anew_meanwhile_is_not_deaf(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wa_watch, "PROBE_PATIENCE_S", UNHURRIED_S)
    scene.client.silent = True
    scene.watch.was_not_answered()
    assert scene.client.asked.wait(PATIENCE_S)
    scene.watch.broke()
    scene.watch.opened()
    scene.assert_quiet(UNHURRIED_S)


def test_a_library_that_forgets_to_reconnect_is_given_up(scene: Scene) -> None:
    """As long as it is connected it may still be logging in."""
    scene.watch.broke()
    scene.assert_quiet()
    scene.client.connected = False
    assert scene.next() == "refused"


def test_a_library_that_has_reconnected_is_left_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wa_watch, "RECONNECT_PATIENCE_S", UNHURRIED_S)
    scene.client.connected = False
    scene.watch.broke()
    scene.watch.opened()
    scene.assert_quiet(UNHURRIED_S)


def test_a_line_that_flaps_leaves_no_thread_for_each_time_it_broke(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wa_watch, "RECONNECT_PATIENCE_S", 60.0)
    before = set(threading.enumerate())
    for _ in range(20):
        scene.watch.broke()
        scene.watch.opened()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def flap(watch: Watch, times: int) -> None:
    for _ in range(times):
        watch.opened()
        watch.broke()


def test_a_line_that_breaks_at_once_again_and_again_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wa_watch, "FLAPS", (5, 3600.0))
    monkeypatch.setattr(wa_watch, "SHORT_S", 3600.0)
    flap(scene.watch, 4)
    scene.watch.broke()
    scene.watch.opened()
    scene.assert_quiet()
    scene.watch.broke()
    assert scene.next() == "flapping"


@pytest.mark.parametrize(("flaps", "short_s"), [((5, 0.0), 3600.0), ((5, 3600.0), 0.0)])
def test_connections_that_break_now_and_then_or_after_a_while_are_no_flapping_line(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, flaps: tuple[int, float], short_s: float
) -> None:
    monkeypatch.setattr(wa_watch, "FLAPS", flaps)
    monkeypatch.setattr(wa_watch, "SHORT_S", short_s)
    flap(scene.watch, 20)
    scene.watch.opened()
    scene.assert_quiet()


def test_a_zombie_is_reported(scene: Scene) -> None:
    scene.client.logged_in = False
    scene.watch.was_complained_of()
    assert scene.next() == SocketStands(connected=True, logged_in=False)


def test_nobody_looks_after_a_socket_that_is_over(scene: Scene) -> None:
    scene.client.connected = scene.client.logged_in = False
    assert scene.watch.end()
    assert not scene.watch.await_connection(math.inf)
    assert not scene.watch.end()
    scene.watch.broke()
    scene.watch.was_complained_of()
    scene.assert_quiet()
