"""One thread rings for the whole house."""

import itertools
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pykka
import pytest
from structlog.testing import capture_logs

from chatbot_erp.actors.alarms import SWEEP_AT, Alarms


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    running = Alarms().start()
    yield running
    running.stop()


def test_an_alarm_rings_once_and_not_before_its_time(alarms: Alarms) -> None:
    rung: SimpleQueue[float] = SimpleQueue()
    begun = time.monotonic()
    alarms.set(0.05, lambda: rung.put(time.monotonic()))
    assert rung.get(timeout=60) - begun >= 0.05
    assert rung.empty()


def test_alarms_ring_in_the_order_of_their_times_whatever_order_they_were_set_in(alarms: Alarms) -> None:
    rung: SimpleQueue[int] = SimpleQueue()
    due: dict[int, tuple[float, float]] = {}
    for number in (5, 1, 4, 2, 3):
        delay_s, earliest = number * 0.02, time.monotonic()
        alarms.set(delay_s, lambda number=number: rung.put(number))  # type: ignore[misc]
        due[number] = (earliest + delay_s, time.monotonic() + delay_s)
    order = [rung.get(timeout=60) for _ in due]
    assert all(due[former][0] <= due[later][1] for former, later in itertools.combinations(order, 2))


def test_alarms_of_the_same_moment_ring_in_the_order_they_were_set_in(alarms: Alarms) -> None:
    rung: SimpleQueue[int] = SimpleQueue()
    for number in range(50):
        alarms.set(-1, lambda number=number: rung.put(number))  # type: ignore[misc]
    assert [rung.get(timeout=60) for _ in range(50)] == list(range(50))


def test_a_cancelled_alarm_never_rings(alarms: Alarms) -> None:
    rung: SimpleQueue[str] = SimpleQueue()
    cancelled = alarms.set(0.02, lambda: rung.put("cancelled"))
    alarms.set(0.05, lambda: rung.put("kept"))
    cancelled.cancel()
    cancelled.cancel()
    assert rung.get(timeout=60) == "kept"
    assert rung.empty()


def test_a_sooner_alarm_does_not_wait_for_a_later_one_that_was_set_first(alarms: Alarms) -> None:
    rung = threading.Event()
    alarms.set(3600, lambda: None)
    alarms.set(0.01, rung.set)
    assert rung.wait(60)


def test_a_callback_that_raises_silences_no_other_alarm(alarms: Alarms) -> None:
    rung = threading.Event()

    def fail() -> None:
        raise RuntimeError("on purpose")

    alarms.set(0, fail)
    alarms.set(0.01, rung.set)
    assert rung.wait(60)


def test_an_alarm_for_an_actor_that_has_ended_by_then_is_no_trouble(alarms: Alarms) -> None:
    class Ended(pykka.ThreadingActor):
        use_daemon_thread = True

    actor = Ended.start()
    actor.stop()
    rung = threading.Event()
    with capture_logs() as logged:
        alarms.set(0, lambda: actor.tell("too late"))
        alarms.set(0.01, rung.set)
        assert rung.wait(60)
    assert "alarm_failed" not in [each.get("action") for each in logged]


def test_an_alarm_may_set_the_next_one(alarms: Alarms) -> None:
    rung = threading.Event()

    def set_another() -> None:
        alarms.set(0, rung.set)

    alarms.set(0, set_another)
    assert rung.wait(60)


def test_thousands_of_alarms_ring_from_many_threads(alarms: Alarms) -> None:
    rung: SimpleQueue[int] = SimpleQueue()

    def set_many() -> None:
        for number in range(1000):
            alarms.set((number % 50) / 1000, lambda: rung.put(1))

    threads = [threading.Thread(target=set_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(rung.get(timeout=60) for _ in range(4000)) == 4000
    assert len(alarms) == 0


def test_cancelled_alarms_do_not_pile_up(alarms: Alarms) -> None:
    kept = threading.Event()
    alarms.set(0.2, kept.set)
    for _ in range(5000):
        alarms.set(3600, lambda: None).cancel()
    assert len(alarms) <= 2 * SWEEP_AT
    assert kept.wait(60)


def test_after_the_stop_nothing_rings_and_the_thread_is_gone() -> None:
    alarms = Alarms().start()
    rung = threading.Event()
    alarms.set(0.02, rung.set)
    alarms.stop()
    alarms.set(0, rung.set)
    alarms.stop()
    assert "alarms" not in [thread.name for thread in threading.enumerate()]
    assert not rung.wait(0.05)


def test_alarms_may_be_stopped_by_an_alarm() -> None:
    alarms = Alarms().start()
    stopped = threading.Event()

    def stop() -> None:
        alarms.stop()
        stopped.set()

    alarms.set(0, stop)
    assert stopped.wait(60)
