"""The OpenAPI 3.1 document, made from the types that validate, the problems' table and operations.py."""

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import msgspec

from chatbot_erp.actors.webhook_shapes import WEBHOOKS
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.http.auth import COOKIE
from chatbot_erp.http.examples import examples
from chatbot_erp.http.health import HEALTH_CALLS
from chatbot_erp.http.operation import SANDBOX, TAGS, Operation
from chatbot_erp.http.operations import OPERATIONS
from chatbot_erp.http.parameters import HEADERS, PARAMETERS, parameter
from chatbot_erp.http.problems import (
    FOREIGN_HOST,
    FOREIGN_ORIGIN,
    INTERNAL,
    MEDIA_TYPE,
    NO_NODE,
    NOT_ALLOWED,
    OF_ERROR,
    OUTCOME_UNKNOWN,
    TOO_MANY_FAILURES,
    UNAUTHENTICATED,
    Problem,
    ProblemType,
)

Json = dict[str, Any]
Body = Callable[[Any], Json]
"""The content of a body, for its type."""

REF = "#/components/schemas/{name}"
EXAMPLE_REQUEST = "urn:uuid:6f1c2f0e-8a53-4c57-9a55-0f6d6e0a9b11"


def document(*, sandbox: bool) -> Json:
    """The whole document, as JSON types; the sandbox's calls stand in it where they exist."""
    operations = [each for each in OPERATIONS if not each.is_private and (sandbox or each.tag != SANDBOX)]
    schemas, components = _schemas(operations)

    def json(kind: Any) -> Json:
        """A body of this type."""
        schema = schemas[repr(kind)]
        shown = {name: {"value": value} for name, value in examples(schema, components).items()}
        return {"application/json": {"schema": schema, "examples": shown}}

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chatbot-erp",
            "version": version("chatbot-erp"),
            "summary": "A self-hosted WhatsApp instance manager.",
            "description": (
                "Every error is an application/problem+json document whose type explains itself."
                " A call's security names the scope that a key must have: read, send or manage (which includes both)."
                " Without keys a loopback manager serves every program of its machine."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            *({"name": name, "description": text} for name, text in TAGS.items() if sandbox or name != SANDBOX),
            WEBHOOK_TAG,
        ],
        "paths": _paths(operations, json, schemas[repr(Problem)]),
        "webhooks": {name: {"post": _webhook(name, json)} for name in WEBHOOKS},
        "components": {
            "schemas": components,
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "A browser's, from `PUT /session`. Where the address has a port, it ends the name: "
                    f"`{COOKIE}-3000`. Of changes it counts only for the manager's own pages.",
                },
            },
        },
    }


WEBHOOK_HEADERS = {
    "webhook-id": "The event's id: the same on every retry.",
    "webhook-timestamp": "When this attempt was made, in Unix seconds.",
    "webhook-signature": "Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.",
    "X-Instance-Id": "The instance's id.",
    "X-Instance-Name": "The instance's name.",
}

WEBHOOK_TAG = {"name": "Webhooks", "description": "What an instance's webhookUrl is sent, at least once and in order."}


def _schemas(operations: list[Operation]) -> tuple[dict[Any, Json], dict[str, Json]]:
    """Each type's own schema (mostly a reference), and what the references lead to."""
    types: list[Any] = [Problem, *WEBHOOKS.values()]
    for operation in operations:
        types += [
            kind
            for kind in (operation.body, operation.answer, operation.deferred)
            if kind and not isinstance(kind, list | str)
        ]
    found, components = msgspec.json.schema_components(types, ref_template=REF)
    for component in components.values():
        _describe_tag(component)
    return {repr(kind): _exclusive(schema) for kind, schema in zip(types, found, strict=True)}, components


def _describe_tag(component: Json) -> None:
    """The word that tells a type from others is the library's doing, and the only field that says nothing of itself."""
    for field in component.get("properties", {}).values():
        if len(field.get("enum", ())) == 1:
            field.setdefault("description", f"Always `{field['enum'][0]}`: it says which kind this is.")


def _exclusive(schema: Json) -> Json:
    """Of types that a tag tells apart exactly one fits."""
    return {"oneOf": schema["anyOf"], "discriminator": schema["discriminator"]} if "discriminator" in schema else schema


def _paths(operations: list[Operation], json: Body, problem: Json) -> Json:
    paths: Json = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, json, problem)
    return paths


def _operation(operation: Operation, json: Body, problem: Json) -> Json:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    names += operation.parameters
    if operation.method == "POST":
        names.append("Idempotency-Key")
    described: Json = {
        "operationId": _operation_id(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names],
        "responses": {str(operation.status): _answer(operation, json), **_problems(operation, problem)},
    }
    if operation.deferred is not None:
        described["responses"]["202"] = _deferred(operation, json)
    if operation.description:
        described["description"] = operation.description
    roles = [] if operation.scope is None else [operation.scope]
    described["security"] = [{name: roles} for name in ("bearer", "apiKey", "session")] if roles else []
    if operation.body is not None:
        described["requestBody"] = {"required": operation.needs_body, "content": _bodies(operation, json)}
    return described


def _bodies(operation: Operation, json: Body) -> Json:
    """What a call takes, by media type."""
    if isinstance(operation.body, str):
        return {operation.body: {}}
    bodies = json(operation.body)
    if operation.takes_file:
        parts = {
            "message": bodies["application/json"]["schema"],
            "file": {"type": "string", "contentMediaType": "application/octet-stream"},
        }
        bodies["multipart/form-data"] = {
            "schema": {"type": "object", "properties": parts, "required": ["message"]},
            "encoding": {"message": {"contentType": "application/json"}},
        }
    return bodies


def _operation_id(operation: Operation) -> str:
    words = re.sub(r"\{\w+\}", "one", operation.path).replace(".", "-")
    return "-".join([operation.method.lower(), *words.strip("/").split("/")])


def _answer(operation: Operation, json: Body) -> Json:
    answer: Json = {"description": operation.summary, "headers": _headers(operation)}
    if isinstance(operation.answer, list):
        answer["content"] = {media: {} for media in operation.answer}
    elif operation.answer is not None:
        answer["content"] = json(operation.answer)
    return answer


def _deferred(operation: Operation, json: Body) -> Json:
    return {
        "description": "On record, and sent as soon as can be.",
        "headers": _headers(operation)
        | {
            "Location": {"schema": {"type": "string", "format": "uri-reference"}},
            "Preference-Applied": {"schema": {"type": "string"}},
        },
        "content": json(operation.deferred),
    }


def _headers(operation: Operation) -> Json:
    """What every answer of a call has, and what it may have."""
    names = ("X-Request-Id", "Idempotent-Replay") if operation.method == "POST" else ("X-Request-Id",)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problems(operation: Operation, problem: Json) -> Json:
    """The problem answers by status, each with an example for every problem that has it.

    Whatever needs a key fails where the keys cannot be read, and where the node that would carry it out is away.
    """
    kinds = [*operation.problems, INTERNAL]
    if operation.path not in HEALTH_CALLS:
        kinds += [FOREIGN_HOST, FOREIGN_ORIGIN]
    if operation.scope is not None:
        kinds += [UNAUTHENTICATED, NOT_ALLOWED, TOO_MANY_FAILURES, OF_ERROR[StoreUnavailable], NO_NODE]
        if operation.method != "GET":
            kinds.append(OUTCOME_UNKNOWN)
    answers: Json = {}
    for kind in sorted(kinds, key=lambda kind: kind.status):
        answer = answers.setdefault(
            str(kind.status),
            {
                "description": "",
                "headers": _headers(operation),
                "content": {MEDIA_TYPE: {"schema": problem, "examples": {}}},
            },
        )
        answer["content"][MEDIA_TYPE]["examples"][kind.code] = {"value": _example(kind)}
        answer["description"] = " · ".join(answer["content"][MEDIA_TYPE]["examples"])
        if kind.retry_after_s is not None:
            answer["headers"]["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    return answers


def _example(kind: ProblemType) -> Json:
    return {
        "type": f"/problems/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.title,
        "action": kind.action,
        "instance": EXAMPLE_REQUEST,
    }


def _webhook(name: str, json: Body) -> Json:
    kind = WEBHOOKS[name]
    return {
        "operationId": f"webhook-{name.replace('.', '-')}",
        "tags": [WEBHOOK_TAG["name"]],
        "summary": kind.__doc__,
        "parameters": [
            parameter(header, "header", text, {"type": "string"}, required=True)
            for header, text in WEBHOOK_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": json(kind)},
        "responses": {
            "2XX": {"description": "Taken."},
            "default": {"description": "Not taken: it is sent again. Redirects are not followed."},
        },
    }
