"""Read marks, presence and pacing, as they are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chatbot_erp.actors import questions as q
from chatbot_erp.eventstore.events import MessageReceived, Status

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

GROUP = "120363000000000001@g.us"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
def instance(manager: FakeManager) -> str:
    return manager.bring("a", Status.CONNECTED)


def receive(manager: FakeManager, instance: str, message_id: str, jid: str, participant: str | None = None) -> None:
    received = MessageReceived(
        message_id=message_id,
        jid=jid,
        jid_alt=None,
        participant=participant,
        push_name="Maria",
        kind="text",
        text="oi",
        sent_at=NOW,
        raw=msgspec.Raw(b"{}"),
    )
    manager.happen(instance, received)


def test_marks_go_to_each_chat_and_sender_together(api: Caller, manager: FakeManager, instance: str) -> None:
    for message_id, participant in (("M1", None), ("M2", None), ("G1", "7@lid"), ("G2", "8@lid")):
        receive(manager, instance, message_id, "9@g.us" if participant else "7@lid", participant)
    answer = api.post("/instances/a/messages/read", {"messageIds": ["M1", "G1", "M2", "G2", "M1"], "played": True})
    assert (answer.status_code, answer.content) == (204, b"")
    assert manager.inquiries.questions == [
        q.MarkRead(chat="7@lid", sender="7@lid", message_ids=("M1", "M2"), played=True),
        q.MarkRead(chat="9@g.us", sender="7@lid", message_ids=("G1",), played=True),
        q.MarkRead(chat="9@g.us", sender="8@lid", message_ids=("G2",), played=True),
    ]
    assert api.post("/instances/a/messages/M1/read").status_code == 204
    assert manager.inquiries.questions[-1] == q.MarkRead(chat="7@lid", sender="7@lid", message_ids=("M1",))


def test_where_one_is_unknown_nothing_is_marked(api: Caller, manager: FakeManager, instance: str) -> None:
    receive(manager, instance, "M1", "7@lid")
    answer = api.post("/instances/a/messages/read", {"messageIds": ["M1", "M9"]})
    assert (answer.status_code, answer.json["type"]) == (404, "/problems/message-not-found")
    assert manager.inquiries.questions == []


@pytest.mark.parametrize("ids", [[], ["x"] * 101, "M1", None])
def test_a_list_of_marks_has_one_to_a_hundred(api: Caller, instance: str, ids: Any) -> None:
    assert api.post("/instances/a/messages/read", {"messageIds": ids}).status_code == 422


def test_presence_is_shown_and_watched(api: Caller, manager: FakeManager, instance: str) -> None:
    assert api("PUT", "/instances/a/presence", json={"state": "available"}).status_code == 204
    assert api.post(f"/instances/a/chats/{GROUP}/presence", {"state": "typing"}).status_code == 204
    assert api.post("/instances/a/chats/+55 91 99999-9999/presence", {"state": "paused"}).status_code == 204
    assert api.post("/instances/a/contacts/5591999999999/presence").status_code == 204
    assert manager.inquiries.questions == [
        q.ShowPresence(available=True),
        q.ShowActivity(chat=GROUP, activity="typing"),
        q.ShowActivity(chat="5591999999999", activity="paused"),
        q.WatchPresence(who="5591999999999"),
    ]


def test_presence_that_the_library_does_not_have_yet_is_worth_another_try(
    api: Caller, manager: FakeManager, instance: str
) -> None:
    manager.inquiries.refusal = "not_yet"
    answer = api("PUT", "/instances/a/presence", json={"state": "available"})
    assert (answer.status_code, answer.json["type"]) == (503, "/problems/unavailable")
    assert answer.headers["Retry-After"]


def test_a_group_is_not_watched(api: Caller, instance: str) -> None:
    answer = api.post(f"/instances/a/contacts/{GROUP}/presence")
    assert (answer.status_code, answer.json["type"]) == (422, "/problems/bad-number")


def test_pacing_is_set_shown_and_taken_off(api: Caller, manager: FakeManager, instance: str) -> None:
    assert api.get("/instances/a").json["pacing"] is None
    changed = api("PATCH", "/instances/a", json={"pacing": {"perMinute": 20, "burst": 5}})
    assert (changed.status_code, changed.json["pacing"]) == (200, {"perMinute": 20, "burst": 5, "typing": 0})
    assert api("PATCH", "/instances/a", json={"pacing": {"typing": 3}}).json["pacing"]["perMinute"] is None
    assert api("PATCH", "/instances/a", json={"pacing": None}).json["pacing"] is None
    assert manager.calls == [("PacingConfigured", "a")] * 3


@pytest.mark.parametrize(
    "pacing",
    [{"perMinute": 0}, {"perMinute": -1}, {"perMinute": 1e-320}, {"burst": 0}, {"typing": 16}, {"perMinute": "x"}, 5],
)
def test_a_pace_that_cannot_be_changes_nothing(api: Caller, manager: FakeManager, instance: str, pacing: Any) -> None:
    answer = api("PATCH", "/instances/a", json={"pacing": pacing, "webhookUrl": "http://elsewhere/"})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "pacing")
    assert manager.calls == []
