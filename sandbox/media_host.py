"""Where media lies: the hosts that `media_conn` names, which keep encrypted files and give them out again.

A client uploads with `POST /mms/<type>/<hash>?auth=…&token=<hash>`, where the hash is the SHA-256 of what it sends, in
URL-safe base64, and is told the path under which everybody finds it; a download is `GET <path>&hash=…&mms-type=…`
(whatsmeow, upload.go rawUpload and DeleteMedia, download.go DownloadMediaWithPath). A file that WhatsApp never had, or
has no longer, is answered with 404 or 410.

Only HTTP/1.1 with a Content-Length is spoken: no client of WhatsApp's needs more. Files go between the connection and
the disk in pieces, so that one of 64 MB costs no memory.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from chatbot_erp.sandbox.faults import CutMedia, RefuseMedia
from chatbot_erp.sandbox.nodes import Node

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Account
    from chatbot_erp.sandbox.network import NetworkState

HOSTS = ("media-gru1-1.cdn.whatsapp.net", "mmg.whatsapp.net")
PIECE = 1 << 18
_HEAD_LIMIT = 16_384
_LARGEST = 256 << 20
_KEPT_FILES = 2_000
_KEPT_BYTES = 1 << 30
_FOLDER = "/v/t62.7118-24/"
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"} | {
    410: "Gone",
    411: "Length Required",
    413: "Content Too Large",
}


class Refusal(Exception):
    """Raised to answer a request with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Cut(ConnectionError):
    """Raised to end a connection in the middle of a file."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    owner: Account


class _Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def last(self) -> bool:
        """Whether the client wants the connection closed after the answer."""
        return self.headers.get("connection", "").lower() == "close"


class MediaHost:
    """The files of one network, in one directory. The oldest go when they get too many or too large."""

    def __init__(self, network: NetworkState, directory: Path) -> None:
        self._network = network
        self._directory = directory
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._bytes = 0
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._owners: dict[str, Account] = {}
        self._tokens: dict[str, str] = {}
        directory.mkdir(exist_ok=True)

    def token(self, account: Account) -> str:
        """What proves to these hosts who uploads."""
        token = self._tokens.get(account.number)
        if token is None:
            token = self._tokens[account.number] = secrets.token_urlsafe(24)
            self._owners[token] = account
        return token

    def describe(self, account: Account) -> Node:
        """The answer to `<iq xmlns="w:m"><media_conn/>` (whatsmeow, mediaconn.go queryMediaConn)."""
        attrs = {"auth": self.token(account), "ttl": "300", "auth_ttl": "21600", "max_buckets": "12"}
        hosts = [
            Node("host", {"hostname": host, "type": kind})
            for host, kind in zip(HOSTS, ("primary", "fallback"), strict=True)
        ]
        return Node("media_conn", dict(attrs), hosts)

    def forget(self, direct_path: str) -> None:
        """Have a file no longer, as WhatsApp does after some weeks: it is answered with 410 from now on."""
        name = urlsplit(direct_path).path.removeprefix(_FOLDER)
        self._remove(name)
        self._gone[name] = None
        if len(self._gone) > _KEPT_FILES:
            self._gone.popitem(last=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        try:
            last = False
            while not last:
                try:
                    request = _parse(await reader.readuntil(b"\r\n\r\n"))
                    last = request.last
                    await self._answer(request, reader, writer)
                except Refusal as ex:
                    # A body that was not read would be taken for the next request.
                    last = True
                    _head(writer, ex.status, 0, last=True)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match request.method:
            case "POST":
                await self._take(request, reader, writer)
            case "GET":
                await self._give(request, writer)
            case "DELETE":
                self._refuse(self._owner(request))
                path = base64.urlsafe_b64decode(request.query.get("d_md", [""])[0] + "==").decode()
                self._remove(path.removeprefix(_FOLDER))
                _head(writer, 200, 0, request.last)
            case _:
                raise Refusal(405)

    def _owner(self, request: _Request) -> Account:
        owner = self._owners.get(request.query.get("auth", [""])[0])
        if owner is None:
            raise Refusal(401)
        return owner

    @staticmethod
    def _refuse(account: Account) -> None:
        refusal = account.conditions.use(RefuseMedia)
        if refusal is not None:
            raise Refusal(refusal.status)

    async def _take(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        owner = self._owner(request)
        self._refuse(owner)
        try:
            wanted = base64.urlsafe_b64decode(request.path.rpartition("/")[2])
            size = int(request.headers["content-length"])
        except (KeyError, ValueError, binascii.Error):
            raise Refusal(411 if "content-length" not in request.headers else 400) from None
        if size > _LARGEST:
            raise Refusal(413)
        name = f"{secrets.token_hex(16)}_n.enc"
        path = self._directory / name
        try:
            cut = owner.conditions.use(CutMedia)
            digest = await _receive(reader, path, min(size, cut.after) if cut else size)
            if cut is not None:
                raise _Cut
            if digest != wanted:
                raise Refusal(400)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._keep(name, _File(path, size, owner))
        direct_path = f"{_FOLDER}{name}?ccb=11-4&oh={secrets.token_hex(8)}&oe=70000000&_nc_sid=5e03e0"
        answer = msgspec.json.encode({"url": f"https://{HOSTS[-1]}{direct_path}&mms3=true", "direct_path": direct_path})
        _head(writer, 200, len(answer), request.last)
        writer.write(answer)

    async def _give(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        name = request.path.removeprefix(_FOLDER)
        file = self._files.get(name)
        if file is None:
            raise Refusal(410 if name in self._gone else 404)
        self._refuse(file.owner)
        cut = file.owner.conditions.use(CutMedia)
        with file.path.open("rb") as source:
            _head(writer, 200, file.size, request.last)
            while piece := source.read(cut.after if cut else PIECE):
                writer.write(piece)
                await writer.drain()
                if cut is not None:
                    raise _Cut

    def _keep(self, name: str, file: _File) -> None:
        self._files[name] = file
        self._bytes += file.size
        while len(self._files) > _KEPT_FILES or self._bytes > _KEPT_BYTES:
            self._remove(next(iter(self._files)))

    def _remove(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            self._bytes -= file.size
            file.path.unlink()


async def _receive(reader: asyncio.StreamReader, path: Path, size: int) -> bytes:
    """Write a body to a file. Returns its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as target:
        while size:
            piece = await reader.read(min(size, PIECE))
            if not piece:
                raise ConnectionError("the upload ended too early")
            digest.update(piece)
            target.write(piece)
            size -= len(piece)
    return digest.digest()


def _parse(head: bytes) -> _Request:
    if len(head) > _HEAD_LIMIT:
        raise Refusal(400)
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _ = first.split(" ")
    except ValueError:
        raise Refusal(400) from None
    parts = urlsplit(target)
    fields = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return _Request(method, unquote(parts.path), parse_qs(parts.query), headers)


def _head(writer: asyncio.StreamWriter, status: int, size: int, last: bool) -> None:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Refused')}", f"Content-Length: {size}"]
    if last:
        lines.append("Connection: close")
    writer.write("\r\n".join([*lines, "", ""]).encode())
