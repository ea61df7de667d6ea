"""The sandbox's controls, and that there are none where WhatsApp is real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from tests.http.conftest import MOMENT

from chatbot_erp.actors.directory import Qr
from chatbot_erp.eventstore.events import Status
from chatbot_erp.http.playground_payloads import FaultName
from chatbot_erp.sandbox.playground import FAULTS

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager, FakePlayground


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/sandbox/a/scan", {"number": "5511"}),
        ("POST", "/sandbox/a/message", {"number": "5511", "message": "x"}),
        ("POST", "/sandbox/a/faults", {"fault": "drop"}),
        ("DELETE", "/sandbox/a/faults", None),
    ],
)
def test_without_the_sandbox_there_are_no_controls(
    api: Caller, manager: FakeManager, method: str, path: str, body: Any
) -> None:
    manager.bring("a", Status.CONNECTED)
    assert api(method, path, json=body).json["type"] == "/problems/not-found"
    assert not any(path.startswith("/sandbox") for path in api.get("/openapi.json").json["paths"])


def test_a_phone_scans_the_code_that_waits(
    sandbox_api: Caller, manager: FakeManager, playground: FakePlayground
) -> None:
    manager.bring("a", Status.SCAN_QR_CODE, qr=Qr(text="2@code", expires_at=MOMENT))
    manager.bring("b", Status.CONNECTED)
    phone = {"number": "+55 91 99999-9999"}
    assert sandbox_api.post("/sandbox/a/scan", phone).status_code == 204
    assert playground.calls == [("scan", "5591999999999", "2@code")]
    assert sandbox_api.post("/sandbox/b/scan", phone).json["type"] == "/problems/no-qr"
    playground.refusal = ValueError("The code is of yesterday.")
    refused = sandbox_api.post("/sandbox/a/scan", phone)
    assert (refused.status_code, refused.json["detail"]) == (409, "The code is of yesterday.")


def test_a_contact_writes_to_an_instance_that_is_linked(
    sandbox_api: Caller, manager: FakeManager, playground: FakePlayground
) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.bring("b", Status.SCAN_QR_CODE)
    message = {"number": "5521912345678", "message": "Olá"}
    assert sandbox_api.post("/sandbox/a/message", message).json == {"messageId": "3EB0"}
    assert playground.calls == [("send", "5521912345678", "559199999999", "Olá")]
    assert sandbox_api.post("/sandbox/b/message", message).status_code == 409


def test_faults_are_played_and_healed(sandbox_api: Caller, manager: FakeManager, playground: FakePlayground) -> None:
    manager.bring("a", Status.CONNECTED)
    assert sandbox_api.post("/sandbox/a/faults", {"fault": "silence"}).status_code == 204
    assert sandbox_api("DELETE", "/sandbox/a/faults").status_code == 204
    assert playground.calls == [("play", "silence", "559199999999"), ("heal",)]
    assert sandbox_api.post("/sandbox/a/faults", {"fault": "earthquake"}).status_code == 422
    assert sandbox_api("DELETE", "/sandbox/nobody/faults").status_code == 404
    playground.refusal = ValueError("The network has ended.")
    for refused in (
        sandbox_api.post("/sandbox/a/faults", {"fault": "drop"}),
        sandbox_api("DELETE", "/sandbox/a/faults"),
    ):
        assert (refused.status_code, refused.json["detail"]) == (409, "The network has ended.")


def test_every_fault_that_can_be_asked_for_is_one_of_the_sandbox() -> None:
    assert set(get_args(FaultName)) == set(FAULTS)
