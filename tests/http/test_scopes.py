"""What a key allows: by scope, by instance, and for as long as it is not revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.http.conftest import MOMENT, Caller

from chatbot_erp.actors.api_keys import Scope
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Qr
from chatbot_erp.eventstore.events import Status
from chatbot_erp.http.auth import OPEN_FOLDERS, OPEN_PATHS
from chatbot_erp.http.operation import Operation
from chatbot_erp.http.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import FakeManager

BODIES: dict[str, Any] = {
    "/instances/create": {"name": "new", "webhookUrl": "http://x"},
    "/instances/{name}": {"webhookUrl": "http://x"},
    "/instances/{name}/webhook": {"paused": True},
    "/instances/{name}/webhook/replay": {},
    "/instances/{name}/webhook/secret": {},
    "/instances/{name}/webhook/redrive": {},
    "/instances/{name}/message": {"number": "5591999999999", "message": "x"},
    "/instances/{name}/pairing-code": {"number": "5591999999999"},
    "/sandbox/{name}/scan": {"number": "5591999999999"},
    "/sandbox/{name}/message": {"number": "5591999999999", "message": "x"},
    "/sandbox/{name}/faults": {"fault": "drop"},
}
GUARDED = [each for each in OPERATIONS if each.scope is not None]


@pytest.fixture
def new_key(manager: FakeManager) -> Callable[..., dict[str, str]]:
    """Headers with a key of these scopes."""

    def make(*scopes: Scope, instances: tuple[str, ...] = ()) -> dict[str, str]:
        key, _ = manager.keys.create(frozenset(scopes), frozenset(instances) or None, "", MOMENT)
        return {"Authorization": f"Bearer {key}"}

    return make


@pytest.fixture(autouse=True)
def draining(manager: FakeManager) -> None:
    """Streams end by themselves."""
    manager.draining = True


def call(api: Caller, operation: Operation, name: str, headers: dict[str, str]) -> Any:
    body = {"json": BODIES[operation.path]} if operation.path in BODIES and operation.body else {}
    return api(operation.method, operation.path.replace("{name}", name), headers=headers, **body)


def test_every_path_without_a_scope_is_meant_to_be_open() -> None:
    expected = {"/", "/docs", "/openapi.json", "/livez", "/readyz", "/session"}
    assert expected == OPEN_PATHS
    assert OPEN_FOLDERS == ("/static/", "/problems/")


@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: f"{each.method} {each.path}")
@pytest.mark.parametrize("scope", Scope)
def test_a_call_is_allowed_to_its_scope_and_to_manage(
    sandbox_api: Caller, manager: FakeManager, new_key: Any, operation: Operation, scope: Scope
) -> None:
    manager.bring("a", Status.CONNECTED)
    answer = call(sandbox_api, operation, "a", new_key(scope))
    if scope in (operation.scope, Scope.MANAGE):
        assert answer.status_code not in (401, 403), answer.text
    else:
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/not-allowed")
        assert f"'{operation.scope}'" in answer.json["detail"]
        assert manager.calls == []


@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: f"{each.method} {each.path}")
def test_a_key_for_one_instance_reaches_no_other(
    sandbox_api: Caller, manager: FakeManager, new_key: Any, operation: Operation
) -> None:
    manager.bring("a", Status.CONNECTED)
    removed = manager.bring("b", Status.CONNECTED)
    key = new_key(Scope.MANAGE, instances=("a",))
    if "{name}" in operation.path:
        assert call(sandbox_api, operation, "a", key).status_code != 403
        for other in ("b", removed, "nobody"):
            assert call(sandbox_api, operation, other, key).status_code == 403
    elif operation.path == "/instances":
        assert [each["name"] for each in call(sandbox_api, operation, "", key).json] == ["a"]
    elif operation.path == "/events/stream":
        assert call(sandbox_api, operation, "", key).status_code == 200
        assert sandbox_api.get("/events/stream?instance=b", headers=key).status_code == 403
    else:
        assert call(sandbox_api, operation, "", key).status_code == 403
    assert all(called[1] == "a" for called in manager.calls)


def test_a_key_for_one_instance_reads_its_part_of_the_log(api: Caller, manager: FakeManager, new_key: Any) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.bring("b", Status.CONNECTED)
    key = new_key(Scope.READ, instances=("a",))
    assert api.get("/events", params={"instance": "a"}, headers=key).status_code == 200
    assert api.get("/events", params={"instance": "b"}, headers=key).status_code == 403
    assert api.get("/events?instance=a&instance=b", headers=key).status_code == 422


def test_a_key_for_one_instance_may_create_that_one(api: Caller, new_key: Any) -> None:
    key = new_key(Scope.MANAGE, instances=("new",))
    assert api.post("/instances/create", BODIES["/instances/create"], headers=key).status_code == 201


def test_an_instance_called_create_is_guarded_like_any_other(api: Caller, manager: FakeManager, new_key: Any) -> None:
    manager.bring("create", Status.CONNECTED)
    assert api.get("/instances/create", headers=new_key(Scope.READ)).status_code == 200
    assert api("DELETE", "/instances/create", headers=new_key(Scope.READ)).status_code == 403
    assert api.get("/instances/create", headers=new_key(Scope.READ, instances=("a",))).status_code == 403


def test_a_qr_is_shown_to_those_who_may_link_a_phone_only(api: Caller, manager: FakeManager, new_key: Any) -> None:
    manager.bring("a", Status.SCAN_QR_CODE, qr=Qr(text="2@secret", expires_at=MOMENT))
    assert api.get("/instances/a", headers=new_key(Scope.MANAGE)).json["qr"] == "2@secret"
    seen = api.get("/instances/a", headers=new_key(Scope.READ))
    assert (seen.json["qr"], seen.json["qrExpiresAt"]) == (None, None)
    assert api.get("/instances/a/qr", headers=new_key(Scope.READ, Scope.SEND)).status_code == 403


def test_from_the_first_key_on_nobody_gets_in_without_one(api: Caller, manager: FakeManager, new_key: Any) -> None:
    assert api.get("/instances").status_code == 200
    new_key(Scope.READ)
    assert api.get("/instances").status_code == 401
    (record,) = manager.keys.all()
    manager.keys.revoke(record.id, MOMENT)
    assert api.get("/instances").status_code == 401


def test_a_revoked_key_opens_nothing(api: Caller, manager: FakeManager, new_key: Any) -> None:
    key = new_key(Scope.READ)
    assert api.get("/instances", headers=key).status_code == 200
    (record,) = manager.keys.all()
    manager.keys.revoke(record.id, MOMENT)
    assert api.get("/instances", headers=key).status_code == 401


def test_the_master_key_and_made_keys_work_side_by_side(manager: FakeManager, new_key: Any) -> None:
    api = Caller(manager, Config(api_key="master"))
    assert api.get("/metrics", headers={"X-API-Key": "master"}).status_code == 200
    assert api.get("/instances", headers=new_key(Scope.READ)).status_code == 200


def test_a_call_that_the_table_does_not_know_is_for_those_who_may_do_all(api: Caller, new_key: Any) -> None:
    assert api("PUT", "/instances", headers=new_key(Scope.READ)).status_code == 403
    assert api("PUT", "/instances", headers=new_key(Scope.MANAGE)).status_code == 405


def test_beyond_loopback_nobody_gets_in_without_a_key(manager: FakeManager) -> None:
    assert Caller(manager, Config(host="0.0.0.0")).get("/instances").status_code == 401
