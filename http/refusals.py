"""What is refused before Falcon sees it: too large, too slow, not HTTP. It is answered with the same problem documents."""

from uuid import uuid4

import structlog
from waitress.task import ErrorTask
from waitress.utilities import BadRequest

from chatbot_erp.http.exchange import SECURITY_HEADERS
from chatbot_erp.http.problems import (
    CHALLENGE,
    MEDIA_TYPE,
    UNAUTHENTICATED,
    RequestRefused,
    describe,
    encode,
    of_status,
)

log = structlog.get_logger()


class TooManyUploads(BadRequest):
    code = 503
    reason = "Service Unavailable"


class NotAdmitted(BadRequest):
    """Why a body is not taken in, or no further."""

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(str(refusal).rstrip("."))
        self.problem = refusal.kind
        self.code, self.reason = refusal.kind.status, "Refused"


class RequestTimeout(BadRequest):
    code = 408
    reason = "Request Timeout"


class ProblemTask(ErrorTask):
    """Answers a request that cannot be served with a problem document, and ends the connection."""

    def execute(self) -> None:
        # The stubs call `request` an error; it is the parser, which has one.
        error = self.request.error  # type: ignore[attr-defined]
        request = uuid4()
        kind = error.problem if isinstance(error, NotAdmitted) else of_status(error.code)
        body = encode(describe(kind, request, f"{error.body}."))
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", str(request)),
            *SECURITY_HEADERS.items(),
        ]
        if kind is UNAUTHENTICATED:
            self.response_headers.append(("WWW-Authenticate", CHALLENGE))
        if kind.retry_after_s is not None:
            self.response_headers.append(("Retry-After", str(kind.retry_after_s)))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
        log.info(
            "refused",
            action="request_refused",
            request_id=str(request),
            status=error.code,
            problem=kind.code,
            address=self.channel.addr[0],
        )
