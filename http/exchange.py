"""One request and its answer, and what holds for all of them: an id, a span, a line in the log, headers."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import falcon
import msgspec
import structlog

from chatbot_erp.actors import requests, spans
from chatbot_erp.actors.api_keys import Grant
from chatbot_erp.actors.outbox import Parcel
from chatbot_erp.http.problems import (
    CONTENT_TOO_LARGE,
    TOO_MANY_FAILURES,
    UNAUTHENTICATED,
    ProblemType,
    RequestRefused,
)

LARGEST_BODY = 1024 * 1024
NAMING_PEOPLE = ("{number}", "{chat}", "{group}")
"""Parts of a path that say who somebody is; a group's jid may hold the number of who made it."""

_MAY_BE_SOMEBODY = re.compile(r"@|(\d\D?){7}")
LONGEST_PATH_IN_LOG = 200
CALLERS_ID = re.compile(r"[!-~]{1,128}")
"""What is taken as a caller's own X-Request-Id."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # The last two: no string ever becomes markup or code, not even by a slip of ours.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
}

log = structlog.get_logger()


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A body that may have had a file in it: the message's JSON without it, and the file where it is now."""

    message: bytes
    parcel: Parcel | None


class Request(falcon.Request):
    """A request with an id of its own, which no other has; `callers_id` is the X-Request-Id that it came with.

    `caller` is who asks, `key` the id of their key, `grant` what they may do (None: nobody whom a key names), `instance`
    the name of the one that is asked here where several nodes share them, until it is nobody else's to do, `waited_s` how long
    it was waited for, `claim` the idempotency slot, `incoming` what a resource has taken in that spools.
    """

    def __init__(self, env: dict[str, Any], options: falcon.RequestOptions | None = None) -> None:
        super().__init__(env, options)
        self.id = uuid4()
        given = self.get_header("X-Request-Id", default="")
        self.callers_id = given if CALLERS_ID.fullmatch(given) else None
        self.span = spans.Span(None)
        self.ending = ExitStack()
        self.begun = perf_counter()
        self.caller = ""
        self.key: str | None = None
        self.grant: Grant | None = None
        self.instance: str | None = None
        self.waited_s = 0.0
        self.claim: str | None = None
        self.incoming: Incoming | None = None
        self._body: bytes | None = None

    def body(self) -> bytes:
        """The whole body; may be called again. Raises `RequestRefused` for more than 1 MiB."""
        if self._body is None:
            self._body = self.bounded_stream.read(LARGEST_BODY + 1)
            if len(self._body) > LARGEST_BODY:
                raise RequestRefused(CONTENT_TOO_LARGE)
        return self._body


class Response(falcon.Response):
    """An answer; `problem` is set where it tells of an error."""

    problem: ProblemType | None = None

    def send(self, payload: object, status: int = 200) -> None:
        """Answer with a JSON document."""
        self.status = status
        self.content_type = falcon.MEDIA_JSON
        self.data = msgspec.json.encode(payload)


class Exchange:
    """Outermost: sees each request first and each answer last. `count` is told of each method, route, status, seconds."""

    def __init__(self, count: Callable[[str, str, int, float], None]) -> None:
        self._count = count

    def process_request(self, req: Request, resp: Response) -> None:
        """HEAD is GET without the body, as HTTP wants it; Falcon would have no such method."""
        parent = {"traceparent": req.get_header("traceparent", default="")}
        req.span = req.ending.enter_context(spans.span(req.method, "server", parent))
        known = {"callers_request_id": req.callers_id, "trace_id": req.span.trace_id}
        requests.begin(str(req.id), **{key: value for key, value in known.items() if value is not None})
        req.ending.callback(requests.end)
        if req.method == "HEAD":
            req.method = "GET"

    def process_response(self, req: Request, resp: Response, resource: object, succeeded: bool) -> None:
        """Add what every answer has, and tell the log who asked what: never a query, a header or a body.

        Who is the id of a key; of somebody who has none that is right, the address.
        """
        req.method = req.env["REQUEST_METHOD"]
        resp.set_header("X-Request-Id", req.callers_id or str(req.id))
        for name, value in SECURITY_HEADERS.items():
            resp.set_header(name, value)
        if resp.get_header("Cache-Control") is None:
            # Files of the package are the same for everybody: a browser keeps them, and asks whether they have changed.
            resp.set_header("Cache-Control", "no-cache" if req.path.startswith("/static/") else "no-store")
        took_s = perf_counter() - req.begun
        log.info(
            "answered",
            action="request_answered",
            method=req.method,
            path=quote(named_path(req), safe="/{}")[:LONGEST_PATH_IN_LOG],
            status=resp.status_code,
            problem=resp.problem.code if resp.problem else None,
            key=req.key,
            address=req.remote_addr if resp.problem in (UNAUTHENTICATED, TOO_MANY_FAILURES) else None,
            ms=round(took_s * 1000, 1),
        )
        route = req.uri_template or "none"
        self._count(req.method, route, resp.status_code, took_s)
        req.span.rename(f"{req.method} {route}")
        req.span.note(
            {
                "http.request.method": req.method,
                "http.route": route,
                "http.response.status_code": resp.status_code,
                "request_id": str(req.id),
                "problem": resp.problem.code if resp.problem else None,
            }
        )
        if resp.status_code >= 500:
            req.span.fail()
        req.ending.close()


def named_path(req: Request) -> str:
    """The path for a log line: of one that names a person, only the pattern.

    What was refused before it was routed, or leads nowhere, has none: there, whatever may be a number is left out.
    """
    pattern = req.uri_template or ""
    if any(name in pattern for name in NAMING_PEOPLE):
        return pattern
    if pattern:
        return req.path
    return "/".join("{}" if _MAY_BE_SOMEBODY.search(part) else part for part in req.path.split("/"))
