"""Look-ups and changes of goneonize's maps do not meet."""

import threading
from collections.abc import Callable

from chatbot_erp.actors import wa_guard
from chatbot_erp.actors.wa_guard import MapGuard

PATIENCE_S = 10.0


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
    guard, alive = MapGuard(), threading.Event()
    guard.begin_long_change(alive, PATIENCE_S)
    looked = run(lambda: look_up(guard))
    assert not looked.wait(0.05)
    alive.set()
    assert looked.wait(PATIENCE_S)
    assert run(lambda: change(guard)).wait(PATIENCE_S)


def test_a_start_that_hangs_in_its_dial_lets_calls_through_but_no_other_change() -> None:
    guard, alive = MapGuard(write_s=0.01), threading.Event()
    guard.begin_long_change(alive, PATIENCE_S)
    assert run(lambda: look_up(guard)).wait(PATIENCE_S)
    changed = run(lambda: change(guard))
    assert not changed.wait(0.05)
    alive.set()
    assert changed.wait(PATIENCE_S)


def test_a_start_that_never_lives_blocks_nobody_for_ever() -> None:
    guard = MapGuard(write_s=0.01)
    guard.begin_long_change(threading.Event(), 0.01)
    assert run(lambda: change(guard)).wait(PATIENCE_S)
