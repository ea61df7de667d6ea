"""Look-ups and changes of goneonize's maps do not meet."""

import threading
from collections.abc import Callable

from chatbot_erp.actors import wa_guard
from chatbot_erp.actors.wa_guard import MapGuard

PATIENCE_S = 60.0
FOR_EVER_S = 600.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(action: Callable[[], object]) -> threading.Event:
    """Do it on another thread; set when it has been done."""
    done = threading.Event()

    def act() -> None:
        action()
        done.set()

    threading.Thread(target=act, daemon=True).start()
    return done


def look_up(guard: MapGuard) -> None:
    with guard.look_up():
        pass


def change(guard: MapGuard) -> None:
    with guard.change():
        pass


def test_look_ups_go_together() -> None:
    guard = MapGuard()
    with guard.look_up():
        assert run(lambda: look_up(guard)).wait(PATIENCE_S)


def test_a_change_waits_for_young_calls_only() -> None:
    clock = Clock()
    guard = MapGuard(clock)
    with guard.look_up():
        clock.now = wa_guard.LOOK_UP_S
        assert run(lambda: change(guard)).wait(PATIENCE_S)


def test_a_change_waits_for_a_young_call_to_end_or_to_grow_old() -> None:
    guard = MapGuard(Clock())
    with guard.look_up():
        changed = run(lambda: change(guard))
        assert not changed.wait(0.05)
    assert changed.wait(PATIENCE_S)


def test_while_a_change_waits_and_while_it_goes_on_no_look_up_begins() -> None:
    guard = MapGuard(Clock())
    entered, leave = threading.Event(), threading.Event()

    def slow_change() -> None:
        with guard.change():
            entered.set()
            assert leave.wait(PATIENCE_S)

    run(slow_change)
    assert entered.wait(PATIENCE_S)
    looked = run(lambda: look_up(guard))
    changed = run(lambda: change(guard))
    assert not looked.wait(0.05)
    assert not changed.is_set()
    leave.set()
    assert looked.wait(PATIENCE_S)
    assert changed.wait(PATIENCE_S)


def test_a_start_excludes_everything_until_the_first_sign_of_life() -> None:
    guard, alive = MapGuard(write_s=FOR_EVER_S), threading.Event()
    guard.begin_long_change(alive)
    looked = run(lambda: look_up(guard))
    changed = run(lambda: change(guard))
    assert not looked.wait(0.05)
    assert not changed.is_set()
    alive.set()
    assert looked.wait(PATIENCE_S)
    assert changed.wait(PATIENCE_S)


def test_a_start_that_hangs_in_its_dial_holds_up_neither_calls_nor_the_end_and_start_of_others() -> None:
    guard, never = MapGuard(write_s=0.01), threading.Event()
    guard.begin_long_change(never)
    assert run(lambda: look_up(guard)).wait(PATIENCE_S)
    assert run(lambda: change(guard)).wait(PATIENCE_S)
    assert run(lambda: guard.begin_long_change(never)).wait(PATIENCE_S)


def test_what_returns_at_once_goes_before_starts_that_may_hang() -> None:
    guard, alive, order = MapGuard(write_s=FOR_EVER_S), threading.Event(), []
    guard.begin_long_change(alive)

    def start() -> None:
        settled = threading.Event()
        guard.begin_long_change(settled)
        order.append("start")
        settled.set()

    def stop() -> None:
        with guard.change():
            order.append("stop")

    started = [run(start) for _ in range(3)]
    stopped = run(stop)
    while not guard._short_ones_waiting:
        assert not stopped.wait(0.01)
    assert order == []
    alive.set()
    for done in (stopped, *started):
        assert done.wait(PATIENCE_S)
    assert order == ["stop", "start", "start", "start"]
