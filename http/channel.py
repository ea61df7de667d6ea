"""A connection as waitress has it, with our manners where HTTP itself goes wrong.

Falcon never sees a request that waitress refuses: too large, too slow, not HTTP. Those are answered here, with the
same problem documents.
"""

import time
from copy import copy
from socket import SHUT_WR
from typing import Any
from uuid import uuid4

import structlog
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask
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

UPLOAD_CALLS = ("/messages",)
SLOWEST_BYTES_S = 128 * 1024
"""A caller with a large file has a second more for each of these."""

LINGER_S = 5.0
STREAM_BACKLOG = 256 * 1024
"""What a stream holds for a consumer that does not keep up, before its thread waits; other answers may be 16 MiB."""

STUCK_S = 60.0
"""A consumer that has taken nothing for so long, while something waits for it, is let go."""

LINGER_BYTES = 8 * 1024 * 1024


UPLOADS_AT_ONCE, UPLOADS_OF_ONE = 16, 8
"""So many requests may bring a file at a time, and so many for one instance: each has a temporary file, and a file
that comes slowly, or waits for a slow number, leaves room for those of others."""


class TooManyUploads(BadRequest):
    code = 503
    reason = "Service Unavailable"


class NotAdmitted(BadRequest):
    """What the gate has against a request."""

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(str(refusal).rstrip("."))
        self.problem = refusal.kind
        self.code, self.reason = refusal.kind.status, "Refused"


class RequestTimeout(BadRequest):
    code = 408
    reason = "Request Timeout"


class AnswerTask(WSGITask):
    """As waitress, but the head of an answer goes out with what follows it: one system call, and one packet."""

    channel: "Channel"

    def write(self, data: bytes) -> None:
        if self.complete and not self.wrote_header:
            self.channel.head = self.build_response_header()
            self.wrote_header = True
        super().write(data)
        self.channel.write_soon(b"")  # where nothing follows it


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


class Knobs(Adjustments):
    """waitress's settings; `uploads` are those for a request that may bring a file."""

    uploads: Adjustments


class Parser(HTTPRequestParser):
    """As waitress; how large a body may be depends on what is asked for."""

    adj: Knobs | Adjustments
    # The stubs know no path, and take the method for bytes.
    command: str  # type: ignore[assignment]
    path: str
    is_upload = False
    """Whether it may bring more than other requests, and does, or does not say."""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as ex:
            # Of an address that makes no sense, which waitress leaves to its loop: that hangs up and says so in the log.
            raise ParsingError("Bad URI") from ex
        # The router takes any number of slashes for one; whoever goes by the path (lanes, uploads) is to see what it sees.
        self.path = "/" + self.path.lstrip("/")
        if self.command == "POST" and self.path.endswith(UPLOAD_CALLS) and isinstance(self.adj, Knobs):
            self.is_upload = self.chunked or self.content_length >= self.adj.max_request_body_size
            self.adj = self.adj.uploads


class Channel(HTTPChannel):
    """One connection."""

    task_class = AnswerTask
    error_task_class = ProblemTask
    parser_class = Parser
    requests: list[Parser]
    request: Parser | None
    server: Any
    began: float | None
    """Since when a request is waited for or arrives; None while a connection that had one is kept for the next."""
    head = b""
    """Of an answer; it goes out with what is written next."""
    sending = False
    """Whether a thread is at it right now: the loop would only turn in circles meanwhile."""
    refused = False
    streaming = False
    lingers_until: float | None = None
    lingering_bytes = 0

    def __init__(self, *given: Any, **more: Any) -> None:
        self.began = time.monotonic()
        super().__init__(*given, **more)

    def received(self, data: bytes) -> bool:
        """As waitress, and note when a request began."""
        if self.began is None:
            self.began = time.monotonic()
        was_upload = self.brings_upload
        taken = super().received(data)
        if self.request is not None and self.brings_upload and not was_upload:
            refusal = self.server.refusal(self, self.request)
            if refusal is not None:
                self._refuse(NotAdmitted(refusal))
            elif self.server.has_too_many_uploads(self.request.path):
                self._refuse(TooManyUploads("Too many files are being uploaded"))
        if self.request is None:
            self.began = None
        return taken

    @property
    def brings_upload(self) -> bool:
        """Whether a large body arrives, or is there and its request not yet answered."""
        return self.uploads_to is not None

    @property
    def uploads_to(self) -> str | None:
        """The path that a large body is for which arrives, or is there and its request not yet answered."""
        requests = (*self.requests, *((self.request,) if self.request is not None else ()))
        return next((request.path for request in requests if request.is_upload), None)

    def write_soon(self, data: Any) -> Any:
        """As waitress, behind a head that waits."""
        head, self.head = self.head, b""
        return super().write_soon(head + data if head else data)

    def begin_stream(self) -> None:
        """The answer will have no end."""
        self.streaming = True
        self.adj = copy(self.adj)
        self.adj.outbuf_high_watermark = STREAM_BACKLOG

    def is_stuck(self) -> bool:
        """Whether it streams to someone who does not read any more."""
        return self.streaming and self.total_outbufs_len > 0 and time.time() - self.last_activity > STUCK_S

    def is_overdue(self, patience_s: float) -> bool:
        """Whether a request has been arriving for longer than `patience_s`, or a first one has not even begun to."""
        if self.requests or self.began is None:
            return False
        size = self.request.content_length if self.request is not None else 0
        return time.monotonic() - self.began > patience_s + size / SLOWEST_BYTES_S

    def refuse_slow(self) -> None:
        """Answer a request that has not arrived in time; runs in the server's own thread."""
        self._refuse(RequestTimeout("The request did not arrive in time"))

    def _refuse(self, error: BadRequest) -> None:
        with self.requests_lock:  # type: ignore[attr-defined]
            if self.requests:
                return
            request, self.request, self.began = self.request, None, None
            if request is None:
                self.end()
                return
            request.error = error
            request.completed = True
            self.requests.append(request)
            self.server.add_task(self)

    def is_idle(self) -> bool:
        """Whether no request of this connection is being carried out and no answer is under way."""
        return not self.requests and not self.total_outbufs_len

    def service(self) -> None:
        """As waitress, and remember a refusal: more of the request may be on its way."""
        self.refused = self.refused or self.requests[0].error is not None
        super().service()

    def end(self) -> None:
        """Close at once."""
        super().handle_close()

    def handle_close(self) -> None:
        """Close; after a refusal only when the caller has closed too, or for a moment.

        Closing a socket on bytes that nobody read resets the connection, and the caller would lose the answer that
        tells what was wrong.
        """
        if self.refused and self.lingers_until is None and self.connected and self.socket is not None:
            self.lingers_until = time.monotonic() + LINGER_S
            self.will_close = False
            try:
                self.socket.shutdown(SHUT_WR)
            except OSError:
                self.end()
            return
        self.end()

    def writable(self) -> bool:
        """As waitress; who is sending wakes the loop afterwards where something is left.

        Without this the loop turned up to seven times a request, while the sending thread waited for the interpreter.
        """
        return not self.sending and bool(super().writable())

    def _flush_some(self, do_close: bool = True) -> bool:
        self.sending = True
        try:
            return bool(super()._flush_some(do_close=do_close))  # type: ignore[misc]
        finally:
            self.sending = False

    def readable(self) -> bool:
        return self.lingers_until is not None or super().readable()

    def handle_read(self) -> None:
        """As waitress; what comes after a refusal is thrown away, up to a point."""
        if self.lingers_until is None:
            super().handle_read()
            return
        try:
            self.lingering_bytes += len(self.recv(self.adj.recv_bytes))
        except OSError:
            self.end()
        if self.lingering_bytes > LINGER_BYTES:
            self.end()

    def has_lingered(self) -> bool:
        """Whether the caller has had its time to read a refusal."""
        return self.lingers_until is not None and time.monotonic() > self.lingers_until
