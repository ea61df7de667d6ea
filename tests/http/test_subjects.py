"""What is held of somebody, how they are forgotten, and whether the log is whole, as a caller sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from chatbot_erp.eventstore.checkpoints import Checkpoint
from chatbot_erp.eventstore.events import MessageAccepted, Status
from chatbot_erp.eventstore.walk import Report
from chatbot_erp.http.forwarding import FORWARDED

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeAudit, FakeManager

NUMBER = "5511987654321"


def say(manager: FakeManager, instance: str, text: str, number: str = NUMBER) -> None:
    manager.happen(instance, MessageAccepted(command_id="c", number=number, kind="text", text=text))


def test_what_is_held_of_somebody_comes_in_pages_over_all_instances(api: Caller, manager: FakeManager) -> None:
    first, second = manager.bring("a", Status.CONNECTED), manager.bring("b", Status.CONNECTED)
    for instance, text in ((first, "one"), (second, "two"), (first, "three")):
        say(manager, instance, text, "5511911112222")
    say(manager, first, "of somebody else", "5511933334444")
    page = api.get("/subjects/+55 11 91111-2222/export", params={"limit": 2}).json
    rest = api.get("/subjects/5511911112222@s.whatsapp.net/export", params={"after": page["next"]}).json
    assert page["addresses"] == rest["addresses"] == ["5511911112222"]
    assert [each["data"]["text"] for each in page["events"]] == ["one", "two"]
    assert [each["data"]["text"] for each in rest["events"]] == ["three"]
    assert rest["next"] is None


def test_somebody_who_is_forgotten_leaves_events_without_words(api: Caller, manager: FakeManager) -> None:
    instance = manager.bring("a", Status.CONNECTED)
    say(manager, instance, "a secret wish")
    # Where no other node is, nobody is believed to be one.
    answer = api("DELETE", f"/subjects/{NUMBER}", headers={FORWARDED: "1"})
    assert (answer.status_code, answer.json["awaited"]) == (200, [])
    page = api.get("/instances/a/events").json
    data = page["events"][-1]["data"]
    assert (data["text"], data["number"], data["erased"]) == ("", "", True)
    (event,) = api.get("/events", params={"after": answer.json["position"] - 1, "type": "subject.erased"}).json[
        "events"
    ]
    assert event["id"] == answer.json["id"]
    assert len(event["data"]["subjects"]) == answer.json["subjects"] == 1
    again = api("DELETE", f"/subjects/{NUMBER}").json
    assert (again["position"], again["subjects"]) == (None, 0)


def test_what_is_no_number_is_refused(api: Caller) -> None:
    for method, path in (("GET", "/subjects/nobody/export"), ("DELETE", "/subjects/nobody")):
        answer = api(method, path)
        assert (answer.status_code, answer.json["type"]) == (422, "/problems/bad-number")


def test_a_number_in_a_path_is_in_no_log_line(
    api: Caller, manager: FakeManager, capsys: pytest.CaptureFixture[str]
) -> None:
    api("DELETE", f"/subjects/{NUMBER}")
    api.get(f"/subjects/{NUMBER}/export")
    said = capsys.readouterr()
    assert "/subjects/{number}" in said.out + said.err
    assert NUMBER not in said.out + said.err


@pytest.mark.parametrize(
    "path",
    [
        "/instances/a/chats/5511987654321/presence",
        "/instances/a/groups/5511987654321-1600000000@g.us",
        "/subject/5511987654321",
        "/subject/+55 11 98765-4321",
    ],
)
def test_no_number_is_in_a_log_line_wherever_the_path_leads(
    api: Caller, manager: FakeManager, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    manager.bring("a", Status.CONNECTED)
    api.get(path)
    said = capsys.readouterr()
    assert "request_answered" in said.out + said.err
    assert not any(piece in said.out + said.err for piece in ("987654321", "98765-4321"))


def test_the_verdict_on_the_log_is_shown_with_a_checkpoint_to_keep(api: Caller, manager: FakeManager) -> None:
    assert api.get("/audit/verify").json["type"] == "/problems/audit-running"
    at = datetime(2026, 11, 24, tzinfo=UTC)
    newest = Checkpoint(position=7, hash="ab", at=at, key="cd", signature="ef")
    cast("FakeAudit", manager.audit).report = Report(
        events=7, hash="ab", streams=1, checkpoints=1, keys=("cd",), checkpoint=newest, position=None, problem=None
    )
    answer = api.get("/audit/verify")
    assert answer.status_code == 200
    assert (answer.json["whole"], answer.json["problem"]) == (True, None)
    shown = {"position": 7, "hash": "ab", "at": "2026-11-24T00:00:00Z", "key": "cd", "signature": "ef"}
    assert answer.json["checkpoint"] == shown
