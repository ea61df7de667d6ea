"""What people look at, and documents that say the same to everyone. All of it comes from this package's own files."""

from html import escape
from pathlib import Path

import falcon
import msgspec

from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import choose
from chatbot_erp.http.openapi import document
from chatbot_erp.http.problems import CATALOGUE, NOT_FOUND, ProblemType, RequestRefused

STATIC = Path(__file__).with_name("static")
HTML = "text/html; charset=utf-8"


class Page:
    """One of the packaged HTML files."""

    def __init__(self, name: str) -> None:
        self._html = (STATIC / name).read_bytes()

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = HTML
        resp.data = self._html


class ApiDocument:
    """The OpenAPI document."""

    def __init__(self, *, sandbox: bool) -> None:
        self._json = msgspec.json.encode(document(sandbox=sandbox))

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._json


class ProblemPages:
    """What a problem's `type` leads to: its meaning, for people or as JSON."""

    def on_get(self, req: Request, resp: Response, code: str) -> None:
        kind = CATALOGUE.get(code)
        if kind is None:
            raise RequestRefused(NOT_FOUND, "There is no problem of this code.")
        resp.content_type = choose(req, resp, (falcon.MEDIA_JSON, HTML))
        resp.data = page_of(kind) if resp.content_type == HTML else msgspec.json.encode(explanation(kind))


def explanation(kind: ProblemType) -> dict[str, str | int]:
    """A problem's meaning, as JSON."""
    return {"type": f"/problems/{kind.code}", "title": kind.title, "status": kind.status, "action": kind.action}


def page_of(kind: ProblemType) -> bytes:
    """A problem's meaning, for people."""
    template = (STATIC / "problem.html").read_text()
    parts = {"code": kind.code, "status": str(kind.status), "title": kind.title, "action": kind.action}
    for name, text in parts.items():
        template = template.replace(f"{{{{{name}}}}}", escape(text))
    return template.encode()
