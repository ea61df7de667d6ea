"""What the routes about deliveries take and give."""

from typing import Any

from chatbot_erp.actors import errors as e
from chatbot_erp.http import problems as p
from chatbot_erp.http import webhook_payloads as payloads
from chatbot_erp.http.operation import BODY, DELIVERIES, KEYED, LATER, MANAGE, ONE, READ, Operation

FOUND = (*ONE, p.OF_ERROR[e.EndpointNotFound])
NOTHING = p.OF_ERROR[e.NothingToDeliver]
BAD = p.OF_ERROR[e.BadEndpoint]


def on(method: str, path: str, summary: str, **more: Any) -> Operation:
    """An operation on an endpoint."""
    parameters = ("endpoint", *more.pop("parameters", ()))
    scope = READ if method == "GET" else MANAGE
    return Operation(
        method=method,
        path=f"/instances/{{name}}/webhook{path}",
        scope=scope,
        tag=DELIVERIES,
        summary=summary,
        parameters=parameters,
        **more,
    )


WEBHOOK_OPERATIONS = (
    on(
        "GET",
        "",
        "How deliveries stand",
        description="Settings, cursor, backlog, breaker and the last attempts of an endpoint.",
        answer=payloads.WebhookDetails,
        problems=(*FOUND, *LATER, p.INVALID),
    ),
    on(
        "PATCH",
        "",
        "Change an endpoint, or make one",
        description="A new `endpoint` needs a url; its signing secret is in the answer, this once.",
        body=payloads.EndpointChange,
        answer=payloads.NewEndpoint,
        problems=(*BODY, *FOUND, *LATER, BAD, p.OF_ERROR[e.BadWebhookUrl]),
    ),
    on(
        "DELETE",
        "",
        "Remove an endpoint",
        description="With all that waits for it. The first one stays.",
        status=204,
        problems=(*FOUND, *LATER, BAD, p.INVALID),
    ),
    on(
        "POST",
        "/test",
        "Post a test event",
        description="At once, past all that waits; answers what came of it.",
        answer=payloads.TestResult,
        problems=(*FOUND, *KEYED, p.CONTENT_TOO_LARGE, p.INVALID),
    ),
    on(
        "POST",
        "/replay",
        "Tell a stretch of the past again",
        description="With the old ids, in the old order, before what waits. At most 10,000 events a call.",
        status=202,
        body=payloads.ReplayRequest,
        answer=payloads.Queued,
        problems=(*BODY, *FOUND, *KEYED, BAD, NOTHING),
    ),
    on(
        "POST",
        "/resend/{position}",
        "Tell one event again",
        status=202,
        answer=payloads.Queued,
        problems=(*FOUND, *KEYED, p.CONTENT_TOO_LARGE, p.INVALID, p.NOT_FOUND, NOTHING),
    ),
    on(
        "POST",
        "/enable",
        "Go on where it stopped",
        description="Also where it is not disabled: what failed is tried at once.",
        answer=payloads.WebhookDetails,
        problems=(*FOUND, *KEYED, p.CONTENT_TOO_LARGE, p.INVALID),
    ),
    on(
        "POST",
        "/disable",
        "Post nothing until it is enabled",
        description="What happens meanwhile waits.",
        answer=payloads.WebhookDetails,
        problems=(*FOUND, *KEYED, p.CONTENT_TOO_LARGE, p.INVALID),
    ),
    on(
        "POST",
        "/secret",
        "Rotate the signing secret",
        description="Deliveries are signed with both for a while. The secret is in the first answer only.",
        body=payloads.SecretRequest,
        answer=payloads.NewSecret,
        problems=(*BODY, *FOUND, *KEYED, BAD),
    ),
    on(
        "GET",
        "/dead",
        "What was given up",
        parameters=("after", "limit"),
        answer=payloads.DeadLetterPage,
        problems=(*FOUND, *LATER, p.INVALID),
    ),
    on(
        "POST",
        "/redrive",
        "Tell again what was given up",
        description="With the old ids, in the old order, before what waits. At most 10,000 events a call.",
        status=202,
        body=payloads.RedriveRequest,
        needs_body=False,
        answer=payloads.Queued,
        problems=(*BODY, *FOUND, *KEYED, NOTHING),
    ),
)
