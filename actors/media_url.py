"""Fetches the file that a caller names by URL, under the same guards as a webhook: it may lead anywhere."""

import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from chatbot_erp.actors.errors import BadMediaUrl, BadWebhookUrl, MediaTooLarge
from chatbot_erp.actors.webhook_address import Deny, target
from chatbot_erp.actors.webhook_dial import dial, secure
from chatbot_erp.actors.webhook_post import TLS, class_of

DEADLINE_S = 120.0
CHUNK = 256 * 1024
HEADERS = {"User-Agent": "chatbot-erp", "Accept": "*/*", "Accept-Encoding": "identity"}


class Fetched:
    """An answer whose body is still to come, in pieces."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.mime_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def __iter__(self) -> Iterator[bytes]:
        """Raises `BadMediaUrl` where the body breaks off or takes too long."""
        announced, come = announced_bytes(self._response), 0
        try:
            while piece := self._response.read1(CHUNK, decode_content=False):
                come += len(piece)
                yield piece
        except (OSError, HTTPError, HTTPException) as ex:
            raise BadMediaUrl(f"The file broke off ({_class_of(ex)}).") from ex
        if announced is not None and come != announced:
            raise BadMediaUrl("The file broke off.")


def announced_bytes(response: HTTPResponse) -> int | None:
    """What the answer says of its length; None where it says nothing that can be one."""
    text = response.headers.get("Content-Length", "")
    # Twenty digits are more than there is, and no more than Python reads as a number.
    return int(text.lstrip("0")[:20] or "0") if text.isascii() and text.isdecimal() else None


class UrlFetcher:
    """`deny` as in `--webhook-deny`; `most` bytes."""

    def __init__(self, deny: tuple[str, ...], most: int, *, deadline_s: float = DEADLINE_S) -> None:
        self._deny = Deny.of(deny)
        self._most = most
        self._deadline_s = deadline_s

    def open(self, url: str) -> "closing[_Visit]":
        """For a `with` block, whose `file` is what was found. Raises `BadMediaUrl`, `MediaTooLarge`.

        One request, no redirect is followed, and all of it ends at the deadline.
        """
        return closing(_Visit(url, self._deny, self._most, time.monotonic() + self._deadline_s))


class _Visit:
    def __init__(self, url: str, deny: Deny, most: int, deadline: float) -> None:
        try:
            to = target(url, "URL of the file")
        except BadWebhookUrl as ex:
            raise BadMediaUrl(str(ex)) from ex
        self._line = HTTPSConnection(to.host, to.port) if to.scheme == "https" else HTTPConnection(to.host, to.port)
        try:
            plain, _ = dial(to.host, to.port, deny, deadline)
            self._line.sock = secure(plain, to.host, TLS) if to.scheme == "https" else plain
            self._line.request("GET", to.path, headers=HEADERS, preload_content=False, decode_content=False)
            response = self._line.getresponse()
        except Exception as ex:
            self.close()
            raise BadMediaUrl(f"The file could not be fetched ({_class_of(ex)}).") from ex
        if response.status != 200:
            self.close()
            raise BadMediaUrl(f"The URL of the file answers {response.status}.")
        announced = announced_bytes(response)
        if announced is not None and announced > most:
            self.close()
            raise MediaTooLarge(f"The file has more than {most} bytes.")
        self.file = Fetched(response)

    def close(self) -> None:
        self._line.close()


def _class_of(ex: Exception) -> str:
    """The class of a failure, in the words for webhooks. Raises it again where it is no doing of the other side."""
    if isinstance(ex, HTTPError | HTTPException):
        return "protocol"
    error = class_of(ex)
    if error == "internal":
        raise ex
    return error
