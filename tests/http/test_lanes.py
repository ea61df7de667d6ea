"""Threads: calls that wait for somebody keep no others waiting."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Semaphore
from typing import TYPE_CHECKING

import pytest

from chatbot_erp.actors.errors import InstanceNotFound
from chatbot_erp.http.people_operations import PEOPLE_AND_GROUPS
from chatbot_erp.http.serving import CHANGING_THREADS, LOOKING_THREADS, WAITING_CALLS, Serving
from http_caller import PATIENCE_S, ask, hold, send

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager


def test_sends_run_at_once_and_do_not_keep_others_waiting(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start(threads=16)
    together = Barrier(17)

    def meet_twice() -> None:
        together.wait(PATIENCE_S)
        together.wait(PATIENCE_S)

    manager.on_send = meet_twice
    with ThreadPoolExecutor(20) as callers:
        sends = [callers.submit(send, server) for _ in range(16)]
        together.wait(PATIENCE_S)
        # All sixteen threads are in the middle of a send now, and more wait behind them.
        manager.on_send = lambda: None
        waiting = [callers.submit(send, server) for _ in range(4)]
        assert ask(server, "GET", "/livez")[0] == 200
        assert ask(server, "GET", "/instances/a")[0] == 200
        assert ask(server, "POST", "/instances/a/restart")[0] == 202
        together.wait(PATIENCE_S)
        assert {each.result()[0] for each in sends + waiting} == {200}


@pytest.mark.parametrize("instances", ["/instances", "//instances", "instances"])
def test_questions_of_deaf_numbers_keep_neither_looks_nor_changes_waiting(
    start: Callable[..., Serving], manager: FakeManager, instances: str
) -> None:
    server = start(threads=2 * (LOOKING_THREADS + CHANGING_THREADS))
    asked, answered = Semaphore(0), Event()

    def be_deaf() -> None:
        asked.release()
        assert answered.wait(PATIENCE_S)

    manager.inquiries.on_ask = be_deaf
    asking = [("GET", "groups"), ("DELETE", "blocklist/5591999999999")] * max(LOOKING_THREADS, CHANGING_THREADS)
    with ThreadPoolExecutor(len(asking)) as callers:
        questions = [callers.submit(ask, server, method, f"{instances}/a/{path}") for method, path in asking]
        for _ in questions:
            assert asked.acquire(timeout=PATIENCE_S)
        for method, path, status in (
            ("GET", "/livez", 200),
            ("GET", "/readyz", 200),
            ("GET", "/instances/a", 200),
            ("POST", "/instances/a/restart", 202),
            ("DELETE", "/instances/a", 204),
        ):
            assert ask(server, method, path)[0] == status
        answered.set()
        assert {each.result()[0] for each in questions} == {200}


def test_every_call_that_waits_for_somebody_else_is_one_that_waits() -> None:
    others = ("/audit/verify", "/subjects/{number}", "/instances/{name}/webhook/test", "/instances/a/contacts/559\n")
    for path in (*(each.path for each in PEOPLE_AND_GROUPS), *others):
        assert WAITING_CALLS.fullmatch(path), path
    for path in ("/instances/media", "/instances/message", "/instances/groups/restart", "/instances/{name}/events"):
        assert not WAITING_CALLS.fullmatch(path)


def test_health_is_told_while_everything_else_stands_still(
    start: Callable[..., Serving], manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    begun, go_on = Semaphore(0), Event()

    def stand_still(_: str) -> None:
        begun.release()
        assert go_on.wait(PATIENCE_S)
        raise InstanceNotFound

    monkeypatch.setattr(manager.directory, "view", stand_still)
    monkeypatch.setattr(manager, "restart", stand_still)
    asking = [("GET", "/instances/a")] * LOOKING_THREADS + [("POST", "/instances/a/restart")] * CHANGING_THREADS
    with ThreadPoolExecutor(len(asking)) as callers:
        waiting = [callers.submit(ask, server, method, path) for method, path in asking]
        for _ in waiting:
            assert begun.acquire(timeout=PATIENCE_S)
        assert ask(server, "GET", "/livez")[0] == 200
        assert ask(server, "GET", "/readyz")[0] == 200
        go_on.set()
        assert {each.result()[0] for each in waiting} == {404}


def test_health_is_told_where_nobody_can_tell_whether_there_are_keys(
    start: Callable[..., Serving], manager: FakeManager
) -> None:
    """As where they are in a database that hangs."""
    server = start()
    asked, go_on = Event(), Event()
    manager.vault.asked = hold(asked, go_on)
    with ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(ask, server, "GET", "/instances/a")
        assert asked.wait(PATIENCE_S)
        assert ask(server, "GET", "/livez")[0] == 200
        assert ask(server, "GET", "/readyz")[0] == 200
        go_on.set()
        assert waiting.result()[0] == 200


def test_fifty_equal_requests_at_once_send_one_message(start: Callable[..., Serving], manager: FakeManager) -> None:
    server = start(threads=16)
    manager.calls.clear()
    with ThreadPoolExecutor(50) as callers:
        answers = [
            each.result() for each in [callers.submit(send, server, **{"Idempotency-Key": "k"}) for _ in range(50)]
        ]
    assert len(manager.calls) == 1
    bodies = {body for status, _, body in answers if status == 200}
    assert len(bodies) == 1
    assert {status for status, _, _ in answers} <= {200, 409}
    status, headers, body = send(server, **{"Idempotency-Key": "k"})
    assert (status, {body}, headers["Idempotent-Replay"]) == (200, bodies, "true")
