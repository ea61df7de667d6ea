"""Who calls, and whether they may: by key, by the dashboard's session, or as a program of this machine.

Which scope a call needs is one word in its row of operations.py. What has no row there is for those who may do all.
"""

import time
from collections.abc import Callable
from hmac import compare_digest
from urllib.parse import urlsplit

import msgspec

from chatbot_erp.actors.api_keys import EVERYTHING, Grant, KeyRing, Scope, digest
from chatbot_erp.actors.config import Config, is_loopback
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.http import queries
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.health import HEALTH_CALLS
from chatbot_erp.http.operation import Operation
from chatbot_erp.http.operations import OPERATIONS
from chatbot_erp.http.problems import (
    FOREIGN_HOST,
    FOREIGN_ORIGIN,
    NOT_ALLOWED,
    TOO_MANY_FAILURES,
    UNAUTHENTICATED,
    RequestRefused,
)
from chatbot_erp.http.throttle import Throttle

OPEN_PATHS = frozenset(each.path for each in OPERATIONS if each.scope is None and "{" not in each.path)
OPEN_FOLDERS = ("/static/", "/problems/")
BY_ROUTE = {(each.method, each.path): each for each in OPERATIONS}
MASTER = "--api-key"
COOKIE = "chatbot-erp"
"""The name of the session's cookie, with the port if the address has one: cookies do not tell ports apart."""

READING = ("GET", "HEAD", "OPTIONS")
OF_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""What proxies say of whom they speak for."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: the id of a key on the ring (or `MASTER`), the key's digest, and what it grants."""

    key_id: str
    digest: str
    grant: Grant


NOBODY_ELSE = Caller(key_id="", digest="", grant=EVERYTHING)
"""A program of this machine, where no key was ever made."""


class Doorkeeper:
    """Knows the keys. Any thread; methods may raise a `StoreError`."""

    def __init__(self, config: Config, ring: KeyRing, clock: Callable[[], float] = time.monotonic) -> None:
        self._master = digest(config.api_key.encode()) if config.api_key is not None else None
        self._loopback = is_loopback(config.host)
        self._ring = ring
        self._throttle = Throttle(clock)

    def needs_no_key(self) -> bool:
        """Whether programs of this machine may call as they are. Beyond loopback nobody may."""
        return self._master is None and self._loopback and self._ring.is_empty()

    def recognise(self, key: bytes, address: str) -> Caller:
        """Whose key this is. Raises `RequestRefused`: nobody's, or too many wrong ones came from that address."""
        shown = digest(key)
        if self._throttle.blocks(address, shown):
            raise RequestRefused(TOO_MANY_FAILURES)
        caller = self._owner(key, shown)
        if caller is None:
            self._throttle.failed(address)
            raise RequestRefused(UNAUTHENTICATED)
        self._throttle.proved(address, shown)
        return caller

    def still(self, caller: Caller) -> Caller | None:
        """The caller with what its key grants now, or None if the key was revoked, or is not this manager's any more."""
        if caller.key_id == MASTER:
            is_ours = self._master is not None and compare_digest(caller.digest, self._master)
            return caller if is_ours else None
        record = self._ring.get(caller.key_id)
        if record is None or record.revoked_at is not None:
            return None
        return msgspec.structs.replace(caller, grant=record.grant)

    def _owner(self, key: bytes, shown: str) -> Caller | None:
        if self._master is not None and compare_digest(shown, self._master):
            return Caller(key_id=MASTER, digest=shown, grant=EVERYTHING)
        record = self._ring.find(key)
        return Caller(key_id=record.id, digest=shown, grant=record.grant) if record is not None else None


class Gate:
    """Before anything is done: who calls (`process_request`), and may they do this (`process_resource`)."""

    def __init__(self, doorkeeper: Doorkeeper, find_session: Callable[[str], Caller | None]) -> None:
        self._doorkeeper = doorkeeper
        self._find_session = find_session

    def process_request(self, req: Request, resp: Response) -> None:
        """Raises `RequestRefused` for a missing or wrong key, and for what a foreign page made a browser send.

        Where the keys cannot be read just now, nobody gets in, but what is open to everyone is answered.
        """
        if req.method == "GET" and req.path in HEALTH_CALLS:
            return
        try:
            caller = self._caller(req)
        except StoreError:
            if not is_open(req.path):
                raise
            caller = None
        if caller is not None:
            req.caller, req.key, req.grant = caller.digest, caller.key_id or None, caller.grant
        elif not is_open(req.path):
            raise RequestRefused(UNAUTHENTICATED)

    def process_resource(self, req: Request, resp: Response, resource: object, params: dict[str, str]) -> None:
        """Raises `RequestRefused` for what the key does not allow."""
        operation, name = asked_for(req, params)
        if operation is None or operation.scope is not None:
            check(req.grant, operation, name)

    def still_opens(self, req: Request) -> bool:
        """Whether the call of an answer that goes on and on would be let in now: keys and sessions end meanwhile.

        Where the keys cannot be read it is not: the caller comes back, and is told.
        """
        try:
            caller = self._caller(req)
            check(caller.grant if caller is not None else None, *asked_for(req, {}))
        except (RequestRefused, StoreError):
            return False
        return True

    def _caller(self, req: Request) -> Caller | None:
        if self._doorkeeper.needs_no_key():
            refuse_foreign_pages(req)
            return NOBODY_ELSE
        keys = keys_of(req)
        if keys:
            return self._bearer(req, keys)
        token = session_of(req)
        caller = self._find_session(token) if token is not None else None
        if caller is not None and req.method not in READING:
            refuse_foreign_writes(req)
        return caller

    def _bearer(self, req: Request, keys: list[bytes]) -> Caller | None:
        """The owner of the keys shown: one that is right is enough."""
        refusal = None
        for key in keys:
            try:
                return self._doorkeeper.recognise(key, req.remote_addr)
            except RequestRefused as ex:
                refusal = ex
        if refusal is not None and not is_open(req.path):
            raise refusal
        return None


def is_open(path: str) -> bool:
    """Whether a path needs no key: health, and pages that say the same to everyone."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def asked_for(req: Request, params: dict[str, str]) -> tuple[Operation | None, str | None]:
    """The row of a call, and the name of the instance it is about."""
    method, path = req.method, req.uri_template or ""
    name = params.get("name")
    if path == "/instances/create" and method != "POST":
        path, name = "/instances/{name}", "create"
    operation = BY_ROUTE.get((method, path))
    if operation is not None and name is None and "instance" in operation.parameters:
        name = queries.one(req, "instance")
    return operation, name


def check(grant: Grant | None, operation: Operation | None, name: str | None) -> None:
    """Raise `RequestRefused` unless the grant allows the operation on the instance."""
    if grant is None:
        raise RequestRefused(UNAUTHENTICATED)
    scope = operation.scope if operation is not None and operation.scope is not None else Scope.MANAGE
    if not grant.allows(scope):
        raise RequestRefused(NOT_ALLOWED, f"The call needs a key with the scope '{scope}'.")
    if name is not None:
        check_reach(grant, name)
    elif grant.instances is not None and not (operation is not None and operation.narrows):
        raise RequestRefused(NOT_ALLOWED, "The key is for some instances only; this call is about all of them.")


def check_reach(grant: Grant | None, name: str) -> None:
    """Raise `RequestRefused` unless the grant is for the instance, whether there is one of that name or not."""
    if grant is None or not grant.reaches(name):
        raise RequestRefused(NOT_ALLOWED, "The key is for other instances.")


def keys_of(req: Request) -> list[bytes]:
    """The keys that a request shows, as the bytes that came (WSGI hands them over as latin-1)."""
    keys = [req.get_header("X-API-Key", default="")]
    scheme, _, token = req.get_header("Authorization", default="").partition(" ")
    if scheme.lower() == "bearer":
        keys.append(token.strip())
    return [key.encode("latin-1") for key in keys if key]


def session_of(req: Request) -> str | None:
    """The dashboard's session that a browser sends along, unless it says that another site made it do so."""
    if not comes_from_us(req):
        return None
    values = req.get_cookie_values(cookie_of(req))
    return values[0] if values else None


def cookie_of(req: Request) -> str:
    """What the session's cookie is called at the address that the browser knows."""
    try:
        port = urlsplit(f"//{req.env.get('HTTP_HOST', '')}").port
    except ValueError:
        port = None
    return COOKIE if port is None else f"{COOKIE}-{port}"


def refuse_foreign_writes(req: Request) -> None:
    """Raise `RequestRefused` unless the browser says that a page of ours wants a change.

    The cookie is SameSite=Strict, but a site is more than an origin: another port of this machine is the same site.
    """
    if not is_own_origin(req) and req.get_header("Sec-Fetch-Site") != "same-origin":
        raise RequestRefused(FOREIGN_ORIGIN)


def refuse_foreign_pages(req: Request) -> None:
    """Where no key guards a loopback manager, keep web pages out that this machine's browser shows.

    A page elsewhere can make the browser call 127.0.0.1, by a form or script (its Origin tells), by a picture or link
    (Sec-Fetch-Site tells; a link to the dashboard is all right) or by giving its own host name the address 127.0.0.1
    (its Host tells). Programs that are no browser send neither Origin nor Sec-Fetch-Site.

    And so is whoever comes through a proxy on this machine, as far as it says that it is one: all the world may be behind.
    """
    host = req.env.get("HTTP_HOST")
    if host is not None and not is_loopback(host_name(host)):
        raise RequestRefused(FOREIGN_HOST)
    if any(req.get_header(name) is not None for name in OF_PROXIES):
        raise RequestRefused(FOREIGN_HOST, "It comes through a proxy, and without a key nobody else is to call.")
    if req.get_header("Origin") is not None and not is_own_origin(req):
        raise RequestRefused(FOREIGN_ORIGIN)
    if not is_open(req.path) and not comes_from_us(req):
        raise RequestRefused(FOREIGN_ORIGIN)


def comes_from_us(req: Request) -> bool:
    """Whether a browser says that a page of ours, or its user, caused the request; programs say nothing."""
    return req.get_header("Sec-Fetch-Site", default="none") in ("same-origin", "none")


def is_own_origin(req: Request) -> bool:
    """Whether the request says that a page of this very address made it."""
    host, origin = req.env.get("HTTP_HOST"), req.get_header("Origin")
    return origin is not None and origin.lower() in {f"http://{host}".lower(), f"https://{host}".lower()}


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where it makes no sense."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
