"""Every error is a problem document that says what happened and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from falcon import testing
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from chatbot_erp.actors import errors as manager_errors
from chatbot_erp.eventstore import errors as store_errors
from chatbot_erp.eventstore.events import Status
from chatbot_erp.http.problems import CATALOGUE, INTERNAL, OF_ERROR, kind_of

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

MESSAGE = {"number": "5591999999999", "message": "Olá!"}


def assert_problem(answer: testing.Result, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["instance"] == f"urn:uuid:{answer.headers['X-Request-Id']}"
    assert all(problem[word] for word in ("title", "detail", "action"))


def leaves(root: type[Exception]) -> set[type[Exception]]:
    below = {leaf for child in root.__subclasses__() for leaf in leaves(child)}
    return below or {root}


def test_every_error_of_the_manager_has_a_row() -> None:
    mine = {error for error in leaves(manager_errors.ManagerError) if error.__module__ == manager_errors.__name__}
    assert mine <= set(OF_ERROR)


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (manager_errors.NameTaken("x"), 409, "name-taken"),
        (manager_errors.NotOnWhatsApp("x"), 404, "not-on-whatsapp"),
        (manager_errors.WhatsAppRefused("x"), 502, "whatsapp-refused"),
        (manager_errors.OutcomeUnknown("x"), 504, "outcome-unknown"),
        (manager_errors.Unavailable("x"), 503, "unavailable"),
        (manager_errors.MediaNotUploaded("x"), 503, "media-not-uploaded"),
        (store_errors.StoreOverloaded(7), 503, "store-overloaded"),
        (store_errors.StoreUnavailable("full", "x"), 507, "store-full"),
        (store_errors.StoreUnavailable("locked", "x"), 503, "store-unavailable"),
        (store_errors.StoreUnavailable("io", "x"), 503, "store-unavailable"),
        (store_errors.StoreClosed(), 503, "stopping"),
        (store_errors.VersionConflict("s", 1, 2), 500, "internal-error"),
        (RuntimeError("x"), 500, "internal-error"),
    ],
)
def test_an_error_has_its_status(api: Caller, manager: FakeManager, failure: Exception, status: int, code: str) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.failure = failure
    answer = api.post("/instances/a/message", MESSAGE)
    assert_problem(answer, status, code)
    assert ("Retry-After" in answer.headers) == (status in (503, 507))


def test_a_failure_tells_the_log_but_not_the_caller(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.failure = RuntimeError("the password is 1234")
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = api.post("/instances/a/message", MESSAGE)
    assert "1234" not in answer.text
    (failed,) = (line for line in lines if line["action"] == "request_failed")
    assert failed["exc_info"] is manager.failure
    assert failed["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/instances/", 404, "instance-not-found"),
        ("GET", "/static/../app.py", 404, "not-found"),
        ("GET", "/static/nothing.css", 404, "not-found"),
        ("GET", "/problems/none-such", 404, "not-found"),
        ("GET", "/instances/none", 404, "instance-not-found"),
        ("DELETE", "/instances/none", 404, "instance-not-found"),
        ("POST", "/instances/none/restart", 404, "instance-not-found"),
        ("GET", "/instances/none/events", 404, "instance-not-found"),
        ("GET", "/events?instance=none", 404, "instance-not-found"),
        ("GET", "/instances/none/state", 404, "instance-not-found"),
        ("GET", "/instances/none/qr", 404, "instance-not-found"),
        ("GET", "/instances/..%2F..%2Fetc", 404, "not-found"),
        ("GET", "/instances/a%00b", 404, "instance-not-found"),
        ("GET", "/instances/" + "x" * 10_000, 404, "instance-not-found"),
        ("GET", "/instances/%FF%FE", 404, "instance-not-found"),
        ("PUT", "/instances", 405, "method-not-allowed"),
        ("POST", "/livez", 405, "method-not-allowed"),
        ("DELETE", "/", 405, "method-not-allowed"),
    ],
)
def test_what_is_not_there_is_a_problem_too(api: Caller, method: str, path: str, status: int, code: str) -> None:
    assert_problem(api(method, path), status, code)


def test_a_wrong_method_is_told_the_right_ones(api: Caller) -> None:
    answer = api("PUT", "/instances/a")
    assert {"GET", "PATCH", "DELETE"} <= set(answer.headers["Allow"].split(", "))
    assert answer.headers["Allow"] in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code", "fields"),
    [
        (b"", 400, "malformed-json", []),
        (b"  ", 400, "malformed-json", []),
        (b"{", 400, "malformed-json", []),
        (b'{"name": "a"} and more', 400, "malformed-json", []),
        (b'{"name": "\xff", "webhookUrl": "http://x"}', 400, "malformed-json", []),
        (b'{"name": "\\ud800", "webhookUrl": "http://x"}', 400, "malformed-json", []),
        (
            b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b', "name": "a", "webhookUrl": "http://x"}',
            400,
            "malformed-json",
            [],
        ),
        (b"null", 422, "invalid-request", [""]),
        (b"[]", 422, "invalid-request", [""]),
        (b"{}", 422, "invalid-request", ["name", "webhookUrl"]),
        (b'{"name": 5, "webhookUrl": ["x"]}', 422, "invalid-request", ["name", "webhookUrl"]),
        (b'{"name": null, "webhookUrl": "http://x"}', 422, "invalid-request", ["name"]),
        (b'{"name": ' + b"9" * 5000 + b', "webhookUrl": "http://x"}', 422, "invalid-request", ["name"]),
        (b'{"name": "a\\u0000b", "webhookUrl": "http://x"}', 422, "bad-name", ["name"]),
        (b'{"name": "../../etc", "webhookUrl": "http://x"}', 422, "bad-name", ["name"]),
        (b'{"name": "' + b"x" * 10_000 + b'", "webhookUrl": "http://x"}', 422, "bad-name", ["name"]),
        (b'{"name": "a", "webhookUrl": "ftp://x"}', 422, "bad-webhook-url", ["webhookUrl"]),
    ],
)
def test_a_bad_body_creates_nothing_and_names_what_to_mend(
    api: Caller, manager: FakeManager, body: bytes, status: int, code: str, fields: list[str]
) -> None:
    answer = api.post("/instances/create", body=body)
    assert_problem(answer, status, code)
    assert [error["field"] for error in answer.json.get("errors", [])] == fields
    assert manager.directory.views() == []


def test_a_number_must_be_a_string(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    answer = api.post("/instances/a/message", {"number": 5591999999999, "message": "Olá!"})
    assert_problem(answer, 422, "invalid-request")
    assert answer.json["errors"] == [{"field": "number", "in": "body", "detail": "Expected `str`, got `int`."}]


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/instances/a/webhook", {"order": "topsecret"}, ("order", "It is one of chat, instance.")),
        (
            "/instances/a",
            {"webhook": {"order": "topsecret"}},
            ("webhook", "It is one of chat, instance - at `$.order`."),
        ),
    ],
)
def test_of_a_few_words_the_right_ones_are_said_and_the_wrong_one_is_not_repeated(
    api: Caller, manager: FakeManager, path: str, body: dict[str, Any], error: tuple[str, str]
) -> None:
    manager.bring("a", Status.CONNECTED)
    answer = api("PATCH", path, json=body)
    assert_problem(answer, 422, "invalid-request")
    assert [(each["field"], each["detail"]) for each in answer.json["errors"]] == [error]
    assert "topsecret" not in answer.text


@pytest.mark.parametrize(
    ("change", "code"),
    [({"number": "abc"}, "bad-number"), ({"message": ""}, "bad-message"), ({"message": " "}, "bad-message")],
)
def test_a_bad_message_is_not_sent(api: Caller, manager: FakeManager, change: dict[str, Any], code: str) -> None:
    manager.bring("a", Status.CONNECTED)
    assert_problem(api.post("/instances/a/message", MESSAGE | change), 422, code)
    assert manager.calls == []


def test_fields_that_nobody_knows_are_ignored(api: Caller) -> None:
    answer = api.post("/instances/create", {"name": "a", "webhookUrl": "http://x", "extra": [1]})
    assert answer.status_code == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_that_says_it_is_not_json_is_refused(api: Caller, kind: str) -> None:
    body = b'{"name": "a", "webhookUrl": "http://x"}'
    answer = api.post("/instances/create", body=body, headers={"Content-Type": kind})
    assert_problem(answer, 415, "unsupported-media-type")
    assert "application/json" in answer.json["action"]


@pytest.mark.parametrize(
    "kind", [None, "application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
)
def test_a_body_that_may_be_json_is_read(api: Caller, kind: str | None) -> None:
    body = b'{"name": "a", "webhookUrl": "http://x"}'
    headers = {"Content-Type": kind} if kind else {}
    assert api.post("/instances/create", body=body, headers=headers).status_code == 201


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 422), (1024 * 1024 + 1, 413)])
def test_a_body_has_one_mebibyte_at_most(api: Caller, size: int, status: int) -> None:
    frame = len(b'{"name": ""}')
    answer = api.post("/instances/create", body=b'{"name": "' + b"x" * (size - frame) + b'"}')
    assert answer.status_code == status


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_the_type_of_a_problem_leads_to_its_meaning(api: Caller, code: str) -> None:
    assert api.get(f"/problems/{code}").json["status"] == CATALOGUE[code].status
    page = api.get(f"/problems/{code}", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert "{{" not in page.text


def test_codes_are_unique() -> None:
    assert len({kind.code: kind for kind in CATALOGUE.values()}) == len(CATALOGUE)
    assert all(CATALOGUE[kind.code] is kind for kind in OF_ERROR.values())


def test_a_detail_is_bounded_and_always_json(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.failure = manager_errors.WhatsAppRefused("\ud800" + "x" * 5000)
    answer = api.post("/instances/a/message", MESSAGE)
    assert_problem(answer, 502, "whatsapp-refused")
    assert answer.json["detail"] == "?" + "x" * 499


def test_an_error_that_nobody_listed_is_internal() -> None:
    assert kind_of(ValueError()) is INTERNAL


def test_the_log_line_of_a_request_tells_no_secrets(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    with capture_logs() as lines:
        api.post("/instances/a/message?q=query-secret", {"number": "5591999999999", "message": "text-secret"})
        api.get("/no%0Awhere", headers={"X-API-Key": "key-secret"})
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/instances/a/message", 200),
        ("GET", "/no%0Awhere", 404),
    ]
    assert "secret" not in repr(lines)
