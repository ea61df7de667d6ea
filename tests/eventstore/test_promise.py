"""Waiting in a crowd: nobody who waits is forgotten, whoever else has gone meanwhile."""

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

import pytest

from chatbot_erp.eventstore.promise import AT_ONCE, Crowd, Promise

PATIENCE_S = 60.0
MANY = 3 * AT_ONCE


def waiting(pool: ThreadPoolExecutor, promises: list[Promise[int]]) -> list[Future[int]]:
    return [pool.submit(promise.result, PATIENCE_S) for promise in promises]


def test_everybody_in_a_crowd_is_woken_with_his_own_result() -> None:
    crowd = Crowd()
    promises = [Promise[int](crowd) for _ in range(MANY)]
    with ThreadPoolExecutor(MANY) as pool:
        waiters = waiting(pool, promises)
        for number, promise in enumerate(promises):
            promise.set_result(number)
        assert [waiter.result(PATIENCE_S) for waiter in waiters] == list(range(MANY))


def test_those_who_have_lost_patience_do_not_hold_up_those_behind_them() -> None:
    crowd = Crowd()
    left = [Promise[int](crowd) for _ in range(MANY)]
    for promise in left:
        with pytest.raises(FutureTimeout):
            promise.result(0)
    stayed = [Promise[int](crowd) for _ in range(MANY)]
    with ThreadPoolExecutor(MANY) as pool:
        waiters = waiting(pool, stayed)
        for number, promise in enumerate((*left, *stayed)):
            promise.set_result(number)
        assert sum(waiter.result(PATIENCE_S) for waiter in waiters) == sum(range(MANY, 2 * MANY))


def test_two_may_wait_for_one_promise_and_a_third_come_late() -> None:
    promise = Promise[int](Crowd())
    with ThreadPoolExecutor(2) as pool:
        waiters = waiting(pool, [promise, promise])
        promise.set_result(7)
        assert [waiter.result(PATIENCE_S) for waiter in waiters] == [7, 7]
    assert promise.result(0) == 7


def test_what_went_wrong_is_raised_where_one_waits() -> None:
    promise = Promise[int](Crowd())
    with ThreadPoolExecutor(1) as pool:
        (waiter,) = waiting(pool, [promise])
        promise.set_exception(OSError("no"))
        with pytest.raises(OSError, match="no"):
            waiter.result(PATIENCE_S)
