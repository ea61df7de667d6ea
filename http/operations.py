"""What each route takes and gives, for the API document. A test holds it against the routes of app.py."""

from typing import Any

import msgspec

from chatbot_erp.actors import errors as e
from chatbot_erp.eventstore import errors as store
from chatbot_erp.http import payloads
from chatbot_erp.http import problems as p

INSTANCES, MESSAGES, HISTORY, MANAGER = "Instances", "Messages", "History", "Manager"

TAGS = {
    INSTANCES: "An instance is one WhatsApp number.",
    MESSAGES: "What an instance sends. What it receives comes to its webhook.",
    HISTORY: "Everything that ever happened, and how things stood at any moment.",
    MANAGER: "The manager itself.",
}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `answer` is a type for JSON, a list of media types for other things, None for no body."""

    method: str
    path: str
    tag: str
    summary: str
    status: int = 200
    answer: Any = None
    body: type[payloads.Payload] | None = None
    parameters: tuple[str, ...] = ()
    problems: tuple[p.ProblemType, ...] = ()
    description: str = ""
    is_open: bool = False
    is_private: bool = False
    """Left out of the document: a page for people."""


BODY = (p.MALFORMED_JSON, p.CONTENT_TOO_LARGE, p.UNSUPPORTED_MEDIA_TYPE, p.INVALID)
ONE = (p.OF_ERROR[e.InstanceNotFound],)
LATER = (
    p.OF_ERROR[e.Unavailable],
    p.OF_ERROR[store.StoreOverloaded],
    p.OF_ERROR[store.StoreUnavailable],
    p.OF_ERROR[store.StoreClosed],
    p.STORE_FULL,
)
KEYED = (p.BAD_IDEMPOTENCY_KEY, p.KEY_RUNNING, p.KEY_REUSED, p.OUTCOME_UNKNOWN, *LATER)
PAGE = ("after", "limit", "type")

OPERATIONS = (
    Operation(
        method="GET", path="/instances", tag=INSTANCES, summary="List all", answer=list[payloads.InstanceSummary]
    ),
    Operation(
        method="POST",
        path="/instances/create",
        tag=INSTANCES,
        summary="Create one",
        description="Its QR code comes a moment later: look at the instance until it is SCAN_QR_CODE.",
        body=payloads.CreateRequest,
        status=201,
        answer=payloads.CreatedInstance,
        problems=(*BODY, *KEYED, p.OF_ERROR[e.BadName], p.OF_ERROR[e.BadWebhookUrl], p.OF_ERROR[e.NameTaken]),
    ),
    Operation(
        method="GET",
        path="/instances/{name}",
        tag=INSTANCES,
        summary="Look at one",
        answer=payloads.InstanceDetails,
        problems=ONE,
    ),
    Operation(
        method="PATCH",
        path="/instances/{name}",
        tag=INSTANCES,
        summary="Change one",
        description="From here on its events go to another address.",
        body=payloads.ChangeRequest,
        answer=payloads.InstanceDetails,
        problems=(*BODY, *ONE, *LATER, p.OF_ERROR[e.BadWebhookUrl]),
    ),
    Operation(
        method="DELETE",
        path="/instances/{name}",
        tag=INSTANCES,
        summary="Remove one",
        description="Ends the socket, unlinks the device where it can and erases the session.",
        status=204,
        parameters=("unlink",),
        problems=(*ONE, *LATER, p.INVALID),
    ),
    Operation(
        method="GET",
        path="/instances/{name}/qr",
        tag=INSTANCES,
        summary="The QR code to scan",
        answer=["image/png", "image/svg+xml", "text/plain"],
        problems=(*ONE, p.NO_QR, p.NOT_ACCEPTABLE),
    ),
    Operation(
        method="POST",
        path="/instances/{name}/pairing-code",
        tag=INSTANCES,
        summary="A code to type instead",
        body=payloads.PairingRequest,
        answer=payloads.PairingCode,
        problems=(
            *BODY,
            *ONE,
            *KEYED,
            p.OF_ERROR[e.BadNumber],
            p.OF_ERROR[e.NotPairing],
            p.OF_ERROR[e.WhatsAppRefused],
        ),
    ),
    Operation(
        method="POST",
        path="/instances/{name}/restart",
        tag=INSTANCES,
        summary="Make a new socket",
        description="The answer shows the instance as it was when the restart was ordered.",
        status=202,
        answer=payloads.InstanceSummary,
        problems=(*ONE, *KEYED, p.CONTENT_TOO_LARGE),
    ),
    Operation(
        method="POST",
        path="/instances/{name}/message",
        tag=MESSAGES,
        summary="Send a text",
        description="Answers when WhatsApp's server has acknowledged the message.",
        body=payloads.MessageRequest,
        answer=payloads.SentMessage,
        problems=(
            *BODY,
            *ONE,
            *KEYED,
            p.OF_ERROR[e.BadNumber],
            p.OF_ERROR[e.BadMessage],
            p.OF_ERROR[e.InstanceNotOperational],
            p.OF_ERROR[e.NotOnWhatsApp],
            p.OF_ERROR[e.WhatsAppRefused],
            p.OF_ERROR[store.NotStorable],
        ),
    ),
    Operation(
        method="GET",
        path="/instances/{name}/events",
        tag=HISTORY,
        summary="What happened to one",
        answer=payloads.EventPage,
        parameters=PAGE,
        problems=(*ONE, *LATER, p.INVALID),
    ),
    Operation(
        method="GET",
        path="/instances/{name}/state",
        tag=HISTORY,
        summary="One as it was",
        answer=payloads.InstanceState,
        parameters=("at",),
        problems=(*ONE, *LATER, p.INVALID),
    ),
    Operation(
        method="GET",
        path="/events",
        tag=HISTORY,
        summary="What happened to all",
        answer=payloads.EventPage,
        parameters=(*PAGE, "instance"),
        problems=(*ONE, *LATER, p.INVALID),
    ),
    Operation(method="GET", path="/nodes", tag=MANAGER, summary="The managers", answer=list[payloads.Node]),
    Operation(
        method="GET", path="/livez", tag=MANAGER, summary="Whether it lives", answer=payloads.Health, is_open=True
    ),
    Operation(
        method="GET",
        path="/readyz",
        tag=MANAGER,
        summary="Whether it takes new work",
        answer=payloads.Health,
        problems=(p.NOT_READY,),
        is_open=True,
    ),
    Operation(method="GET", path="/metrics", tag=MANAGER, summary="Numbers for Prometheus", answer=["text/plain"]),
    Operation(
        method="GET",
        path="/openapi.json",
        tag=MANAGER,
        summary="This document",
        answer=["application/json"],
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/problems/{code}",
        tag=MANAGER,
        summary="What a problem means",
        answer=["application/json", "text/html"],
        problems=(p.NOT_FOUND, p.NOT_ACCEPTABLE),
        is_open=True,
    ),
    Operation(method="GET", path="/docs", tag=MANAGER, summary="The API, to read", is_open=True, is_private=True),
    Operation(method="GET", path="/", tag=MANAGER, summary="The dashboard", is_open=True, is_private=True),
)
