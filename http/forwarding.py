"""Any node answers any call: what concerns an instance of another node is answered by that one."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from waitress.channel import ClientDisconnected

from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.errors import InstanceNotFound, InstanceNotOperational, Unavailable
from chatbot_erp.eventstore.company import Company
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.node_lines import Lines
from chatbot_erp.http.node_seal import Seal
from chatbot_erp.http.problems import (
    NO_NODE,
    NOT_ALLOWED,
    OF_ERROR,
    OUTCOME_UNKNOWN,
    Problem,
    ProblemType,
    RequestRefused,
)

FORWARDED = "X-Chatbot-Erp-Forwarded"
CONNECT_S = 2.0
GLANCE_S = 3.0
"""How long others are waited for where the answers of all are put together."""

MOVE_PATIENCE_S = 3.0
"""How long a call that changes something waits in all for an instance that is on its way from one node to another."""

LOOK_EVERY_S = 0.05

ANSWER_S = 700.0
"""A little more than the longest call takes: an upload, and the wait for WhatsApp's answer."""

LOOKS = ("/instances/{name}", "/instances/{name}/qr")
LOOK_S = 5.0
"""What is looked at all the time is not waited for, or a node that froze would keep looks at all others waiting, too."""

PIECE = 64 * 1024
SAFE = ("GET", "HEAD", "OPTIONS")
HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
)
CREATION = "/instances/create"
FROM_THE_LOG = ("/instances/{name}/events", "/instances/{name}/state")
"""What every node reads in the database."""

OF_WHO_GOES = tuple(OF_ERROR[each] for each in (InstanceNotFound, InstanceNotOperational, Unavailable))
"""What an instance answers that goes while it is asked. Nothing was done."""

log = structlog.get_logger()


class Forwarder:
    """Hands a request on to another node, as it came, and the answer back. Keeps connections."""

    def __init__(self, company: Company, threads: int) -> None:
        self.company = company
        self._seal = Seal(company.secret)
        self._lines = Lines()
        self._pool = urllib3.PoolManager(maxsize=2 * threads, retries=False)
        self._pool.pool_classes_by_scheme = {"http": self._lines.plain, "https": self._lines.secure}
        self._glances = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="glance")

    def heed(self, living: Mapping[str, str]) -> None:
        """These nodes live, and are reached there. One that froze answers nothing more, and its lines stay open."""
        self._lines.cut_all_but(living.values())

    def is_forwarded(self, req: Request) -> bool:
        """Whether another node asks: what it asks is about what is here. Where there are no others nobody is believed that.

        Raises RequestRefused for somebody who only says so, StoreError.
        """
        shown = req.get_header(FORWARDED)
        if shown is None or not self.company.node:
            return False
        if not self._seal.is_genuine(shown, req.env["REQUEST_METHOD"], req.path):
            raise RequestRefused(NOT_ALLOWED, f"{FORWARDED} is for calls between nodes.")
        return True

    def pass_on(self, url: str, req: Request, resp: Response) -> bool:
        """Have the node there answer; whether it did, or has what is asked for no more.

        Raises `RequestRefused`: nothing was done, or it is unknown what was done.
        """
        answer = self._ask(url, req)
        if answer.status == NO_NODE.status and is_of(NO_NODE, answer.data):
            return False
        resp.status, resp.problem, resp.data = answer.status, None, None
        for of_another_answer in ("Retry-After", "Content-Type"):
            resp.delete_header(of_another_answer)
        for name, value in answer.headers.items():
            if name.lower() == "set-cookie":
                resp.append_header(name, value)
            elif name.lower() not in HOP_BY_HOP:
                resp.set_header(name, value)
        if answer.status == NO_NODE.status:
            resp.data = answer.data
        elif has_body(req, answer):
            resp.stream = pieces(answer)
        else:
            answer.drain_conn()
        resp.complete = True
        return True

    def ask_others(self, req: Request) -> list[bytes]:
        """What the other nodes that live answer to the same request; nothing of one that does not succeed in time."""
        nodes = self.company.nodes()
        others = [node.url for node in nodes if node.alive and node.url and node.name != self.company.node]
        asked = [self._glances.submit(self._glance, url, req) for url in others]
        return [answer for each in asked if (answer := each.result()) is not None]

    def _glance(self, url: str, req: Request) -> bytes | None:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=GLANCE_S)
        with suppress(HTTPError):
            answer = self._pool.request(
                req.method,
                url + target(req),
                headers=self._onward(req, req.method),
                timeout=timeout,
                redirect=False,
            )
            if answer.status < 300:
                return answer.data
        return None

    def _ask(self, url: str, req: Request) -> urllib3.BaseHTTPResponse:
        method = req.env["REQUEST_METHOD"]
        is_look = method in SAFE and req.uri_template in LOOKS
        body: Any = req.stream
        body.seek(0)  # it may be for somebody else next, or for here
        try:
            answer = self._pool.request(
                method,
                url + target(req),
                headers=self._onward(req, method),
                timeout=urllib3.Timeout(connect=CONNECT_S, read=LOOK_S if is_look else ANSWER_S),
                body=body if req.content_length else None,
                preload_content=False,
                decode_content=False,
                redirect=False,
            )
            if answer.status == NO_NODE.status:
                answer.read(cache_content=True)
        except (NewConnectionError, ConnectTimeoutError):
            raise RequestRefused(NO_NODE) from None
        except HTTPError:
            if method in SAFE:
                raise RequestRefused(NO_NODE) from None
            raise RequestRefused(OUTCOME_UNKNOWN, "The node that has it fell silent; it may have done it.") from None
        body.seek(0)
        return answer

    def _onward(self, req: Request, method: str) -> dict[str, str]:
        """The headers of a request as another node is to see them."""
        own = {FORWARDED: self._seal.stamp(method, req.path), "X-Request-Id": req.callers_id or str(req.id)}
        left_out = HOP_BY_HOP | {name.lower() for name in own}
        return {name: value for name, value in req.headers.items() if name.lower() not in left_out} | own


class Router:
    """Between who may call and what is done: whose instance is it?"""

    def __init__(self, directory: Directory, forwarder: Forwarder) -> None:
        self._directory = directory
        self._company = forwarder.company
        self._forwarder = forwarder

    def process_resource(self, req: Request, resp: Response, resource: object, params: dict[str, str]) -> None:
        """Have another node answer where the instance is there. Raises `RequestRefused` where it is nowhere just now."""
        route, name = req.uri_template or "", params.get("name")
        if not self._company.node:
            if name is not None and route not in FROM_THE_LOG and self._is_elsewhere(name):
                raise RequestRefused(NO_NODE, "Its WhatsApp session is a file on another machine.")
            return
        if route == CREATION:
            if req.method == "POST":
                self._place(req, resp)
                return
            name = "create"
        if name is None or route in FROM_THE_LOG:
            return
        was_here = self._directory.has(name)
        self._find(name, req, resp)
        if not resp.complete and (was_here or self._directory.has(name)):
            req.instance = name

    def process_response(self, req: Request, resp: Response, resource: object, succeeded: bool) -> None:
        """Where the instance that was asked here has gone meanwhile, it is asked where it is. Raises `RequestRefused`."""
        name = req.instance
        if name is None or resp.problem not in OF_WHO_GOES:
            return
        if self._directory.is_leaving(name) or not self._directory.has(name):
            self._find(name, req, resp)

    def _find(self, name: str, req: Request, resp: Response) -> None:
        """Wait for one that moves. Where it is at another node, that has answered after this. Raises `RequestRefused`."""
        begun_at = time.monotonic() - req.waited_s
        try:
            while self._is_moving(name, req, resp):
                # Threads for looks are few, and those who look come again anyway.
                if req.method in SAFE or time.monotonic() - begun_at > MOVE_PATIENCE_S:
                    raise RequestRefused(NO_NODE)
                time.sleep(LOOK_EVERY_S)
        finally:
            req.waited_s = time.monotonic() - begun_at

    def _is_elsewhere(self, name: str) -> bool:
        """Whether it stays with another machine, though this manager has the database to itself."""
        if self._directory.has(name):
            return False
        seat = self._company.seat(name)
        return seat is not None and seat.node != self._company.machine

    def _is_moving(self, name: str, req: Request, resp: Response) -> bool:
        """Whether the instance is between two nodes; where it is at another one, that has answered after this."""
        directory = self._directory
        if directory.has(name):
            changes = req.method not in SAFE
            if changes and (directory.is_leaving(name) or directory.is_opening(name, MOVE_PATIENCE_S)):
                return True
            return directory.is_coming(name)
        seat = self._company.seat(name)
        if seat is None:
            return False
        if seat.node == self._company.node:
            return True
        # Who forwarded it here looks itself where it has gone.
        if self._forwarder.is_forwarded(req) or not (seat.alive and seat.url):
            raise RequestRefused(NO_NODE)
        return not self._forwarder.pass_on(seat.url, req, resp)

    def _place(self, req: Request, resp: Response) -> None:
        """A new instance is made where there are fewest, of those that can be reached and do not end."""
        if self._forwarder.is_forwarded(req):
            return
        own = self._company.node
        ready = [node for node in self._company.nodes() if node.alive and node.url and not node.leaving]
        unreached = False
        for node in sorted(ready, key=lambda node: (node.instances, node.name != own)):
            if node.name == own:
                return
            try:
                if self._forwarder.pass_on(node.url, req, resp):
                    return
            except RequestRefused as ex:
                if ex.kind is not NO_NODE:
                    raise
            unreached = True
        if unreached:
            raise RequestRefused(NO_NODE)


def target(req: Request) -> str:
    """The path and the query that are asked for. Some callers name a whole address, as to a proxy: it is no other place."""
    asked: str = req.env["REQUEST_URI"]
    if not asked.startswith("/"):
        asked = urlsplit(asked)._replace(scheme="", netloc="").geturl()
    return "/" + asked.lstrip("/")  # behind an address without a port all else would be more of its host


def has_body(req: Request, answer: urllib3.BaseHTTPResponse) -> bool:
    """Whether something follows the headers."""
    return req.env["REQUEST_METHOD"] != "HEAD" and answer.status not in (204, 304)


def is_of(kind: ProblemType, document: bytes) -> bool:
    """Whether this is a problem of that kind."""
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(document, type=Problem).type == f"/problems/{kind.code}"
    return False


def pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body as it comes. Raises ClientDisconnected where that breaks off: no end is sent then, which could be taken for one."""
    try:
        yield from answer.stream(PIECE, decode_content=False)
        answer.release_conn()
    except HTTPError as ex:
        log.warning("another node's answer broke off", action="answer_broke_off", error=type(ex).__name__)
        raise ClientDisconnected from None
    finally:
        # One that was not read to its end is of no use for another request.
        answer.close()
