"""The dashboard's session: a browser shows a key once and then a cookie that no script can read.

Sessions live in memory only, end after 12 hours, with their key, and with the manager.
"""

import secrets
import time
from collections.abc import Callable
from threading import Lock

from chatbot_erp.actors.api_keys import Grant
from chatbot_erp.http.auth import NOBODY_ELSE, Caller, Doorkeeper, cookie_of, is_own_origin, session_of
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import json_body
from chatbot_erp.http.payloads import parse
from chatbot_erp.http.problems import FOREIGN_ORIGIN, RequestRefused
from chatbot_erp.http.session_payloads import SignInRequest, session

LASTS_S = 12 * 3600
SESSIONS_IN_MEMORY = 1024


class Sessions:
    """Who is signed in; any thread."""

    def __init__(self, doorkeeper: Doorkeeper, clock: Callable[[], float] = time.monotonic) -> None:
        self._doorkeeper = doorkeeper
        self._clock = clock
        self._callers: dict[str, tuple[float, Caller]] = {}
        self._lock = Lock()

    def begin(self, caller: Caller) -> str:
        """Sign a caller in; the token for the cookie."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._callers[token] = (self._clock() + LASTS_S, caller)
            while len(self._callers) > SESSIONS_IN_MEMORY:
                del self._callers[next(iter(self._callers))]
        return token

    def find(self, token: str) -> Caller | None:
        """Who has this token, with what the key grants by now."""
        ends_at, caller = self._callers.get(token, (0.0, NOBODY_ELSE))
        if self._clock() >= ends_at:
            self.end(token)
            return None
        return self._doorkeeper.still(caller)

    def end(self, token: str) -> None:
        """Sign out. Harmless when repeated."""
        with self._lock:
            self._callers.pop(token, None)


class Session:
    """The session of the browser that asks."""

    def __init__(self, doorkeeper: Doorkeeper, sessions: Sessions, *, sandbox: bool) -> None:
        self._doorkeeper = doorkeeper
        self._sessions = sessions
        self._sandbox = sandbox

    def on_get(self, req: Request, resp: Response) -> None:
        self._show(resp, req.grant)

    def on_put(self, req: Request, resp: Response) -> None:
        refuse_other_pages(req)
        shown = parse(json_body(req), SignInRequest)
        caller = self._doorkeeper.recognise(shown.key.encode(errors="replace"), req.remote_addr)
        resp.set_cookie(
            cookie_of(req),
            self._sessions.begin(caller),
            max_age=LASTS_S,
            path="/",
            http_only=True,
            same_site="Strict",
            # A proxy in front may speak TLS: the page's own address, which the browser names, says so.
            secure=req.get_header("Origin", default="").startswith("https:"),
        )
        self._show(resp, caller.grant)

    def on_delete(self, req: Request, resp: Response) -> None:
        refuse_other_pages(req)
        token = session_of(req)
        if token is not None:
            self._sessions.end(token)
        resp.unset_cookie(cookie_of(req), path="/", same_site="Strict")
        resp.status = 204

    def _show(self, resp: Response, grant: Grant | None) -> None:
        resp.send(session(grant, needs_key=not self._doorkeeper.needs_no_key(), sandbox=self._sandbox))


def refuse_other_pages(req: Request) -> None:
    """Raise `RequestRefused` for a page that wants to sign its visitor in or out here."""
    if req.get_header("Origin") is not None and not is_own_origin(req):
        raise RequestRefused(FOREIGN_ORIGIN)
