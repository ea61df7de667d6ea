"""The HTTP server: waitress in threads of its own, bounded in every direction, with an orderly end.

Slow callers hold no thread: waitress reads a request and writes an answer in its one I/O thread. Requests run in
lanes, so that what waits for WhatsApp never keeps a look at an instance waiting, and nothing does a health check.
"""

import logging
import re
import time
from collections.abc import Callable
from copy import copy
from threading import Event, Lock, Thread
from typing import Any

import structlog
from waitress import wasyncore
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.manager import Manager
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.http.app import App, create_app
from chatbot_erp.http.auth import Gate, check
from chatbot_erp.http.channel import (
    UPLOADS_AT_ONCE,
    UPLOADS_OF_ONE,
    Channel,
    Knobs,
    Parser,
    Question,
)
from chatbot_erp.http.exchange import LARGEST_BODY, Request, Response
from chatbot_erp.http.forwarding import FORWARDED
from chatbot_erp.http.health import HEALTH_CALLS
from chatbot_erp.http.message_operations import SEND_ANY
from chatbot_erp.http.playground import Playground
from chatbot_erp.http.problems import RequestRefused, kind_of
from chatbot_erp.http.refusals import NotAdmitted, TooManyUploads
from chatbot_erp.http.stream import PATH as STREAM_PATH
from chatbot_erp.http.stream import STREAMS

LOOKING_THREADS = 8
CHANGING_THREADS = 8
SPARE_THREADS = 2
HEALTH_THREADS = 2
WAITING_CALLS = re.compile(
    r"/audit/verify|/subjects/[^/]+|/sandbox/[^/]+/(message|scan)|/instances/[^/]+/"
    r"(message|messages|messages/read|messages/[^/]+/(media|read)|pairing-code|webhook/test"
    r"|(blocklist|chats|contacts|groups|presence|profile)(/.*)?)",
    re.DOTALL,
)
"""Paths of calls that wait for WhatsApp, for a receiver, for all other nodes, or for the whole log to be read."""

FORWARDED_KEY = FORWARDED.upper().replace("-", "_")
"""How waitress calls the header."""

LARGEST_HEADERS = 32 * 1024
CONNECTIONS = 512
REQUEST_PATIENCE_S = 30.0
"""How long one request may take to arrive, however slowly its bytes drip."""
IDLE_S = 60
LOOP_S = 1.0
LOOK_EVERY_S = 0.5
"""How often all connections are looked after. With 512 of them a look takes longer than a turn of the loop should."""

STOP_PATIENCE_S = 20.0
LAST_WORD_S = 1.0
"""So long before the end whoever waits for the verdict of a send is released: to be told that it is unknown beats being cut off."""

PIPES = Lock()

log = structlog.get_logger()


class Lanes:
    """Pools of threads that waitress takes for one.

    Calls that look, calls that change something here, calls that wait for somebody else (`waiting` threads), and health.
    What other nodes forward has lanes of its own (`shared`): each such call holds a thread there, and two nodes that had no
    other threads for each other's would wait for ever.
    """

    def __init__(self, waiting: int, *, shared: bool) -> None:
        self._looking = lane(LOOKING_THREADS)
        self._changing = lane(CHANGING_THREADS)
        self._waiting = lane(waiting)
        self._health = lane(HEALTH_THREADS)
        # Beyond those that stream: whoever finds no place is told so by one of the others.
        self._streaming = lane(STREAMS + SPARE_THREADS)
        own = {self._looking: LOOKING_THREADS, self._changing: CHANGING_THREADS, self._waiting: waiting}
        self._for_others = {each: lane(threads) for each, threads in own.items()} if shared else {}

    def add_task(self, channel: Channel) -> None:
        """Queue the next request of a connection."""
        request = channel.requests[0]
        lane = self._lane_of(request)
        if FORWARDED_KEY in request.headers:
            lane = self._for_others.get(lane, lane)
        if lane is self._streaming:
            channel.begin_stream()
        lane.add_task(channel)  # type: ignore[arg-type]

    def ask(self, question: Question) -> None:
        """Queue what must not be asked in the server's own thread."""
        self._looking.add_task(question)  # type: ignore[arg-type]

    def shutdown(self, patience_s: int) -> None:
        """End the threads, each after the request it carries out; wait for that no longer than told."""
        own = (self._looking, self._changing, self._waiting, self._health, self._streaming)
        for each in (*own, *self._for_others.values()):
            each.shutdown(timeout=patience_s)

    def _lane_of(self, request: Any) -> ThreadedTaskDispatcher:
        # A request with an error may have no method and no path.
        if request.error is not None:
            return self._looking
        if request.path in HEALTH_CALLS:
            return self._health
        if WAITING_CALLS.fullmatch(request.path):
            return self._waiting
        if request.command == "GET" and request.path == STREAM_PATH:
            return self._streaming
        return self._looking if request.command in ("GET", "HEAD") else self._changing


def lane(threads: int) -> ThreadedTaskDispatcher:
    """A pool of so many threads."""
    made = ThreadedTaskDispatcher()
    made.set_thread_count(threads)
    return made


class Listener(TcpWSGIServer):
    """A listening socket and its connections."""

    channel_class = Channel
    request_patience_s = REQUEST_PATIENCE_S
    looked_at = 0.0
    ended = False
    gate: Gate
    door = Lock()
    """Whoever lets a large body in has counted those that are here."""
    active_channels: dict[int, Channel]  # type: ignore[assignment]

    def readable(self) -> bool:
        """Called once a turn of the loop: look after the connections, which waitress does only now and then."""
        now = time.monotonic()
        if now - self.looked_at >= LOOK_EVERY_S:
            self.looked_at = now
            self.look()
        return super().readable()

    def look(self) -> None:
        """End what has taken too long."""
        for channel in list(self.active_channels.values()):
            if channel.is_overdue(self.request_patience_s):
                channel.refuse_slow()
            elif channel.is_stuck() or channel.has_lingered():
                channel.end()

    def ask(self, question: Question) -> None:
        """Have it asked in a thread whether a large body may come."""
        self.task_dispatcher.ask(question)  # type: ignore[attr-defined]

    def objection(self, channel: Channel, request: Parser) -> BadRequest | None:
        """Why a large body is not even taken in: its sender is unknown or may not, or too many are here. Else None."""
        asked = Request(WSGITask(channel, request).get_environment())  # type: ignore[arg-type]
        try:
            self.gate.process_request(asked, Response())
            check(asked.grant, SEND_ANY, request.path.split("/")[2])
        except RequestRefused as ex:
            return NotAdmitted(ex)
        except StoreError as ex:
            return NotAdmitted(RequestRefused(kind_of(ex), str(ex)))
        with self.door:
            here = [path for each in list(self.active_channels.values()) for path in each.uploads]
            if len(here) >= UPLOADS_AT_ONCE or here.count(request.path) >= UPLOADS_OF_ONE:
                return TooManyUploads("Too many files are being uploaded")
            request.is_admitted = True
        return None

    def pull_trigger(self) -> None:
        """Wake the loop. A thread that outlives the server must not: the pipe's number may be someone else's by then."""
        with PIPES:
            if not self.ended:
                super().pull_trigger()

    def end_pipe(self) -> None:
        """Nothing wakes the loop any more."""
        with PIPES:
            self.ended = True
            self.trigger.close()  # type: ignore[attr-defined]

    def end_listening(self) -> None:
        """Take no more connections; those that are there stay."""
        wasyncore.dispatcher.close(self)

    def end_idle(self) -> bool:
        """End the connections on which nothing is under way; whether that was all."""
        for channel in list(self.active_channels.values()):
            if channel.is_idle():
                channel.end()
        return not self.active_channels


class Serving:
    """A server that runs. `url` is where; `release` has those answered who would wait beyond its end."""

    def __init__(self, app: App, config: Config, request_patience_s: float, release: Callable[[], None]) -> None:
        self._release = release
        self._map: dict[int, wasyncore.dispatcher] = {}
        self._lanes = Lanes(config.http_threads, shared=config.share)
        try:
            self._listeners = self._listen(app, config)
        except (OSError, ValueError) as ex:
            self._lanes.shutdown(1)
            wasyncore.close_all(self._map)  # type: ignore[arg-type]
            raise OSError(f"{config.host}:{config.port} cannot be listened on: {ex}") from ex
        for listener in self._listeners:
            listener.request_patience_s = request_patience_s
            listener.gate = app.gate
        self.port = int(self._listeners[0].effective_port)  # type: ignore[attr-defined]
        self.url = f"http://[{config.host}]:{self.port}" if ":" in config.host else f"http://{config.host}:{self.port}"
        self._stopping = Event()
        self._deadline = 0.0
        self._thread = Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def stop(self, patience_s: float = STOP_PATIENCE_S) -> None:
        """Take no more requests, let those that run finish for up to `patience_s`, then end. Idempotent."""
        if not self._stopping.is_set():
            self._deadline = time.monotonic() + patience_s
            self._stopping.set()
            self._listeners[0].pull_trigger()
        self._thread.join()

    def _listen(self, app: App, config: Config) -> list[Listener]:
        knobs = Knobs(
            host=config.host,
            port=config.port,
            threads=config.http_threads,
            ident=None,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_S,
            cleanup_interval=5,
            # Lets waitress notice a caller that left, so that what it asked for is not begun any more.
            channel_request_lookahead=1,
            max_request_header_size=LARGEST_HEADERS,
            # waitress refuses a body of exactly its limit; ours is still allowed.
            max_request_body_size=LARGEST_BODY + 1,
            inbuf_overflow=2 * LARGEST_BODY,
            asyncore_use_poll=True,
            # What proxies say is believed in nothing, but that they are there (auth.py).
            clear_untrusted_proxy_headers=False,
        )
        knobs.uploads = copy(knobs)
        # As base64, with the rest of the message beside it.
        knobs.uploads.max_request_body_size = config.media_max_bytes * 4 // 3 + 2 * LARGEST_BODY
        # A name such as localhost has two addresses; the system would choose two ports for them.
        addresses = knobs.listen if config.port else knobs.listen[:1]
        return [
            Listener(app, self._map, dispatcher=self._lanes, adj=knobs, sockinfo=address)  # type: ignore[arg-type]
            for address in addresses
        ]

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn(LOOP_S)
        for listener in self._listeners:
            listener.end_listening()
        if not (drained := self._drain(self._deadline - LAST_WORD_S)):
            self._release()
            drained = self._drain(self._deadline)
        for listener in self._listeners:
            for channel in list(listener.active_channels.values()):
                channel.end()
        self._lanes.shutdown(1 if drained else 0)
        for listener in self._listeners:
            listener.end_pipe()

    def _drain(self, deadline: float) -> bool:
        """Let what runs finish until then; whether all of it has."""
        while not all(listener.end_idle() for listener in self._listeners):
            patience_s = deadline - time.monotonic()
            if patience_s <= 0:
                return False
            self._turn(min(patience_s, LOOP_S))
        return True

    def _turn(self, timeout_s: float) -> None:
        """One turn of the I/O loop. An error costs a moment, not the server."""
        try:
            wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._map, count=1)  # type: ignore[arg-type]
        except Exception as ex:
            log.error("the HTTP loop stumbled", action="http_stumbled", exc_info=ex)
            time.sleep(0.1)


def start_http(
    manager: Manager,
    config: Config,
    playground: Playground | None = None,
    *,
    request_patience_s: float = REQUEST_PATIENCE_S,
) -> Serving:
    """Serve `manager` on `config.host` and `config.port` (0: any that is free) until `stop`.

    Raises OSError if that address cannot be had.
    """
    # One line for each request that waits a moment helps nobody.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return Serving(create_app(manager, config, playground), config, request_patience_s, manager.release_callers)
