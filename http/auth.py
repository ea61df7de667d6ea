"""Who may call: whoever has the API key; without one, programs of this machine, but no web page."""

from hashlib import sha256
from hmac import compare_digest
from urllib.parse import urlsplit

from chatbot_erp.actors.config import is_loopback
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.problems import FOREIGN_HOST, FOREIGN_ORIGIN, UNAUTHENTICATED, RequestRefused

OPEN_PATHS = frozenset({"/", "/docs", "/openapi.json", "/livez", "/readyz"})
OPEN_FOLDERS = ("/static/", "/problems/")


def is_open(path: str) -> bool:
    """Whether a path needs no key: health, and pages that say the same to everyone."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


class ApiKey:
    """Lets in who has the key, in time that says nothing about it."""

    def __init__(self, key: str) -> None:
        self._digest = sha256(key.encode()).digest()

    def process_request(self, req: Request, resp: Response) -> None:
        """Raises `RequestRefused` for a missing or wrong key."""
        given = [sha256(key).digest() for key in keys_of(req)]
        matches = [compare_digest(digest, self._digest) for digest in given]
        if any(matches):
            req.caller = self._digest.hex()
        elif not is_open(req.path):
            raise RequestRefused(UNAUTHENTICATED)


def keys_of(req: Request) -> list[bytes]:
    """The keys that a request shows, as the bytes that came (WSGI hands them over as latin-1)."""
    keys = [req.get_header("X-API-Key", default="")]
    scheme, _, token = req.get_header("Authorization", default="").partition(" ")
    if scheme.lower() == "bearer":
        keys.append(token.strip())
    return [key.encode("latin-1") for key in keys if key]


class NoForeignPages:
    """Where no key guards a loopback manager, keeps web pages out that this machine's browser shows.

    A page elsewhere can make the browser call 127.0.0.1, by a form or script (its Origin tells) or by giving its own
    host name the address 127.0.0.1 (its Host tells). Programs that are no browser send no Origin.
    """

    def process_request(self, req: Request, resp: Response) -> None:
        """Raises `RequestRefused` for a call that a foreign page made."""
        host = req.env.get("HTTP_HOST")
        if host is not None and not is_loopback(host_name(host)):
            raise RequestRefused(FOREIGN_HOST)
        origin = req.get_header("Origin")
        if origin is not None and origin.lower() not in {f"http://{host}".lower(), f"https://{host}".lower()}:
            raise RequestRefused(FOREIGN_ORIGIN)


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where it makes no sense."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
