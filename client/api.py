"""A manager's REST interface, typed.

    from chatbot_erp.client.api import Client, Refused

    client = Client("http://127.0.0.1:3000", key="…")
    client.create("empresa_x", "http://127.0.0.1:8080/webhook/whatsapp")
    try:
        client.send_text("empresa_x", "559199999999", "Olá!", idempotency_key="order-42")
    except Refused as refused:
        print(refused.problem.type)

What has no method of its own is asked with `call`. Any thread may use a client; a call that fails is not repeated.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import urllib3

from chatbot_erp.client.shapes import Accepted, Created, Erasure, Event, Fate, Instance, Page, Problem, Sent, Summary

T = TypeVar("T")

PAGE = 500
PIECE = 256 * 1024
TIMEOUT_S = 100.0
"""A send is answered within 90 s, whatever WhatsApp does."""

SECONDS = re.compile(r"[0-9]{1,9}")

UPLOAD_S = 600.0
"""So much longer may one with a file take."""


class ClientError(Exception):
    """The root of what a client raises."""


class Unreachable(ClientError):
    """Raised when no answer came, or one that is not of this program: nobody knows whether the call was carried out. Repeat it with an idempotency key."""


class Refused(ClientError):
    """Raised for an answer that is none of success; `problem` says why.

    `retry_after_s`: when the same call may succeed, where the answer says so; in seconds.
    """

    def __init__(self, problem: Problem, retry_after_s: int | None = None) -> None:
        words = f"{problem.detail or problem.title} {problem.action}".strip()
        wrong = [f"{each.field}: {each.detail}" for each in problem.errors if each.detail != problem.detail]
        super().__init__(" · ".join([words, *wrong]))
        self.problem = problem
        self.retry_after_s = retry_after_s


class Client:
    """One manager, and the key to show there. A URL without a scheme is an http one."""

    def __init__(self, url: str, *, key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._url = (url if "://" in url else f"http://{url}").rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s
        self._pool = urllib3.PoolManager(retries=False)

    def create(self, name: str, webhook_url: str) -> Created:
        """Begin a new instance; its QR code is in `instance` a moment later."""
        return self.call("POST", "/instances/create", {"name": name, "webhookUrl": webhook_url}, answer=Created)

    def instances(self) -> list[Summary]:
        """Every instance that the key may see."""
        return self.call("GET", "/instances", answer=list[Summary])

    def instance(self, name: str) -> Instance:
        """One instance, as it is now."""
        return self.call("GET", _at(name), answer=Instance)

    def send_text(self, name: str, number: str, text: str, *, idempotency_key: str | None = None) -> Sent:
        """Send, and wait for WhatsApp's acknowledgement. The same key never sends twice."""
        body = {"number": number, "message": text}
        path = _at(name, "message")
        return self.call("POST", path, body, idempotency_key=idempotency_key, answer=Sent)

    def accept_text(self, name: str, number: str, text: str, *, idempotency_key: str | None = None) -> Accepted:
        """Have it sent, without waiting for WhatsApp: a webhook and `fate` tell what became of it."""
        body = {"number": number, "message": text}
        path = _at(name, "message")
        return self.call("POST", path, body, idempotency_key=idempotency_key, prefer="respond-async", answer=Accepted)

    def fate(self, name: str, message_id: str) -> Fate:
        """What became of a message, by WhatsApp's id or that of `accept_text`."""
        return self.call("GET", _at(name, "messages", message_id), answer=Fate)

    def send(
        self,
        name: str,
        to: str,
        type: str,  # noqa: A002 - as the JSON calls it
        *,
        file: bytes | Path | None = None,
        file_name: str = "",
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Sent:
        """Send a message of any type, and wait for WhatsApp's acknowledgement; `fields` by the names of the JSON.

        client.send("empresa_x", "559199999999", "document", file=Path("nota.pdf"), text="A nota")
        client.send("empresa_x", "559199999999", "text", text="Sim", quoted={"messageId": "3EB0…"})
        """
        message = {**fields, "to": to, "type": type}
        path = _at(name, "messages")
        if file is None:
            return self.call("POST", path, message, idempotency_key=idempotency_key, answer=Sent)
        with ExitStack() as stack:
            opened = stack.enter_context(file.open("rb")) if isinstance(file, Path) else BytesIO(file)
            name_of_file = file_name or (file.name if isinstance(file, Path) else "file")
            headers, body, length = form(msgspec.json.encode(message), opened, name_of_file)
            headers["Content-Length"] = str(length)
            return self._exchange("POST", path, body, headers, idempotency_key, Sent, patience_s=UPLOAD_S)

    def pairing_code(self, name: str, number: str) -> str:
        """A code that the owner of `number` can type into the phone instead of scanning."""
        answer = self.call("POST", _at(name, "pairing-code"), {"number": number})
        return str(answer["code"])

    def restart(self, name: str) -> None:
        """Have a new socket made, or a new QR code shown."""
        self.call("POST", _at(name, "restart"))

    def change(self, name: str, **fields: Any) -> Instance:
        """Change what an instance was created with, by the names of the JSON: `webhookUrl=…`."""
        return self.call("PATCH", _at(name), fields, answer=Instance)

    def delete(self, name: str, *, unlink: bool = True) -> None:
        """End an instance; without `unlink` a later one of that name takes over its session."""
        self.call("DELETE", _at(name), query={"unlink": str(unlink).lower()})

    def events(self, name: str | None = None, *, after: int = 0, types: tuple[str, ...] = ()) -> Iterator[Event]:
        """The log, or one instance's, from a position on until its present end."""
        path = _at(name, "events") if name is not None else "/events"
        while True:
            query = [("after", str(after)), ("limit", str(PAGE)), *(("type", each) for each in types)]
            page = self.call("GET", path, query=query, answer=Page)
            yield from page.events
            if not page.events:
                return
            after = page.next

    def state(self, name: str, at: int | datetime) -> Any:
        """An instance as it was after a position of the log, or at a moment."""
        moment = at.isoformat() if isinstance(at, datetime) else str(at)
        return self.call("GET", _at(name, "state"), query={"at": moment})

    def erase(self, number: str) -> Erasure:
        """Forget somebody for ever. A second time finds nothing to do."""
        return self.call("DELETE", f"/subjects/{quote(number, safe='')}", answer=Erasure)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | list[tuple[str, str]] | None = None,
        idempotency_key: str | None = None,
        prefer: str | None = None,
        answer: type[T] | None = None,
    ) -> T | Any:
        """Any call of the OpenAPI document: its JSON, as `answer` where given; None where the answer has no body.

        Raises `Refused` or `Unreachable`.
        """
        headers = {}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        if prefer is not None:
            headers["Prefer"] = prefer
        path += f"?{urlencode(query)}" if query else ""
        return self._exchange(method, path, content, headers, idempotency_key, answer)

    def _exchange(
        self,
        method: str,
        path: str,
        content: bytes | Iterator[bytes] | None,
        headers: dict[str, str],
        idempotency_key: str | None,
        answer: type[T] | None,
        *,
        patience_s: float = 0.0,
    ) -> T | Any:
        timeout_s = self._timeout_s + patience_s
        headers |= self._headers
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        try:
            response = self._pool.request(
                method, self._url + path, body=content, headers=headers, timeout=timeout_s, redirect=False
            )
        except urllib3.exceptions.HTTPError as ex:
            raise Unreachable(f"{self._url} does not answer: {ex}") from ex
        if not 200 <= response.status < 300:
            after = response.headers.get("Retry-After", "")
            raise Refused(_problem(response), int(after) if SECONDS.fullmatch(after) else None)
        if not response.data:
            return None
        try:
            return msgspec.json.decode(response.data, type=answer if answer is not None else Any)
        except msgspec.MsgspecError as ex:
            raise Unreachable(f"{self._url} answers, but not as this program does: {ex}") from ex


def _at(name: str, *parts: str) -> str:
    """The path of an instance, or of something it has; whatever a name holds, it is one part of the path."""
    return "/".join(("/instances", *(quote(part, safe="") for part in (name, *parts))))


def form(message: bytes, file: BinaryIO, name: str) -> tuple[dict[str, str], Iterator[bytes], int]:
    """A multipart/form-data body with a message and a file, piece by piece: its headers, itself, its length."""
    boundary = secrets.token_hex(16)
    shown = name.replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="message"\r\nContent-Type: application/json\r\n\r\n'
    ).encode()
    middle = f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{shown}"\r\n\r\n'.encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    size = file.seek(0, 2)
    file.seek(0)

    def body() -> Iterator[bytes]:
        yield head + message + middle
        while piece := file.read(PIECE):
            yield piece
        yield end

    length = len(head) + len(message) + len(middle) + size + len(end)
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body(), length


def _problem(response: urllib3.BaseHTTPResponse) -> Problem:
    """What a refusal says; a proxy in between may say it in words of its own."""
    try:
        return msgspec.json.decode(response.data, type=Problem)
    except msgspec.MsgspecError:
        return Problem(type="about:blank", title=f"HTTP {response.status}", status=response.status)
