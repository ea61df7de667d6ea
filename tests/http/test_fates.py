"""A send that nobody waits for, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from chatbot_erp.eventstore.events import (
    Ack,
    MessageAcknowledged,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageSent,
    Status,
)

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

MESSAGE = {"number": "+55 91 99999-9999", "message": "Olá!"}
LATER = {"Prefer": "respond-async"}
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
def instance(manager: FakeManager) -> str:
    return manager.bring("a", Status.CONNECTED)


@pytest.mark.parametrize("prefer", ["respond-async", "Respond-Async", "wait=5, respond-async; x=1"])
def test_a_caller_who_does_not_wait_gets_an_id_and_a_place_to_look(api: Caller, instance: str, prefer: str) -> None:
    answer = api.post("/instances/a/message", MESSAGE, headers={"Prefer": prefer})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "respond-async")
    location = f"/instances/a/messages/{answer.json['id']}"
    assert answer.json == {"id": answer.json["id"], "status": "accepted", "location": location}
    assert answer.headers["Location"] == location
    fate = api.get(location).json
    assert (fate["id"], fate["messageId"], fate["fate"], fate["status"]) == (answer.json["id"], None, "accepted", None)
    assert (fate["jid"], [step["fate"] for step in fate["steps"]]) == ("5591999999999", ["accepted"])


@pytest.mark.parametrize("prefer", ["", "wait=10", "handling=lenient", "respond-asynchronously"])
def test_all_others_wait_for_the_server(api: Caller, instance: str, prefer: str) -> None:
    answer = api.post("/instances/a/message", MESSAGE, headers={"Prefer": prefer})
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(("change", "code"), [({"number": "x"}, "bad-number"), ({"message": " "}, "bad-message")])
def test_what_is_wrong_is_said_at_once(
    api: Caller, manager: FakeManager, instance: str, change: dict[str, str], code: str
) -> None:
    answer = api.post("/instances/a/message", MESSAGE | change, headers=LATER)
    assert (answer.status_code, answer.json["type"]) == (422, f"/problems/{code}")
    assert manager.calls == []


def test_the_same_key_is_answered_with_the_same_place(api: Caller, manager: FakeManager, instance: str) -> None:
    headers = LATER | {"Idempotency-Key": "k"}
    first = api.post("/instances/a/message", MESSAGE, headers=headers)
    second = api.post("/instances/a/message", MESSAGE, headers=headers)
    assert (second.status_code, second.content) == (202, first.content)
    for header in ("Location", "Preference-Applied"):
        assert second.headers[header] == first.headers[header]
    assert second.headers["Idempotent-Replay"] == "true"
    assert len([call for call in manager.calls if call[0] == "accept"]) == 1


def test_a_fate_is_told_by_either_id_with_each_step(api: Caller, manager: FakeManager, instance: str) -> None:
    command = api.post("/instances/a/message", MESSAGE, headers=LATER).json["id"]
    jid = "5591999999999@s.whatsapp.net"
    sent = MessageSent(command_id=command, message_id="3EB0A", jid=jid, kind="text", text="Olá!", sent_at=NOW)
    manager.happen(instance, sent)
    for ack in (Ack.DELIVERED, Ack.READ):
        manager.happen(instance, MessageAcknowledged(message_id="3EB0A", jid=jid, participant=None, ack=ack))
    by_command, by_message = (api.get(f"/instances/a/messages/{each}").json for each in (command, "3EB0A"))
    assert by_command == by_message
    assert (by_command["jid"], by_command["fate"], by_command["status"], by_command["type"]) == (jid, "read", 3, None)
    assert [step["fate"] for step in by_command["steps"]] == ["accepted", "sent", "delivered", "read"]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("not_on_whatsapp", "not-on-whatsapp"),
        ("reachout_locked", "reachout-locked"),
        ("addressing_rejected", "addressing-rejected"),
        ("too_many", "asked-too-much"),
        ("refused", "whatsapp-refused"),
        ("not_uploaded", "media-not-uploaded"),
        ("not_connected", "instance-not-operational"),
    ],
)
def test_a_failure_is_the_problem_that_a_caller_who_waits_gets(
    api: Caller, manager: FakeManager, instance: str, reason: str, code: str
) -> None:
    command = api.post("/instances/a/message", MESSAGE, headers=LATER).json["id"]
    manager.happen(instance, MessageFailed(command_id=command, reason=reason, detail="No."))
    fate = api.get(f"/instances/a/messages/{command}").json
    assert (fate["fate"], fate["status"], fate["type"]) == ("failed", 0, f"/problems/{code}")
    assert api.get(fate["type"]).status_code == 200


def test_what_nobody_knows_is_called_unknown(api: Caller, manager: FakeManager, instance: str) -> None:
    command = api.post("/instances/a/message", MESSAGE, headers=LATER).json["id"]
    manager.happen(instance, MessageOutcomeUnknown(command_id=command, reason="host_died"))
    fate = api.get(f"/instances/a/messages/{command}").json
    assert (fate["fate"], fate["status"], fate["type"]) == ("unknown", None, "/problems/outcome-unknown")


def test_a_message_that_nobody_knows_is_a_404(api: Caller, instance: str) -> None:
    answer = api.get("/instances/a/messages/3EB0NOBODY")
    assert (answer.status_code, answer.json["type"]) == (404, "/problems/message-not-found")
