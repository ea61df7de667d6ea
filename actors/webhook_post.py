"""Posts to a receiver that may be slow, broken or malicious, and gives an outcome within a deadline in any case.

The request is one write on a socket of our own and the answer is read by httptools (llhttp, in C). A bare post over
keep-alive on loopback so costs 0.04 ms of CPU; with urllib3's connections it was 0.19 ms, with a requests session three
times that, and all deliveries of the house share one interpreter lock. Nothing is lost by it: there is no proxy, netrc,
cookie, redirect or content decoding to be switched off.
"""

import math
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from httptools import HttpParserError

from chatbot_erp.actors.errors import BadWebhookUrl
from chatbot_erp.actors.webhook import Answer, NoAnswer, Outcome
from chatbot_erp.actors.webhook_address import PORTS, Deny, Target, target
from chatbot_erp.actors.webhook_dial import BoundedSocket, BoundedTls, Denied, dial, secure, tls_context
from chatbot_erp.actors.webhook_reply import Reply

KEEP_TEXT = 1024
PIECE = 16 * 1024
REUSE_WITHIN_S = 30.0
"""A connection that was idle for longer is likelier to be half closed by the other side than to be of use."""

RENEW_AFTER_S = 300.0
"""A receiver that moved to another address (DNS) is found by then even if its old machine still answers."""


TLS = tls_context()


class Withdrawn(Exception):
    """Raised in place of a post that is not to be made any more; nothing of it has left since that was asked."""


class Line:
    """A connection to a receiver. Raises `BadWebhookUrl`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.to = target(url)
        self.address = ""
        """What was dialled; empty until then."""
        self.opened_at = math.inf
        self._sock: BoundedSocket | BoundedTls | None = None
        self._heard = select.poll()

    def open(self, deny: Deny, tls: ssl.SSLContext, deadline: float) -> None:
        """Dial. Raises what that raises."""
        plain, self.address = dial(self.to.host, self.to.port, deny, deadline)
        self._sock = secure(plain, self.to.host, tls) if self.to.scheme == "https" else plain
        self._heard.register(self._sock, select.POLLIN)
        self.opened_at = time.monotonic()

    def is_quiet(self) -> bool:
        """Whether the other side has neither closed nor said anything unasked."""
        return not self._heard.poll(0)

    def exchange(
        self, content: bytes, headers: Mapping[str, str], deadline: float, withdrawn: Callable[[], bool]
    ) -> Reply:
        """Post, and wait for the head of the answer and as much of the rest as is wanted and comes in time."""
        assert self._sock is not None, "It is open."
        self._sock.deadline = deadline
        if withdrawn():
            raise Withdrawn
        with suppress(BrokenPipeError):  # the receiver may have answered without reading on, and the answer counts
            self._sock.sendall(head(self.to, len(content), headers) + content)
        reply = Reply()
        while reply.status is None:
            reply.feed(self._sock.recv(PIECE))
        with suppress(OSError, HttpParserError):
            while not reply.over:
                reply.feed(self._sock.recv(PIECE))
        return reply

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()


class Postman:
    """Posts one after another, over a connection that is kept while it is of use. For one thread at a time."""

    def __init__(self, *, timeout_s: float, deny: Deny, tls: ssl.SSLContext = TLS) -> None:
        self._timeout_s = timeout_s
        self._deny = deny
        self._tls = tls
        self._line: Line | None = None
        self._used_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether a connection is kept."""
        return self._line is not None

    def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, withdrawn: Callable[[], bool] = lambda: False
    ) -> Outcome:
        """POST and wait for the answer, `timeout_s` in all, whatever the receiver does. Never raises for its doings.

        `withdrawn` is asked whenever the content is about to be written, which a name server or a handshake may delay:
        raises `Withdrawn` if so. A 2xx counts once its head is here: of the rest only what comes in time, and 64 KiB, is
        read. The answer to a redirect is not kept, because it may be another's than the URL's owner.
        """
        begun = time.monotonic()
        deadline = begun + self._timeout_s
        line: Line | None = None
        try:
            kept = self._kept(url)
            line = kept or self._new(url)
            try:
                if kept is None:
                    line.open(self._deny, self._tls, deadline)
                reply = line.exchange(content, headers, deadline, withdrawn)
            except (ConnectionError, HttpParserError):
                # The other side may close an idle connection just as we write; that says nothing about the receiver.
                if kept is None or time.monotonic() >= deadline:
                    raise
                line = self._new(url)
                line.open(self._deny, self._tls, deadline)
                reply = line.exchange(content, headers, deadline, withdrawn)
        except Exception as ex:
            self.close()
            error = class_of(ex)
            if error == "internal":
                raise
            return NoAnswer(
                error=error,
                detail=str(ex),
                address=line.address if line is not None else "",
                duration_ms=elapsed_ms(begun),
            )
        status = reply.status
        assert status is not None, "An exchange ends with a head."
        if not (reply.whole and reply.reusable and 200 <= status < 300):
            self.close()
        self._used_at = time.monotonic()
        return Answer(
            status=status,
            retry_after=reply.retry_after,
            text="" if 300 <= status < 400 else reply.body[:KEEP_TEXT].decode(errors="replace"),
            address=line.address,
            duration_ms=elapsed_ms(begun),
        )

    def close_if_idle(self) -> None:
        """Close the connection if it is not worth keeping any more."""
        if time.monotonic() - self._used_at >= REUSE_WITHIN_S:
            self.close()

    def close(self) -> None:
        """End the connection. Idempotent; the next post makes a new one."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _kept(self, url: str) -> Line | None:
        now = time.monotonic()
        if (
            self._line is None
            or self._line.url != url
            or now - self._used_at >= REUSE_WITHIN_S
            or now - self._line.opened_at >= RENEW_AFTER_S
            or not self._line.is_quiet()
        ):
            return None
        return self._line

    def _new(self, url: str) -> Line:
        self.close()
        self._line = Line(url)
        return self._line


def head(to: Target, length: int, headers: Mapping[str, str]) -> bytes:
    """The head of a post. Names and values must be fit for it (webhook_control.py sees to those of others)."""
    host = f"[{to.host}]" if ":" in to.host else to.host
    port = "" if to.port == PORTS[to.scheme] else f":{to.port}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = (
        f"POST {to.path} HTTP/1.1\r\nHost: {host}{port}\r\nAccept-Encoding: identity\r\nContent-Length: {length}\r\n"
    )
    return f"{start}{lines}\r\n".encode("latin-1")


def class_of(ex: Exception) -> str:
    """The class of a failure, for the attempt log; `internal` where it is not the receiver's doing."""
    match ex:
        case BadWebhookUrl():
            return "bad_url"
        case Denied():
            return "denied_address"
        case socket.gaierror() | UnicodeError():
            return "unresolved"
        case TimeoutError():
            return "timeout"
        case ssl.SSLError():
            return "tls"
        case ConnectionRefusedError():
            return "connection_refused"
        case HttpParserError():
            return "protocol"
        case ConnectionError():
            return "reset"
        case OSError():
            return "unreachable"
        case _:
            return "internal"


def elapsed_ms(begun: float) -> int:
    """Milliseconds since a moment of the monotonic clock."""
    return round((time.monotonic() - begun) * 1000)
