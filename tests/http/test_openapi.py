"""The API document is whole and true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from falcon import inspect
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from chatbot_erp.actors.webhook_shapes import KINDS
from chatbot_erp.eventstore.events import Status
from chatbot_erp.http.operations import OPERATIONS
from chatbot_erp.http.problems import CATALOGUE

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager


@pytest.fixture
def document(sandbox_api: Caller) -> Any:
    return sandbox_api.get("/openapi.json").json


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_is_in_it_and_nothing_else(sandbox_api: Caller, document: Any) -> None:
    routes = {
        (method.method, route.path)
        for route in inspect.inspect_routes(sandbox_api.app)
        for method in route.methods
        if not method.internal
    }
    # An instance may be called `create`: those methods are the ones of /instances/{name}.
    routes -= {(method, "/instances/create") for method in ("GET", "PATCH", "DELETE")}
    assert routes == {(each.method, each.path) for each in OPERATIONS}
    hidden = {("GET", "/"), ("GET", "/docs")}
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == routes - hidden


def test_every_problem_is_an_answer_of_some_call(document: Any) -> None:
    examples = {
        code
        for item in document["paths"].values()
        for operation in item.values()
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    # What happens below the calls: no such path, no such method, not HTTP.
    everywhere = {"bad-request", "method-not-allowed", "request-timeout", "headers-too-large", "not-implemented"}
    assert examples | everywhere == set(CATALOGUE)


def test_whatever_needs_a_key_may_find_that_keys_cannot_be_read(document: Any) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation["security"] or (path, method) == ("/session", "put"):
                problems = operation["responses"]["503"]["content"]["application/problem+json"]["examples"]
                assert "store-unavailable" in problems, (path, method)


def test_every_post_takes_an_idempotency_key(document: Any) -> None:
    for path, item in document["paths"].items():
        if "post" in item:
            assert {"$ref": "#/components/parameters/Idempotency-Key"} in item["post"]["parameters"], path


def test_the_webhooks_of_the_contract_are_described(document: Any) -> None:
    assert set(document["webhooks"]) == {*KINDS.values(), "webhook.test"}
    assert set(document["webhooks"]) >= {"message.received", "message.sent", "message.ack", "instance.status"}


def test_answers_are_as_the_document_says(api: Caller, manager: FakeManager, document: Any) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.bring("pairing", Status.SCAN_QR_CODE)
    number = {"number": "5591999999999"}
    asked = [
        ("GET", "/instances", "/instances", None),
        ("POST", "/instances/create", "/instances/create", {"name": "b", "webhookUrl": "http://x"}),
        ("POST", "/instances/create", "/instances/create", {"name": "b", "webhookUrl": "http://x"}),
        ("POST", "/instances/create", "/instances/create", {"name": 1}),
        ("GET", "/instances/{name}", "/instances/a", None),
        ("GET", "/instances/{name}", "/instances/nobody", None),
        ("PATCH", "/instances/{name}", "/instances/a", {"webhookUrl": "http://y"}),
        ("GET", "/instances/{name}/webhook", "/instances/a/webhook", None),
        ("GET", "/instances/{name}/webhook", "/instances/a/webhook?endpoint=none", None),
        ("PATCH", "/instances/{name}/webhook", "/instances/a/webhook?endpoint=crm", {"url": "http://crm/"}),
        ("PATCH", "/instances/{name}/webhook", "/instances/a/webhook", {"headers": {"Host": "x"}}),
        ("POST", "/instances/{name}/webhook/disable", "/instances/a/webhook/disable", None),
        ("POST", "/instances/{name}/webhook/replay", "/instances/a/webhook/replay", {"after": 10**9}),
        ("POST", "/instances/{name}/webhook/secret", "/instances/a/webhook/secret", {}),
        ("GET", "/instances/{name}/webhook/dead", "/instances/a/webhook/dead", None),
        ("POST", "/instances/{name}/message", "/instances/a/message", number | {"message": "x"}),
        ("POST", "/instances/{name}/message", "/instances/pairing/message", number | {"message": "x"}),
        ("POST", "/instances/{name}/pairing-code", "/instances/pairing/pairing-code", number),
        ("POST", "/instances/{name}/restart", "/instances/a/restart", None),
        ("GET", "/instances/{name}/events", "/instances/a/events", None),
        ("GET", "/instances/{name}/state", "/instances/a/state", None),
        ("GET", "/events", "/events", None),
        ("GET", "/events", "/events?limit=0", None),
        ("GET", "/nodes", "/nodes", None),
        ("GET", "/livez", "/livez", None),
        ("GET", "/readyz", "/readyz", None),
    ]
    for method, path, url, body in asked:
        answer = api(method, url, **({"json": body} if body is not None else {}))
        described = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
        schema = described["content"][answer.headers["Content-Type"]]["schema"]
        whole = schema | {"components": document["components"]}
        OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER).validate(answer.json)


def test_health_is_refused_to_nobody_and_nothing_else_is_said(document: Any) -> None:
    assert set(document["paths"]["/livez"]["get"]["responses"]) == {"200", "500"}
    assert set(document["paths"]["/readyz"]["get"]["responses"]) == {"200", "500", "503"}


def test_every_body_has_examples_that_its_schema_allows(document: Any) -> None:
    for where, form in bodies(document):
        assert form["examples"], where
        whole = form["schema"] | {"components": document["components"]}
        for shown in form["examples"].values():
            OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER).validate(shown["value"])


def test_every_field_says_what_it_is(document: Any) -> None:
    components = document["components"]["schemas"]

    def says(field: Any) -> bool:
        meant = components[field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
        return bool(field.get("description") or meant.get("description"))

    found = {path: field for name, kind in components.items() for path, field in fields(name, kind)}
    assert "MessageReceivedWebhook.message.text" in found
    assert [path for path, field in found.items() if not says(field)] == []


def fields(path: str, schema: Any) -> Iterator[tuple[str, Any]]:
    """The fields of an object, of those within it, and of what a list or a choice is made of."""
    for key, field in schema.get("properties", {}).items():
        yield f"{path}.{key}", field
        yield from fields(f"{path}.{key}", field)
    within = [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    for each in (*within, *schema.get("anyOf", ()), *schema.get("prefixItems", ())):
        yield from fields(path, each)


def bodies(document: Any) -> Iterator[tuple[str, Any]]:
    """Every JSON body of a call, an answer or a webhook, problems left out."""
    for where, item in (document["paths"] | document["webhooks"]).items():
        for operation in item.values():
            answers = operation["responses"].values()
            for content in (each.get("content", {}) for each in (operation.get("requestBody", {}), *answers)):
                if "schema" in content.get("application/json", {}):
                    yield where, content["application/json"]
