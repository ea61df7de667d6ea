"""What a node answers while another one works: that it lives, and otherwise what that other one says."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Lock
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from chatbot_erp.actors.api_keys import KeyRing, KeyVault
from chatbot_erp.actors.config import Config
from chatbot_erp.http.app import App
from chatbot_erp.http.auth import Doorkeeper, Gate
from chatbot_erp.http.error_handlers import add_error_handlers
from chatbot_erp.http.exchange import Exchange, Request, Response
from chatbot_erp.http.health import Livez
from chatbot_erp.http.payloads import Health
from chatbot_erp.http.problems import NO_NODE, OUTCOME_UNKNOWN, RequestRefused

FORWARDED = "X-Chatbot-Erp-Forwarded"
CONNECT_S = 2.0
ANSWER_S = 700.0
"""A little more than the longest call takes: an upload, and the wait for WhatsApp's answer."""

PIECE = 64 * 1024
SAFE = ("GET", "HEAD", "OPTIONS")
HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
)


class Company(Protocol):
    """What is known of the other nodes."""

    def leader(self) -> str | None:
        """The address of the one that works."""

    def heed(self, changed: Callable[[], None], /) -> None:
        """Have this called when that is another one, or none."""


def create_standby_app(config: Config, company: Company, vault: KeyVault) -> App:
    """The WSGI application of a node that stands by."""
    app = App(request_type=Request, response_type=Response)
    app.add_middleware(Exchange(lambda method, route, status, took_s: None))
    # Asked before a large body is taken in, and only then: whatever else is forwarded, the other node decides about.
    app.gate = Gate(Doorkeeper(config, KeyRing(vault)), lambda token: None)
    add_error_handlers(app)
    app.add_route("/livez", Livez())
    app.add_route("/readyz", Readyz(company))
    app.add_sink(Forwarder(config, company))
    return app


class Readyz:
    """Whether there is a node to forward to."""

    def __init__(self, company: Company) -> None:
        self._leader = company.leader

    def on_get(self, req: Request, resp: Response) -> None:
        if self._leader() is None:
            raise RequestRefused(NO_NODE)
        resp.send(Health(status="ready"))


class Lines:
    """Connections to other nodes that can be cut while somebody waits at them. `plain` and `secure` are pools of such."""

    def __init__(self) -> None:
        opened: WeakSet[HTTPConnection] = WeakSet()
        door = Lock()

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                with door:
                    opened.add(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                with door:
                    opened.add(self)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.plain, self.secure = PlainPool, SecurePool
        self._opened, self._door = opened, door

    def cut(self) -> None:
        """Whoever waits at one is told that it broke."""
        with self._door:
            lines = list(self._opened)
        for line in lines:
            if (end := line.sock) is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


class Forwarder:
    """Hands a request on, as it came, and the answer back. Keeps connections."""

    def __init__(self, config: Config, company: Company) -> None:
        self._leader = company.leader
        self._lines = Lines()
        self._pool = urllib3.PoolManager(
            maxsize=2 * config.http_threads, retries=False, timeout=urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S)
        )
        self._pool.pool_classes_by_scheme = {"http": self._lines.plain, "https": self._lines.secure}
        # A frozen node answers nothing more, and its lines stay open.
        company.heed(self._lines.cut)

    def __call__(self, req: Request, resp: Response, **params: Any) -> None:
        """Raises `RequestRefused`: no node works and nothing was done, or it is unknown what was done."""
        leader = self._leader()
        if leader is None or req.get_header(FORWARDED) is not None:
            raise RequestRefused(NO_NODE)
        answer = self._ask(leader, req)
        resp.status = answer.status
        for name, value in answer.headers.items():
            if name.lower() == "set-cookie":
                resp.append_header(name, value)
            elif name.lower() not in HOP_BY_HOP:
                resp.set_header(name, value)
        if has_body(req, answer):
            resp.stream = pieces(answer)
        else:
            answer.drain_conn()

    def _ask(self, leader: str, req: Request) -> urllib3.BaseHTTPResponse:
        method = req.env["REQUEST_METHOD"]
        # Some callers name a whole address, as to a proxy: it is no other place that is asked for.
        target = req.env["REQUEST_URI"]
        if not target.startswith("/"):
            target = urlsplit(target)._replace(scheme="", netloc="").geturl()
        headers = {name: value for name, value in req.headers.items() if name.lower() not in HOP_BY_HOP}
        headers |= {FORWARDED: "1", "X-Request-Id": req.callers_id or str(req.id)}
        try:
            return self._pool.request(
                method,
                leader + target,
                headers=headers,
                body=req.bounded_stream if req.content_length else None,
                preload_content=False,
                decode_content=False,
                redirect=False,
            )
        except (NewConnectionError, ConnectTimeoutError):
            raise RequestRefused(NO_NODE) from None
        except HTTPError:
            if method in SAFE:
                raise RequestRefused(NO_NODE) from None
            raise RequestRefused(OUTCOME_UNKNOWN, "The node that works fell silent; it may have done it.") from None


def has_body(req: Request, answer: urllib3.BaseHTTPResponse) -> bool:
    """Whether something follows the headers."""
    return req.env["REQUEST_METHOD"] != "HEAD" and answer.status not in (204, 304)


def pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body as it comes; of a stream each event at once."""
    try:
        yield from answer.stream(PIECE, decode_content=False)
        answer.release_conn()
    finally:
        # One that was not read to its end is of no use for another request.
        answer.close()
