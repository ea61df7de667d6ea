"""The dashboard's session: a browser shows a key once and then a cookie that no script can read.

Sessions live in memory only, end after 12 hours, with their key, and with the manager. Nodes that share a log keep them in
its database, by the digests of their tokens: whoever is signed in at one is so at all.
"""

import secrets
import time
from collections.abc import Callable
from threading import Lock
from typing import Protocol

import msgspec

from chatbot_erp.actors.api_keys import Grant, digest
from chatbot_erp.http.auth import Caller, Doorkeeper, cookie_of, is_own_origin, session_of
from chatbot_erp.http.bodies import parse
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import json_body
from chatbot_erp.http.problems import FOREIGN_ORIGIN, RequestRefused
from chatbot_erp.http.session_payloads import SignInRequest, session

LASTS_S = 12 * 3600
MOST_SESSIONS = 1024
KIND = "dashboard-session"


class Kept(msgspec.Struct, frozen=True):
    """Who is signed in, and until when, in seconds by the clock of `Sessions`."""

    ends_at: float
    caller: Caller


class Shelf(Protocol):
    """The part of a vault that is needed. Every method may raise a `StoreError`."""

    def put(self, kind: str, owner: str, secret: bytes, /) -> None: ...
    def get(self, kind: str, owner: str, /) -> bytes | None: ...
    def all(self, kind: str, /) -> dict[str, bytes]: ...
    def delete(self, kind: str, owner: str, /) -> bool: ...


class Memory:
    """A shelf that ends with the process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._lock = Lock()

    def put(self, kind: str, owner: str, secret: bytes, /) -> None:
        with self._lock:
            self._kept[owner] = secret

    def get(self, kind: str, owner: str, /) -> bytes | None:
        return self._kept.get(owner)

    def all(self, kind: str, /) -> dict[str, bytes]:
        with self._lock:
            return dict(self._kept)

    def delete(self, kind: str, owner: str, /) -> bool:
        with self._lock:
            return self._kept.pop(owner, None) is not None


class Sessions:
    """Who is signed in; any thread. Methods raise what the shelf raises."""

    def __init__(
        self, doorkeeper: Doorkeeper, shelf: Shelf | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        self._doorkeeper = doorkeeper
        self._shelf = shelf or Memory()
        # In memory nobody's clock but this machine's counts, whatever it is set to.
        self._clock = clock or (time.monotonic if shelf is None else time.time)

    def begin(self, caller: Caller) -> str:
        """Sign a caller in; the token for the cookie."""
        self._make_room()
        token = secrets.token_urlsafe(32)
        self._shelf.put(KIND, name_of(token), msgspec.json.encode(Kept(self._clock() + LASTS_S, caller)))
        return token

    def find(self, token: str) -> Caller | None:
        """Who has this token, with what the key grants by now."""
        kept = self._shelf.get(KIND, name_of(token))
        if kept is None:
            return None
        session = msgspec.json.decode(kept, type=Kept)
        if self._clock() >= session.ends_at:
            self.end(token)
            return None
        return self._doorkeeper.still(session.caller)

    def end(self, token: str) -> None:
        """Sign out. Harmless when repeated."""
        self._shelf.delete(KIND, name_of(token))

    def _make_room(self) -> None:
        kept = {owner: msgspec.json.decode(each, type=Kept).ends_at for owner, each in self._shelf.all(KIND).items()}
        newest = sorted(kept, key=kept.__getitem__, reverse=True)[: MOST_SESSIONS - 1]
        now = self._clock()
        for owner in kept.keys() - {each for each in newest if kept[each] > now}:
            self._shelf.delete(KIND, owner)


def name_of(token: str) -> str:
    """What a session is kept as: who reads it there cannot use it."""
    return digest(token.encode(errors="replace"))


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
        req.key = caller.key_id
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
