"""What calls take beside a body, and what answers have beside one, for the API document."""

from typing import Any

from chatbot_erp.http.queries import LARGEST_PAGE, TYPES, USUAL_PAGE

Json = dict[str, Any]

REQUEST_ID = (
    "As the caller gave it (visible ASCII, at most 128), else the request's own id: the `commandId` of what it sent."
)


def parameter(name: str, place: str, description: str, schema: Json, **more: Any) -> Json:
    """One that a call takes: in its path, query or headers (`place`)."""
    return {"name": name, "in": place, "description": description, "schema": schema, **more}


PARAMETERS: dict[str, Json] = {
    "name": parameter("name", "path", "The instance's name.", {"type": "string"}, required=True),
    "message_id": parameter(
        "message_id",
        "path",
        "WhatsApp's id of a message; for its fate also the id of a 202.",
        {"type": "string"},
        required=True,
    ),
    "code": parameter("code", "path", "The last part of a problem's type.", {"type": "string"}, required=True),
    "number": parameter(
        "number", "path", "Digits with country and area code, or a JID.", {"type": "string"}, required=True
    ),
    "chat": parameter(
        "chat", "path", "A number or JID of somebody, or a group's JID.", {"type": "string"}, required=True
    ),
    "group": parameter("group", "path", "The group's JID.", {"type": "string"}, required=True),
    "preview": parameter(
        "preview", "query", "true: a small one instead of the whole one.", {"type": "boolean", "default": False}
    ),
    "after": parameter(
        "after", "query", "Only events behind this position.", {"type": "integer", "minimum": 0, "default": 0}
    ),
    "before": parameter(
        "before",
        "query",
        "Only events ahead of this position, and of those the last ones.",
        {"type": "integer", "minimum": 1},
    ),
    "limit": parameter(
        "limit",
        "query",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": USUAL_PAGE},
    ),
    "type": parameter(
        "type",
        "query",
        "Only events of these types; may be repeated.",
        {"type": "array", "items": {"type": "string", "enum": sorted(TYPES)}},
    ),
    "instance": parameter(
        "instance", "query", "Only events of this instance: a name, or the id of a removed one.", {"type": "string"}
    ),
    "endpoint": parameter(
        "endpoint",
        "query",
        "Which of the instance's endpoints.",
        {"type": "string", "default": "main", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"},
    ),
    "position": parameter("position", "path", "Place in the log.", {"type": "integer", "minimum": 1}, required=True),
    "at": parameter(
        "at",
        "query",
        "A position of the log or an ISO 8601 moment (UTC where it has no offset); now, if left out.",
        {"type": "string", "examples": ["42", "2026-01-31T12:00:00Z"]},
    ),
    "unlink": parameter(
        "unlink",
        "query",
        "false keeps link and session for a later create of that name.",
        {"type": "boolean", "default": True},
    ),
    "Last-Event-ID": parameter(
        "Last-Event-ID",
        "header",
        "The position to go on behind; a browser's EventSource sends it by itself.",
        {"type": "integer", "minimum": 0},
    ),
    "Prefer": parameter(
        "Prefer",
        "header",
        "`respond-async`: answer 202 as soon as the message is on record.",
        {"type": "string", "examples": ["respond-async"]},
    ),
    "Idempotency-Key": parameter(
        "Idempotency-Key",
        "header",
        "The same key and body is answered as the first time, with Idempotent-Replay: true, and never carried out"
        " twice. Kept for 48 hours.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
}


HEADERS: dict[str, Json] = {
    "X-Request-Id": {"schema": {"type": "string"}, "description": REQUEST_ID},
    "Idempotent-Replay": {
        "schema": {"const": "true"},
        "description": "The answer that the same request with this Idempotency-Key got before.",
    },
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which it may be tried again."},
}
