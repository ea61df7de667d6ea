"""A connection as waitress has it, with our manners where HTTP itself goes wrong."""

import re
import time
from copy import copy
from socket import SHUT_WR
from typing import Any

import structlog
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import WSGITask
from waitress.utilities import BadRequest

from chatbot_erp.actors.errors import Unavailable
from chatbot_erp.http.problems import INTERNAL, OF_ERROR, RequestRefused
from chatbot_erp.http.refusals import NotAdmitted, ProblemTask, RequestTimeout

UPLOAD_CALL = re.compile(r"/instances/[^/]+/messages")
SLOWEST_BYTES_S = 128 * 1024
"""A caller with a large file has a second more for each of these."""

LINGER_S = 5.0
STREAM_BACKLOG = 256 * 1024
"""What a stream holds for a consumer that does not keep up, before its thread waits; other answers may be 16 MiB."""

STUCK_S = 60.0
"""A caller that has taken nothing for so long, while something waits for it, is let go."""

LINGER_BYTES = 8 * 1024 * 1024
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"

UPLOADS_AT_ONCE, UPLOADS_OF_ONE = 16, 8
"""So many requests may bring a file at a time, and so many for one instance: each has a temporary file, and a file
that comes slowly, or waits for a slow number, leaves room for those of others."""

log = structlog.get_logger()


class AnswerTask(WSGITask):
    """As waitress, but the head of an answer goes out with what follows it: one system call, and one packet."""

    channel: "Channel"

    def write(self, data: bytes) -> None:
        if self.complete and not self.wrote_header:
            self.channel.head = self.build_response_header()
            self.wrote_header = True
        super().write(data)
        self.channel.write_soon(b"")  # where nothing follows it


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
    is_asked_about = False
    is_admitted = False

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as ex:
            # Of an address or a number that makes no sense; waitress leaves it to its loop: that hangs up and says so in the log.
            raise ParsingError("The address or the length of the body makes no sense") from ex
        # The router takes any number of slashes for one; whoever goes by the path (lanes, uploads) is to see what it sees.
        self.path = "/" + self.path.lstrip("/")
        if self.command == "POST" and UPLOAD_CALL.fullmatch(self.path) and isinstance(self.adj, Knobs):
            self.is_upload = self.chunked or self.content_length >= self.adj.max_request_body_size
            self.adj = self.adj.uploads


class Question:
    """Whether a large body may come. It is asked in a thread of its own: keys may be where nobody answers just now."""

    def __init__(self, channel: "Channel", request: Parser) -> None:
        self._channel = channel
        self._request = request

    def service(self) -> None:
        """Ask, and let the body come or refuse it. What goes wrong is an objection, too, or the caller would have no answer."""
        objection: BadRequest | None
        try:
            objection = self._channel.server.objection(self._channel, self._request)
        except Exception as ex:
            log.error("a request failed", action="request_failed", exc_info=ex)
            objection = NotAdmitted(RequestRefused(INTERNAL))
        self._channel.decide(self._request, objection)

    def cancel(self) -> None:
        """Nobody answers any more."""
        self._channel.cancel()


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
    taken_at = 0.0
    """When the caller last took something of what waits for it, by the monotonic clock."""
    refused = False
    asking = False
    """Whether it is not decided yet if the body that arrives may come: no more of it is read until then."""
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
        try:
            taken = super().received(data)
        except OSError as ex:
            if self.request is None:
                raise
            detail = f"The body could not be kept: {ex.strerror}."
            self._refuse(self.request, NotAdmitted(RequestRefused(OF_ERROR[Unavailable], detail)))
            return True
        request = self.request
        if request is None:
            self.began = None
        elif request.is_upload and not request.is_asked_about:
            request.is_asked_about = self.asking = True
            self.server.ask(Question(self, request))
        return taken

    def decide(self, request: Parser, objection: BadRequest | None) -> None:
        """Let a large body come, or refuse it; any thread."""
        if objection is not None:
            self._refuse(request, objection)
        else:
            with self.requests_lock:  # type: ignore[attr-defined]
                if self.request is request and request.expect_continue and not self.requests:
                    self.send_continue()
        self.asking = False
        self.server.pull_trigger()

    def send_continue(self) -> None:
        """As waitress, which would tell callers to go on with what is refused, or whole, already.

        Nor is anybody told so as long as it is not decided whether the large body may come.
        """
        request = self.request
        if request is None or request.completed or (request.is_upload and not request.is_admitted):
            return
        request.expect_continue = False
        self.sent_continue = True
        # Not by write_soon: it may wait for the loop to send what is there, and the loop for a lock that is held here.
        with self.outbuf_lock:
            if self.connected:
                if not self.total_outbufs_len:
                    self.taken_at = time.monotonic()
                self.outbufs[-1].append(GO_ON)
                self.current_outbuf_count += len(GO_ON)
                self.total_outbufs_len += len(GO_ON)
        self.server.pull_trigger()

    @property
    def uploads(self) -> tuple[str, ...]:
        """The paths that large bodies are for which were let in: they arrive, or their requests are not yet answered."""
        requests = (*self.requests, *((self.request,) if self.request is not None else ()))
        return tuple(request.path for request in requests if request.is_admitted)

    def write_soon(self, data: Any) -> Any:
        """As waitress, behind a head that waits."""
        if not self.total_outbufs_len:
            self.taken_at = time.monotonic()  # before that nothing waited to be taken
        head, self.head = self.head, b""
        return super().write_soon(head + data if head else data)

    def begin_stream(self) -> None:
        """The answer will have no end."""
        self.streaming = True
        self.adj = copy(self.adj)
        self.adj.outbuf_high_watermark = STREAM_BACKLOG

    def is_stuck(self) -> bool:
        """Whether something waits for someone who does not read any more: no socket says so, and no idle time counts then."""
        return self.total_outbufs_len > 0 and time.monotonic() - self.taken_at > STUCK_S

    def is_overdue(self, patience_s: float) -> bool:
        """Whether a request has been arriving for longer than `patience_s`, or a first one has not even begun to."""
        if self.requests or self.began is None:
            return False
        size = max(self.request.content_length, self.request.body_bytes_received) if self.request is not None else 0
        return time.monotonic() - self.began > patience_s + size / SLOWEST_BYTES_S

    def refuse_slow(self) -> None:
        """Answer a request that has not arrived in time, or end a connection on which none has begun."""
        if self.request is None:
            self.end()
        else:
            self._refuse(self.request, RequestTimeout("The request did not arrive in time"))

    def _refuse(self, request: Parser, error: BadRequest) -> None:
        """Have what arrives answered so, behind whatever came before it on this connection."""
        with self.requests_lock:  # type: ignore[attr-defined]
            if self.request is not request or not self.connected or self.will_close or self.close_when_flushed:
                return
            self.request = self.began = None
            request.error = error
            request.completed = True
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)

    def is_idle(self) -> bool:
        """Whether no request of this connection is being carried out and no answer is under way."""
        return not self.requests and not self.total_outbufs_len

    def service(self) -> None:
        """As waitress, and remember a refusal: more of the request may be on its way."""
        self.refused = self.refused or self.requests[0].error is not None
        super().service()

    def end(self) -> None:
        """Close at once; of a body that was arriving nothing stays on the disk."""
        if self.request is not None:
            self.request.close()  # it stays where it is: waitress may be in the midst of it
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
            has_taken = bool(super()._flush_some(do_close=do_close))  # type: ignore[misc]
        finally:
            self.sending = False
        if has_taken:
            self.taken_at = time.monotonic()
        return has_taken

    def readable(self) -> bool:
        return self.lingers_until is not None or (not self.asking and bool(super().readable()))

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
