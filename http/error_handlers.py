"""Every exception becomes a problem document; the table of which is which stands in problems.py."""

from math import ceil
from typing import Any

import falcon
import structlog

from chatbot_erp.actors.errors import ManagerError, SendingTooFast
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.problems import (
    CHALLENGE,
    INTERNAL,
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    UNAUTHENTICATED,
    FieldError,
    ProblemType,
    describe,
    encode,
    kind_of,
    of_status,
)

log = structlog.get_logger()


def add_error_handlers(app: falcon.App[Request, Response]) -> None:
    """Have `app` answer every error with a problem document."""
    app.add_error_handler(Exception, on_exception)
    app.add_error_handler(falcon.HTTPError, on_http_error)


def on_exception(req: Request, resp: Response, ex: Exception, params: dict[str, Any]) -> None:
    """Ours and the manager's errors by the table; what nobody foresaw is told to the log only."""
    kind = kind_of(ex)
    if kind is INTERNAL:
        log.error("a request failed", action="request_failed", exc_info=ex)
        answer(req, resp, kind, "Something that nobody foresaw went wrong.")
    else:
        answer(req, resp, kind, str(ex) or kind.title, getattr(ex, "errors", None))
        if isinstance(ex, ManagerError) and ex.on_record:
            req.instance = None
        if isinstance(ex, SendingTooFast):
            resp.set_header("Retry-After", str(ceil(ex.retry_after_s)))


def on_http_error(req: Request, resp: Response, ex: falcon.HTTPError, params: dict[str, Any]) -> None:
    """Falcon's own refusals: no such path, no such method and the like."""
    kind = of_status(ex.status_code)
    resp.set_headers(ex.headers or {})
    allowed = resp.get_header("Allow")
    answer(req, resp, kind, f"The path has {allowed}." if kind is METHOD_NOT_ALLOWED else ex.description or kind.title)


def answer(
    req: Request, resp: Response, kind: ProblemType, detail: str, errors: list[FieldError] | None = None
) -> None:
    """Make the answer tell of a problem."""
    resp.problem = kind
    resp.status = kind.status
    resp.content_type = MEDIA_TYPE
    resp.text = resp.media = resp.stream = None
    resp.data = encode(describe(kind, req.id, detail, errors))
    if kind.retry_after_s is not None:
        resp.set_header("Retry-After", str(kind.retry_after_s))
    if kind is UNAUTHENTICATED:
        resp.set_header("WWW-Authenticate", CHALLENGE)
