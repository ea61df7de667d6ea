"""The log and the past over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from chatbot_erp.eventstore.events import Status, WebhookUrlChanged
from chatbot_erp.eventstore.store import EventStore

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager


@pytest.fixture
def store(own_store: EventStore) -> EventStore:
    return own_store


@pytest.fixture
def ids(manager: FakeManager) -> dict[str, str]:
    """Positions: 1 a created, 2 b created, 3 a connected, 4 b removed."""
    ids = {name: manager.bring(name, Status.INITIALIZING) for name in ("a", "b")}
    manager.connect("a")
    manager.remove("b", unlink=True)
    return ids


def test_an_event_is_shown_as_it_was_stored(api: Caller, ids: dict[str, str], store: EventStore) -> None:
    (record, *_) = store.read()
    answer = api.get("/events?limit=1")
    (event,) = answer.json["events"]
    assert event == {
        "position": 1,
        "stream": ids["a"],
        "version": 1,
        "id": record.id,
        "type": "instance.created",
        "data": {"name": "a", "webhookUrl": "http://receiver/", "sessionFrom": None},
        "recordedAt": "2026-01-31T12:00:00Z",
        "sequence": None,
        "hash": record.hash,
    }
    assert bytes(record.data) in answer.content


@pytest.mark.parametrize(
    ("query", "positions", "following"),
    [
        ("", [1, 2, 3, 4], 4),
        ("?limit=2", [1, 2], 2),
        ("?after=2&limit=2", [3, 4], 4),
        ("?after=2&limit=1000", [3, 4], 4),
        ("?after=4", [], 4),
        ("?after=99", [], 99),
        ("?type=instance.created", [1, 2], 4),
        ("?type=instance.created,instance.removed", [1, 2, 4], 4),
        ("?type=instance.created&type=instance.removed&limit=2", [1, 2], 2),
        ("?type=ping.sent", [], 4),
        ("?instance=a", [1, 3], 4),
        ("?instance=b", [2, 4], 4),
        ("?instance=a&type=instance.connected", [3], 4),
    ],
)
def test_a_page_has_what_was_asked_for_and_says_where_to_go_on(
    api: Caller, ids: dict[str, str], query: str, positions: list[int], following: int
) -> None:
    page = api.get(f"/events{query}").json
    assert [event["position"] for event in page["events"]] == positions
    assert page["next"] == following


def test_following_next_reads_everything_once(api: Caller, ids: dict[str, str]) -> None:
    seen: list[int] = []
    after = 0
    while events := (page := api.get(f"/events?limit=3&after={after}").json)["events"]:
        seen += [event["position"] for event in events]
        after = page["next"]
    assert seen == [1, 2, 3, 4]


def test_an_instance_has_its_own_log_even_after_its_end(api: Caller, ids: dict[str, str]) -> None:
    assert [event["version"] for event in api.get("/instances/a/events").json["events"]] == [1, 2]
    assert [event["position"] for event in api.get("/instances/b/events").json["events"]] == [2, 4]
    assert api.get(f"/events?instance={ids['b']}").json == api.get("/events?instance=b").json


@pytest.mark.parametrize(
    ("query", "positions", "following"),
    [
        ("?before=99", [2, 4], 4),
        ("?before=99&limit=1", [4], 4),
        ("?before=4", [2], 3),
        ("?before=2", [], 1),
        ("?before=99&after=2", [4], 4),
        ("?before=99&type=instance.created", [2], 4),
    ],
)
def test_an_instances_log_is_read_from_its_end_too(
    api: Caller, ids: dict[str, str], query: str, positions: list[int], following: int
) -> None:
    page = api.get(f"/instances/b/events{query}").json
    assert [event["position"] for event in page["events"]] == positions
    assert page["next"] == following
    assert api.get("/instances/b/events?before=0").status_code == 422


def test_a_name_means_the_instance_that_has_it_now(api: Caller, ids: dict[str, str], manager: FakeManager) -> None:
    manager.bring("b", Status.INITIALIZING)
    assert [event["position"] for event in api.get("/instances/b/events").json["events"]] == [5]
    assert [event["position"] for event in api.get(f"/events?instance={ids['b']}").json["events"]] == [2, 4]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=-1", "after"),
        ("after=1.0", "after"),
        ("after=", "after"),
        ("after=9223372036854775808", "after"),
        ("after=" + "9" * 5000, "after"),
        ("after=%D9%A1", "after"),
        ("after=1&after=2", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("type=instance.creatd", "type"),
        ("type=INSTANCE.CREATED", "type"),
    ],
)
def test_a_wrong_parameter_is_named(api: Caller, query: str, field: str) -> None:
    answer = api.get(f"/events?{query}")
    assert answer.status_code == 422
    assert [(error["field"], error["in"]) for error in answer.json["errors"]] == [(field, "query")]


@pytest.mark.parametrize(
    ("name", "at", "status"),
    [
        ("a", "?at=1", "INITIALIZING"),
        ("a", "?at=2", "INITIALIZING"),
        ("a", "?at=3", "CONNECTED"),
        ("a", "?at=9223372036854775807", "CONNECTED"),
        ("a", "", "CONNECTED"),
        ("a", "?at=2026-01-31T12:00:00Z", "CONNECTED"),
        ("a", "?at=2026-01-31T13:00:00+01:00", "CONNECTED"),
        ("a", "?at=2026-01-31T12:00:00.000%2B00:00", "CONNECTED"),
        ("a", "?at=2026-01-31 12:00:00", "CONNECTED"),
        ("b", "?at=2", "INITIALIZING"),
        ("b", "?at=4", None),
    ],
)
def test_the_past_can_be_looked_at(api: Caller, ids: dict[str, str], name: str, at: str, status: str | None) -> None:
    answer = api.get(f"/instances/{name}/state{at}")
    assert answer.status_code == 200, answer.text
    assert (answer.json["id"], answer.json["name"], answer.json["status"]) == (ids[name], name, status)
    assert answer.json["removed"] == (status is None)


@pytest.mark.parametrize("at", ["?at=0", "?at=2026-01-31T11:59:59Z", "?at=1999-01-01"])
def test_before_its_beginning_there_was_no_instance(api: Caller, ids: dict[str, str], at: str) -> None:
    answer = api.get(f"/instances/a/state{at}")
    assert (answer.status_code, answer.json["type"]) == (404, "/problems/instance-not-found")


@pytest.mark.parametrize(
    "at", ["yesterday", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "-1", "2026-13-01"]
)
def test_a_moment_that_cannot_be_is_refused(api: Caller, ids: dict[str, str], at: str) -> None:
    answer = api.get(f"/instances/a/state?at={at}")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "at")


def test_a_page_is_json_whatever_is_in_it(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.INITIALIZING)
    manager.happen(manager.directory.find("a").id, WebhookUrlChanged(webhook_url="http://x/é\u2028\U0001f600"))
    assert msgspec.json.decode(api.get("/events").content)["events"]
