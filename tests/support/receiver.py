"""A webhook receiver that a test holds in its hand: it remembers every delivery and can be told to misbehave."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from waiting import PATIENCE_S

ELSEWHERE = "/elsewhere"
"""Where a redirect leads."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    payload: Any
    status: int = 200
    """How it was answered."""

    @property
    def event(self) -> str:
        return str(self.payload["event"])

    @property
    def id(self) -> str:
        return str(self.payload["id"])


class Receiver:
    """Listens on 127.0.0.1; every path is an endpoint, and `answer` decides the status of each delivery."""

    def __init__(self, answer: Callable[[Delivery], int] | None = None) -> None:
        self.answer = answer or (lambda delivery: 200)
        self.away = threading.Event()
        """While it is set whoever comes is hung up on, before a word is read."""
        self._arrived = threading.Condition()
        self._deliveries: list[Delivery] = []
        self._connections = 0
        self._failures: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                if receiver.away.is_set():
                    raise ConnectionResetError("It hangs up.")
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    # The manager was killed in mid-delivery: no receiver takes that for one.
                    return
                delivery = Delivery(path=self.path, headers=dict(self.headers), body=body, payload=json.loads(body))
                status = receiver.answer(delivery)
                receiver._take(replace(delivery, status=status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if 300 <= status < 400:
                    self.send_header("Location", ELSEWHERE)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def verify_request(self, request: object, client_address: object) -> bool:
                receiver._connections += 1
                return not receiver.away.is_set()

            def handle_error(self, request: object, client_address: object) -> None:
                """A manager that was killed in mid-delivery is no error of the receiver; all others are told to who waits."""
                ex = sys.exception()
                if not isinstance(ex, ConnectionError):
                    receiver._failures.append(repr(ex))

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "/webhook") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def deliveries(self, path: str | None = None, event: str | None = None) -> list[Delivery]:
        """What has come so far, in order."""
        with self._arrived:
            return [each for each in self._deliveries if path in (None, each.path) and event in (None, each.event)]

    def wait_for(
        self, wanted: Callable[[Any], bool], *, path: str | None = None, count: int = 1, timeout_s: float = PATIENCE_S
    ) -> list[Delivery]:
        """Wait until `count` deliveries whose payload is `wanted` have come; they are returned in order."""
        found: list[Delivery] = []

        def enough() -> bool:
            found[:] = [d for d in self._deliveries if path in (None, d.path) and wanted(d.payload)]
            return len(found) >= count

        with self._arrived:
            if not self._arrived.wait_for(enough, timeout_s):
                seen = [(d.path, d.event) for d in self._deliveries]
                raise TimeoutError(
                    f"{len(found)} of {count} wanted deliveries came; seen: {seen[-40:]};"
                    f" {self._connections} connections came, of which these failed: {self._failures}"
                )
        return found

    def _take(self, delivery: Delivery) -> None:
        with self._arrived:
            self._deliveries.append(delivery)
            self._arrived.notify_all()
