"""Each row of the contract's table, as a caller sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from tests.http.conftest import Caller

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Qr
from chatbot_erp.eventstore.events import Status

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager

NEW = {"name": "empresa_x", "webhookUrl": "http://api_mensagem/webhook/whatsapp"}


def test_an_instance_is_created_initializing_with_its_secret_shown_once(api: Caller) -> None:
    answer = api.post("/instances/create", NEW)
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    UUID(answer.json["id"])
    secret = answer.json["webhookSecret"]
    assert answer.json == {**NEW, "id": answer.json["id"], "status": "INITIALIZING", "webhookSecret": secret}
    assert secret.startswith("whsec_")
    assert secret not in api.get("/instances/empresa_x").text


def test_the_list_has_id_name_and_status_only(api: Caller, manager: FakeManager) -> None:
    second = manager.bring("b", Status.DEGRADED)
    first = manager.bring("a", Status.CONNECTED)
    assert api.get("/instances").json == [
        {"id": first, "name": "a", "status": "CONNECTED"},
        {"id": second, "name": "b", "status": "DEGRADED"},
    ]


def test_one_instance_is_shown_with_all_that_is_known(api: Caller, manager: FakeManager) -> None:
    instance = manager.bring("a", Status.CONNECTED)
    answer = api.get("/instances/a")
    assert answer.headers["Cache-Control"] == "no-store"
    since = answer.json["since"]
    assert since.endswith("Z")
    assert answer.json == {
        "id": instance,
        "name": "a",
        "status": "CONNECTED",
        "reason": None,
        "since": since,
        "webhookUrl": "http://receiver/",
        "user": {"jid": "559199999999@s.whatsapp.net", "lid": "777777@lid", "pushName": "Empresa X"},
        "qr": None,
        "qrExpiresAt": None,
        "restarts": 0,
        "retryAt": None,
        "pacing": None,
        "node": "node-1",
    }


def test_a_waiting_qr_is_shown_with_its_end(api: Caller, manager: FakeManager) -> None:
    from datetime import UTC, datetime

    manager.bring("a", Status.SCAN_QR_CODE, qr=Qr(text="2@secret", expires_at=datetime(2026, 1, 31, tzinfo=UTC)))
    answer = api.get("/instances/a").json
    assert (answer["qr"], answer["qrExpiresAt"], answer["user"]) == ("2@secret", "2026-01-31T00:00:00Z", None)


@pytest.mark.parametrize("status", [Status.CONNECTED, Status.DEGRADED])
def test_a_message_is_sent(api: Caller, manager: FakeManager, status: Status) -> None:
    manager.bring("a", status)
    answer = api.post("/instances/a/message", {"number": "+55 (91) 99999-9999", "message": "Olá!"})
    assert answer.status_code == 200
    assert answer.json == {
        "messageId": "3EB00001",
        "jid": "5591999999999@s.whatsapp.net",
        "status": 1,
        "timestamp": "2026-01-31T12:00:00Z",
    }
    assert manager.calls == [("send", "a", "5591999999999", "Olá!")]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.CONNECTED, Status.DEGRADED}))
def test_a_message_is_refused_where_the_instance_is_not_operational(
    api: Caller, manager: FakeManager, status: Status
) -> None:
    manager.bring("a", status)
    answer = api.post("/instances/a/message", {"number": "5591999999999", "message": "Olá!"})
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/instance-not-operational")
    assert manager.calls == []


def test_a_pairing_code_is_given_while_a_phone_is_waited_for(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.SCAN_QR_CODE)
    assert api.post("/instances/a/pairing-code", {"number": "5591999999999"}).json == {"code": "ABCD-0001"}
    manager.bring("b", Status.CONNECTED)
    answer = api.post("/instances/b/pairing-code", {"number": "5591999999999"})
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/not-pairing")


def test_a_restart_is_accepted_without_a_body(api: Caller, manager: FakeManager) -> None:
    instance = manager.bring("a", Status.DISCONNECTED)
    answer = api.post("/instances/a/restart")
    assert (answer.status_code, answer.json) == (202, {"id": instance, "name": "a", "status": "DISCONNECTED"})
    assert manager.calls == [("restart", "a")]


def test_a_change_of_the_webhook_shows_the_changed_instance(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    answer = api("PATCH", "/instances/a", json={"webhookUrl": "https://elsewhere/"})
    assert (answer.status_code, answer.json["webhookUrl"]) == (200, "https://elsewhere/")


def test_a_change_that_names_no_known_field_is_refused_not_ignored(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    answer = api("PATCH", "/instances/a", json={"webhookURL": "https://elsewhere/"})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "webhookUrl")
    assert manager.calls == []


@pytest.mark.parametrize(
    ("query", "unlink"), [("", "unlink=True"), ("?unlink=false", "unlink=False"), ("?unlink=true", "unlink=True")]
)
def test_a_deletion_unlinks_unless_told_otherwise(api: Caller, manager: FakeManager, query: str, unlink: str) -> None:
    manager.bring("a", Status.CONNECTED)
    answer = api("DELETE", f"/instances/a{query}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert manager.calls == [("remove", "a", unlink)]
    assert api.get("/instances/a").status_code == 404


def test_a_deletion_with_a_misspelt_wish_deletes_nothing(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    answer = api("DELETE", "/instances/a?unlink=no")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "unlink")
    assert manager.calls == []


def test_an_instance_may_be_called_create(api: Caller, manager: FakeManager) -> None:
    manager.bring("create", Status.CONNECTED)
    assert api.get("/instances/create").json["name"] == "create"
    assert api.post("/instances/create/message", {"number": "5591999999999", "message": "x"}).status_code == 200
    assert api("PATCH", "/instances/create", json={"webhookUrl": "http://other/"}).status_code == 200
    assert api("DELETE", "/instances/create").status_code == 204


def test_a_single_manager_is_the_only_node(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    (node,) = api.get("/nodes").json
    assert (node["name"], node["url"], node["instances"]) == ("node-1", "http://127.0.0.1:3000", 1)
    assert node["seenAt"].endswith("Z")


def test_a_single_manager_is_reached_where_it_says(manager: FakeManager) -> None:
    (node,) = Caller(manager, Config(node="node-1", advertise="https://wa.example")).get("/nodes").json
    assert node["url"] == "https://wa.example"


def test_health_tells_life_and_readiness_apart(api: Caller, manager: FakeManager) -> None:
    assert api.get("/readyz").json == {"status": "ready"}
    manager.trouble = "The disk is full."
    assert api.get("/livez").json == {"status": "alive"}
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json["detail"]) == (503, "The disk is full.")
    assert answer.headers["Retry-After"] == "5"


def test_metrics_count_the_instances_of_every_status(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.bring("b", Status.CONNECTED)
    lines = api.get("/metrics").text.splitlines()
    assert 'chatbot_erp_instances{status="CONNECTED"} 2.0' in lines
    assert 'chatbot_erp_instances{status="INVALID"} 0.0' in lines


def test_metrics_count_what_is_written_to_the_log(api: Caller, manager: FakeManager) -> None:
    manager.counted.count("events", "message.undecryptable")
    lines = api.get("/metrics").text.splitlines()
    assert 'chatbot_erp_events_total{type="message.undecryptable"} 1.0' in lines
    assert 'chatbot_erp_events_total{type="message.received"} 0.0' in lines


@pytest.mark.parametrize("path", ["/", "/docs", "/static/style.css", "/static/docs.js"])
def test_pages_come_from_the_package_and_name_no_other_host(api: Caller, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    assert "https://" not in answer.text
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in answer.headers["Content-Security-Policy"]


def test_head_is_get_without_the_body(api: Caller) -> None:
    answer = api("HEAD", "/livez")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(api.get("/livez").content))


def test_every_answer_has_an_id_of_its_own(api: Caller) -> None:
    ids = {api.get(path).headers["X-Request-Id"] for path in ("/livez", "/livez", "/nowhere", "/instances/none")}
    assert len({UUID(each) for each in ids}) == 4
