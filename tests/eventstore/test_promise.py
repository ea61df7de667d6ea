"""Whoever waits for a promise is told of it, whatever becomes of the others who wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chatbot_erp.eventstore.promise import Promise, wake

PATIENCE_S = 60.0


@contextmanager
def waiting(promises: list[Promise[int]]) -> Iterator[list[int]]:
    """A thread for each that waits for it; what they were told, once all were."""
    told: list[int] = []
    threads = [threading.Thread(target=lambda p=promise: told.append(p.result(PATIENCE_S))) for promise in promises]
    for thread in threads:
        thread.start()
    yield told
    for thread in threads:
        thread.join()


def test_all_who_wait_are_told_each_its_own() -> None:
    promises = [Promise[int]() for _ in range(300)]
    with waiting(promises) as told:
        for number, promise in enumerate(promises):
            promise.keep(number)
        wake()
    assert sorted(told) == list(range(300))


def test_those_who_wait_are_told_also_where_others_never_look() -> None:
    promises = [Promise[int]() for _ in range(60)]
    with waiting(promises[::3]) as told:
        for number, promise in enumerate(promises):
            promise.keep(number)
        wake()
    assert sorted(told) == list(range(0, 60, 3))


def test_several_may_wait_for_one_and_ask_again() -> None:
    promise = Promise[int]()
    with waiting([promise] * 20) as told:
        promise.keep(7)
        wake()
    assert (told, promise.result(), promise.exception(), promise.done()) == ([7] * 20, 7, None, True)


def test_those_who_gave_up_keep_nobody_from_being_told() -> None:
    for _ in range(30):
        promises = [Promise[int]() for _ in range(40)]

        def give_up(promise: Promise[int]) -> None:
            try:
                promise.result(0.001)
            except TimeoutError:
                return

        impatient = [threading.Thread(target=give_up, args=(promise,)) for promise in promises[::2]]
        with waiting(promises[1::2]) as told:
            for thread in impatient:
                thread.start()
            for number, promise in enumerate(promises):
                promise.keep(number)
            wake()
        for thread in impatient:
            thread.join()
        assert sorted(told) == list(range(1, 40, 2))


def test_what_is_not_kept_in_time_says_so_and_may_be_asked_again() -> None:
    promise = Promise[int]()
    for ask in (promise.result, promise.exception):
        with pytest.raises(TimeoutError):
            ask(0)
    assert not promise.done()
    promise.keep(1)
    assert promise.result() == 1


def test_an_error_that_it_came_to_is_raised() -> None:
    promise = Promise[int]()
    error = ValueError("no")
    promise.keep(error)
    assert promise.exception() is error
    with pytest.raises(ValueError, match="no"):
        promise.result()
