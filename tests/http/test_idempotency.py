"""A request that is sent again is answered as the first time and never carried out twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
from falcon import testing

from chatbot_erp.actors.errors import MediaNotUploaded, NotOnWhatsApp, OutcomeUnknown, Unavailable, WhatsAppRefused
from chatbot_erp.eventstore.company import Alone
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.events import Status
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.http.exchange import Request
from chatbot_erp.http.idempotency import digest, open_answer

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

MESSAGE = {"number": "5591999999999", "message": "Olá!"}
NEW = {"name": "new", "webhookUrl": "http://receiver/"}


@pytest.fixture
def store(own_store: EventStore) -> EventStore:
    return own_store


@pytest.fixture(autouse=True)
def connected(manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.bring("b", Status.CONNECTED)
    manager.bring("pairing", Status.SCAN_QR_CODE)


def send(api: Caller, key: str = "k", name: str = "a", **change: Any) -> testing.Result:
    return api.post(f"/instances/{name}/message", MESSAGE | change, headers={"Idempotency-Key": key})


def assert_replayed(first: testing.Result, second: testing.Result) -> None:
    assert "Idempotent-Replay" not in first.headers
    assert second.headers["Idempotent-Replay"] == "true"
    assert (second.status_code, second.headers["Content-Type"]) == (first.status_code, first.headers["Content-Type"])
    assert second.content == first.content


def kept(directory: Path) -> bytes:
    """What is on disk of the one answer that was given, for who shows its key."""
    with closing(sqlite3.connect(directory / "events.db")) as log:
        ((slot, body),) = log.execute("SELECT key, body FROM claims")
    asked = SimpleNamespace(caller="", get_header=lambda name, default: "k")
    return open_answer(cast(Request, asked), slot, body)


def assert_problem(answer: testing.Result, status: int, code: str) -> None:
    assert (answer.status_code, answer.json["type"]) == (status, f"/problems/{code}")


def test_the_same_request_is_answered_byte_by_byte_as_before(api: Caller, manager: FakeManager) -> None:
    first = send(api)
    assert_replayed(first, send(api))
    assert_replayed(first, send(api))
    assert len(manager.calls) == 1


def test_an_answer_is_kept_so_that_only_who_asked_can_read_it(api: Caller, tmp_path: Path) -> None:
    first = send(api)
    assert MESSAGE["number"] in first.text
    assert not [path.name for path in tmp_path.iterdir() if MESSAGE["number"].encode() in path.read_bytes()]
    assert_replayed(first, send(api))


def test_an_answer_that_an_earlier_version_kept_in_clear_is_still_the_answer(api: Caller, tmp_path: Path) -> None:
    send(api)
    with closing(sqlite3.connect(tmp_path / "events.db")) as log:
        log.execute("UPDATE claims SET body = ?", (b'{"messageId":"of yesterday"}',))
        log.commit()
    assert send(api).json == {"messageId": "of yesterday"}


BODY = json.dumps(MESSAGE).encode()
GUESS = digest("POST", "/instances/a/message", "", BODY)
"""What somebody makes who knows all of a request but the Idempotency-Key: an earlier version kept just that."""


def send_body(api: Caller, body: bytes = BODY) -> testing.Result:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    return api("POST", "/instances/a/message", body=body, headers=headers)


def test_what_was_asked_cannot_be_guessed_from_what_is_kept_of_it(api: Caller, tmp_path: Path) -> None:
    assert send_body(api).status_code == 200
    with closing(sqlite3.connect(tmp_path / "events.db")) as log:
        ((kept,),) = log.execute("SELECT fingerprint FROM claims").fetchall()
    assert kept != GUESS


def test_a_claim_of_an_earlier_version_still_knows_its_request(
    api: Caller, manager: FakeManager, tmp_path: Path
) -> None:
    first = send_body(api)
    with closing(sqlite3.connect(tmp_path / "events.db")) as log:
        log.execute("UPDATE claims SET fingerprint = ?", (GUESS,))
        log.commit()
    assert_replayed(first, send_body(api))
    assert_problem(send_body(api, BODY + b" "), 422, "idempotency-key-reused")
    assert len(manager.calls) == 1


def test_without_a_key_every_request_is_a_new_one(api: Caller, manager: FakeManager) -> None:
    for _ in range(2):
        api.post("/instances/a/message", MESSAGE)
    assert len(manager.calls) == 2


def test_the_next_life_of_the_manager_answers_as_the_first(api: Caller, restarted: Callable[[], Caller]) -> None:
    assert_replayed(send(api), send(restarted()))


def test_another_body_or_instance_under_the_same_key_is_refused(api: Caller, manager: FakeManager) -> None:
    send(api)
    assert_problem(send(api, message="other"), 422, "idempotency-key-reused")
    assert_problem(send(api, name="b"), 422, "idempotency-key-reused")
    assert len(manager.calls) == 1


def test_a_key_of_one_route_is_another_key_on_another_route(api: Caller) -> None:
    assert send(api).status_code == 200
    assert api.post("/instances/a/restart", headers={"Idempotency-Key": "k"}).status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "é", "x" * 256, "a, b"])
def test_a_key_that_is_not_visible_ascii_is_refused(api: Caller, manager: FakeManager, key: str) -> None:
    assert_problem(send(api, key), 400, "bad-idempotency-key")
    assert manager.calls == []


@pytest.mark.parametrize("key", ["!", "~" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
def test_any_visible_ascii_is_a_key(api: Caller, key: str) -> None:
    assert_replayed(send(api, key), send(api, key))


def test_while_the_first_runs_the_same_request_is_told_to_wait(api: Caller, manager: FakeManager) -> None:
    seconds: list[testing.Result] = []

    def ask_meanwhile() -> None:
        seconds.extend([send(api), send(api, message="other")])

    manager.on_send = ask_meanwhile
    first = send(api)
    assert_problem(seconds[0], 409, "idempotency-key-running")
    assert seconds[0].headers["Retry-After"] == "1"
    assert_problem(seconds[1], 422, "idempotency-key-reused")
    assert_replayed(first, send(api))
    assert len(manager.calls) == 1


def test_fifty_at_once_are_one_message(api: Caller, manager: FakeManager) -> None:
    begun, go_on = Event(), Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(60)

    manager.on_send = wait
    answers: list[testing.Result] = []
    threads = [Thread(target=lambda: answers.append(send(api))) for _ in range(50)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    for thread in threads:
        thread.join(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(manager.calls) == 1
    last = send(api)
    assert last.status_code == 200
    for answer in answers:
        if answer.status_code == 200:
            assert answer.content == last.content
        else:
            assert_problem(answer, 409, "idempotency-key-running")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (WhatsAppRefused("no"), 502),
        (OutcomeUnknown("?"), 504),
        (NotOnWhatsApp("no"), 404),
        (RuntimeError("half-way"), 500),
    ],
)
def test_an_outcome_that_stands_is_not_tried_again(
    api: Caller, manager: FakeManager, failure: Exception, status: int
) -> None:
    manager.failure = failure
    first = send(api)
    assert first.status_code == status
    manager.failure = None
    assert_replayed(first, send(api))
    assert manager.calls == []


@pytest.mark.parametrize("failure", [Unavailable("later"), MediaNotUploaded("later"), StoreUnavailable("full", "x")])
def test_where_nothing_was_done_a_retry_succeeds(api: Caller, manager: FakeManager, failure: Exception) -> None:
    manager.failure = failure
    assert send(api).status_code in (503, 507)
    manager.failure = None
    assert send(api).status_code == 200
    assert len(manager.calls) == 1


def test_a_refusal_leaves_the_key_free_for_the_corrected_request(api: Caller) -> None:
    assert_problem(send(api, number="abc"), 422, "bad-number")
    assert_problem(send(api, name="none"), 404, "instance-not-found")
    assert_problem(send(api, name="pairing"), 409, "instance-not-operational")
    assert send(api).status_code == 200


def test_a_request_that_died_with_its_process_is_never_carried_out_again(
    api: Caller, manager: FakeManager, restarted: Callable[[], Caller]
) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    manager.on_send = die
    with pytest.raises(Killed):
        send(api)
    manager.on_send = lambda: None
    next_life = restarted()
    answer = send(next_life)
    assert_problem(answer, 504, "outcome-unknown")
    for again in (send(next_life), send(restarted())):
        assert (again.status_code, again.content) == (504, answer.content)
    assert_problem(send(next_life, message="other"), 422, "idempotency-key-reused")
    assert len(manager.calls) == 1


def test_a_request_that_runs_at_another_node_is_not_carried_out_here(
    api: Caller, manager: FakeManager, restarted: Callable[[], Caller]
) -> None:
    class Fellow(Alone):
        """A node that knows of the other."""

        former, ended = manager.store.company.life, False

        def is_living(self, life: str, /) -> bool:
            return life == self.former and not self.ended

    def ask_the_other() -> None:
        manager.on_send = lambda: None
        assert_problem(send(other), 409, "idempotency-key-running")
        fellow.ended = True
        assert_problem(send(other), 504, "outcome-unknown")

    other = restarted()
    fellow = manager.store.company = Fellow()
    manager.on_send = ask_the_other
    assert send(api).status_code == 200
    assert len(manager.calls) == 1


def test_a_created_instance_is_answered_again_with_its_secret_which_the_log_never_had(
    api: Caller, restarted: Callable[[], Caller], tmp_path: Path
) -> None:
    first = api.post("/instances/create", NEW, headers={"Idempotency-Key": "k"})
    secret = first.json["webhookSecret"]
    assert_replayed(first, restarted().post("/instances/create", NEW, headers={"Idempotency-Key": "k"}))
    assert json.loads(kept(tmp_path)) == first.json | {"webhookSecret": None}
    assert not [path.name for path in tmp_path.glob("events.db*") if secret.encode() in path.read_bytes()]


def test_a_created_instance_that_is_deleted_meanwhile_is_not_created_again(api: Caller, manager: FakeManager) -> None:
    first = api.post("/instances/create", NEW, headers={"Idempotency-Key": "k"})
    api("DELETE", "/instances/new")
    again = api.post("/instances/create", NEW, headers={"Idempotency-Key": "k"})
    assert again.status_code == 201
    assert again.json == first.json | {"webhookSecret": None}
    assert api.get("/instances/new").status_code == 404


def test_a_taken_name_is_refused_under_a_new_key_only(api: Caller) -> None:
    api.post("/instances/create", NEW, headers={"Idempotency-Key": "k"})
    assert api.post("/instances/create", NEW, headers={"Idempotency-Key": "k"}).status_code == 201
    assert_problem(api.post("/instances/create", NEW, headers={"Idempotency-Key": "l"}), 409, "name-taken")


def test_a_pairing_code_is_answered_again_from_memory_and_is_never_on_disk(
    api: Caller, manager: FakeManager, restarted: Callable[[], Caller], tmp_path: Path
) -> None:
    def pair(api: Caller) -> testing.Result:
        return api.post(
            "/instances/pairing/pairing-code", {"number": "5591999999999"}, headers={"Idempotency-Key": "k"}
        )

    first = pair(api)
    assert first.json == {"code": "ABCD-0001"}
    assert_replayed(first, pair(api))
    assert UUID(kept(tmp_path).decode()), "by which the memory of this life finds the code"
    # The process that had the code is gone, and with it the code's use: there is a new one.
    next_life = restarted()
    second = pair(next_life)
    assert second.json == {"code": "ABCD-0002"}
    assert_replayed(second, pair(next_life))


class FragileStore(EventStore):
    """Refuses what it is told to refuse."""

    def __init__(self, store: EventStore) -> None:
        self.__dict__ = store.__dict__
        self.refused = ""

    def claim(self, *args: Any, **more: Any) -> Any:
        return self._unless_refused("claim", super().claim, *args, **more)

    def settle(self, *args: Any) -> None:
        self._unless_refused("settle", super().settle, *args)

    def release(self, *args: Any) -> None:
        self._unless_refused("release", super().release, *args)

    def _unless_refused(self, what: str, do: Callable[..., Any], *args: Any, **more: Any) -> Any:
        if self.refused == what:
            raise StoreUnavailable("full", "for the test")
        return do(*args, **more)


class TestOnAFragileDisk:
    @pytest.fixture
    def store(self, own_store: EventStore) -> FragileStore:
        return FragileStore(own_store)

    def test_nothing_is_done_that_cannot_be_remembered(
        self, api: Caller, manager: FakeManager, store: FragileStore
    ) -> None:
        store.refused = "claim"
        assert_problem(send(api), 507, "store-full")
        assert manager.calls == []
        store.refused = ""
        assert send(api).status_code == 200

    def test_an_answer_the_disk_refused_is_true_and_is_kept_later(
        self, api: Caller, manager: FakeManager, store: FragileStore
    ) -> None:
        store.refused = "settle"
        first = send(api)
        assert first.status_code == 200
        assert_problem(send(api), 507, "store-full")
        store.refused = ""
        assert_replayed(first, send(api))
        assert len(manager.calls) == 1

    def test_an_answer_nobody_asks_for_again_is_kept_with_the_next_one(
        self, api: Caller, manager: FakeManager, store: FragileStore, restarted: Callable[[], Caller]
    ) -> None:
        store.refused = "settle"
        first, second = send(api), send(api, key="k2")
        store.refused = ""
        for key in ("k3", "k4"):
            send(api, key=key)
        next_life = restarted()
        assert_replayed(first, send(next_life))
        assert_replayed(second, send(next_life, key="k2"))

    def test_a_slot_the_disk_would_not_free_is_free_later(
        self, api: Caller, manager: FakeManager, store: FragileStore
    ) -> None:
        store.refused = "release"
        assert_problem(send(api, name="pairing"), 409, "instance-not-operational")
        assert_problem(send(api, name="pairing"), 507, "store-full")
        store.refused = ""
        assert_problem(send(api, name="pairing"), 409, "instance-not-operational")
        assert send(api).status_code == 200


def test_parts_of_a_digest_cannot_pose_as_others() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") != digest("a", "")
