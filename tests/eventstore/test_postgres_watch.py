"""Who depends on a database hears at once when it can be had no more."""

import threading

import psycopg
import pytest

from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.postgres_watch import Watch
from waiting import wait_until

PATIENCE_S = 60.0


def break_lines(database: str) -> int:
    """As a server that goes down. How many connections there were."""
    with psycopg.connect(database) as connection:
        return len(
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'chatbot-erp'"
            ).fetchall()
        )


def test_everybody_who_waits_hears_of_a_loss_but_who_waits_no_more(database: str) -> None:
    watch, first, second, dropped = Watch(database), threading.Event(), threading.Event(), threading.Event()
    for lost in (first.set, second.set, dropped.set):
        watch.call(lost)
    watch.drop(dropped.set)
    assert break_lines(database) == 1, "one connection is for all"
    assert first.wait(PATIENCE_S)
    assert second.wait(PATIENCE_S)
    assert not dropped.is_set()


def test_after_a_loss_the_next_one_is_heard_of_too_and_each_once(database: str) -> None:
    watch, calls = Watch(database), threading.Semaphore(0)
    for _ in range(2):
        watch.call(calls.release)
        break_lines(database)
        assert calls.acquire(timeout=PATIENCE_S)
    assert not calls.acquire(blocking=False)


def test_a_pool_is_asked_again_and_again_and_its_end_is_a_loss(database: str) -> None:
    # A server is as good as a pool here: what is asked are statements.
    watch, lost = Watch(database, pooled=True, ask_every_s=0.01), threading.Event()
    watch.call(lost.set)
    with psycopg.connect(database, autocommit=True) as connection:
        await_asked(connection)
    break_lines(database)
    assert lost.wait(PATIENCE_S)


def await_asked(connection: psycopg.Connection) -> None:
    asked = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT 1' AND datname = current_database()"
    wait_until(lambda: connection.execute(asked.encode()).fetchone())


def test_who_cannot_be_told_learns_that_at_once() -> None:
    with pytest.raises(StoreUnavailable):
        Watch("postgresql://me@/db?host=/nowhere").call(lambda: None)
