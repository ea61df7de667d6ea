"""Posts to a receiver that may be slow, broken or malicious, and gives an outcome within a deadline in any case.

urllib3's connections are used without its pool and without requests, whose engine it is. Bare posts over keep-alive on
loopback cost 0.11 ms of CPU this way, 0.17 ms through urllib3's pool and 0.38 ms through a requests session, and all
deliveries of the house share one interpreter lock. Nothing is lost by it: there is no proxy, netrc, cookie, redirect
or content decoding to be switched off.
"""

import math
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from chatbot_erp.actors.errors import BadWebhookUrl
from chatbot_erp.actors.webhook import Answer, NoAnswer, Outcome
from chatbot_erp.actors.webhook_address import Deny, Target, target
from chatbot_erp.actors.webhook_dial import Denied, dial, tls_context

READ_AT_MOST = 64 * 1024
KEEP_TEXT = 1024
REUSE_WITHIN_S = 30.0
"""A connection that was idle for longer is likelier to be half closed by the other side than to be of use."""

RENEW_AFTER_S = 300.0
"""A receiver that moved to another address (DNS) is found by then even if its old machine still answers."""


TLS = tls_context()


class Line:
    """What a connection of ours has besides urllib3's: it dials an address that was looked at, until a deadline."""

    deny: Deny
    deadline = math.inf
    sock: Any
    address = ""
    opened_at = 0.0

    def _new_conn(self) -> socket.socket:
        # The host as it was given: `host` loses the dot that tells a name server not to search.
        host, port = self._dns_host, self.port  # type: ignore[attr-defined]
        sock, self.address = dial(host, port, self.deny, self.deadline)
        self.opened_at = time.monotonic()
        return sock

    def until(self, deadline: float) -> None:
        """Everything on this connection from here on ends at the deadline."""
        self.deadline = deadline
        if self.sock is not None:
            self.sock.deadline = deadline


class HttpLine(Line, HTTPConnection):
    pass


class HttpsLine(Line, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.sock.deadline = self.deadline


class Postman:
    """Posts one after another, over a connection that is kept while it is of use. For one thread at a time."""

    def __init__(self, *, timeout_s: float, deny: Deny, tls: ssl.SSLContext = TLS) -> None:
        self._timeout_s = timeout_s
        self._deny = deny
        self._tls = tls
        self._line: HttpLine | HttpsLine | None = None
        self._leads_to: tuple[str, str, int] | None = None
        self._used_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether a connection is kept."""
        return self._line is not None

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Outcome:
        """POST and wait for the answer, `timeout_s` in all, whatever the receiver does. Never raises for its doings.

        A 2xx counts once its head is here: of the rest only what comes in time, and 64 KiB, is read. The answer to a
        redirect is not kept, because it may be another's than the URL's owner.
        """
        begun = time.monotonic()
        deadline = begun + self._timeout_s
        line: HttpLine | HttpsLine | None = None
        try:
            to = target(url)
            kept = self._kept(to)
            line = kept or self._open(to)
            try:
                response = exchange(line, to, content, headers, deadline)
            except (ConnectionError, HTTPException):
                # The other side may close an idle connection just as we write; that says nothing about the receiver.
                if kept is None or time.monotonic() >= deadline:
                    raise
                line = self._open(to)
                response = exchange(line, to, content, headers, deadline)
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
        text, whole = read(response)
        if not (whole and 200 <= response.status < 300):
            self.close()
        self._used_at = time.monotonic()
        return Answer(
            status=response.status,
            retry_after=response.headers.get("Retry-After"),
            text="" if 300 <= response.status < 400 else text,
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

    def _kept(self, to: Target) -> HttpLine | HttpsLine | None:
        now = time.monotonic()
        if (
            self._line is None
            or self._leads_to != (to.scheme, to.host, to.port)
            or now - self._used_at >= REUSE_WITHIN_S
            or now - self._line.opened_at >= RENEW_AFTER_S
            or not self._line.is_connected
        ):
            return None
        return self._line

    def _open(self, to: Target) -> HttpLine | HttpsLine:
        self.close()
        if to.scheme == "https":
            self._line = HttpsLine(to.host, to.port, ssl_context=self._tls)
        else:
            self._line = HttpLine(to.host, to.port)
        self._line.deny = self._deny
        self._leads_to = (to.scheme, to.host, to.port)
        return self._line


def exchange(
    line: HttpLine | HttpsLine, to: Target, content: bytes, headers: Mapping[str, str], deadline: float
) -> HTTPResponse:
    """Send the request and wait for the head of the answer."""
    line.until(deadline)
    with suppress(BrokenPipeError):  # the receiver may have answered without reading on, and the answer counts
        line.request("POST", to.path, body=content, headers=headers, preload_content=False, decode_content=False)
    return line.getresponse()


def read(response: HTTPResponse) -> tuple[str, bool]:
    """The first KiB of an answer as text, undecoded, and whether its end was reached in time and within bounds."""
    data, whole = b"", False
    with suppress(OSError, HTTPError, HTTPException):
        while not whole and len(data) < READ_AT_MOST:
            more = response.read1(READ_AT_MOST - len(data), decode_content=False)
            data += more
            whole = not more
    if not whole:
        response.close()  # it holds the socket beside its connection
    return data[:KEEP_TEXT].decode(errors="replace"), whole


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
        case HTTPException() | HTTPError():
            return "reset" if isinstance(ex, ConnectionError) else "protocol"
        case ConnectionError():
            return "reset"
        case OSError():
            return "unreachable"
        case _:
            return "internal"


def elapsed_ms(begun: float) -> int:
    """Milliseconds since a moment of the monotonic clock."""
    return round((time.monotonic() - begun) * 1000)
