"""Files of messages: fetched from WhatsApp's media servers and decrypted on the way to the disk.

neonize can only download into memory, in four copies. Nothing about a download needs the library: the message has the
path and the key, and the servers ask for neither session nor connection. So this is the one thing that a host does
with WhatsApp by itself. Source of the format: whatsmeow, download.go.
"""

import base64
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import urllib3
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from chatbot_erp.actors.media_frames import Reason
from chatbot_erp.actors.media_specs import Media
from chatbot_erp.actors.wa_proxy import pool_for

ORIGIN = "https://mmg.whatsapp.net"
"""Serves every file. The library is told of nearer hosts for each connection, which the address in a message is not
bound to; a host that a peer names is never asked."""

REFERER = "https://web.whatsapp.com"
CHUNK = 256 * 1024
CONNECT_TIMEOUT_S, SILENCE_S, DEADLINE_S = 10.0, 30.0, 600.0
ATTEMPTS, PAUSE_S = 3, 1.0
BLOCK, MAC = 16, 10
_GONE = (403, 404, 410)


class FetchFailed(Exception):
    """Raised where a file cannot be had; `reason` says whether it ever will."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Fetcher:
    """Fetches files. Any thread may; `stop` ends what is under way."""

    def __init__(self, origin: str = ORIGIN, *, pause_s: float = PAUSE_S) -> None:
        self._origin = origin
        self._pause_s = pause_s
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Have every fetch fail with `interrupted`, now and from now on."""
        self._stopping.set()

    def fetch(self, media: Media, target: Path, *, most: int, spare: int = 0) -> int:
        """Write the decrypted file to `target`, which must not exist; its size. Raises `FetchFailed`, and no file is left.

        The file is whole: its checksums and its code of authenticity are right. It has at most `most` bytes, and
        leaves `spare` bytes of the disk free.
        """
        if media.size > most:
            raise FetchFailed("large", f"The file has {media.size} bytes; {most} are fetched at most.")
        if not media.path.startswith("/") or len(media.key) != 32:
            raise FetchFailed("damaged", "The message gives no address or no key for its file.")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with _fresh(target, spare) as write:
                    return self._stream(media, write, most)
            except FetchFailed as ex:
                if ex.reason != "unreachable" or attempt == ATTEMPTS:
                    raise
            except urllib3.exceptions.HTTPError as ex:
                if attempt == ATTEMPTS:
                    raise FetchFailed("unreachable", f"{type(ex).__name__}: {ex}") from ex
            except OSError as ex:
                raise FetchFailed("disk", str(ex)) from ex
            self._stopping.wait(self._pause_s * attempt)
        raise AssertionError("The last attempt returns or raises.")

    def _stream(self, media: Media, write: Callable[[bytes], object], most: int) -> int:
        opened = Opened(media, most)
        size = 0
        with self._answer(media) as chunks:
            for chunk in chunks:
                if self._stopping.is_set():
                    raise FetchFailed("interrupted", "The socket host is ending.")
                size += _put(opened.take(chunk), write)
        return size + _put(opened.end(), write)

    @contextmanager
    def _answer(self, media: Media) -> Iterator[Iterator[bytes]]:
        token = base64.urlsafe_b64encode(media.encrypted_sha256).decode()
        url = f"{self._origin}{media.path}&hash={token}&mms-type={media.category}&__wa-mms="
        deadline = time.monotonic() + DEADLINE_S
        with pool_for(self._origin) as pool:
            answer = pool.request(
                "GET",
                url,
                headers={"Origin": REFERER, "Referer": f"{REFERER}/"},
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=SILENCE_S),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                if answer.status in _GONE:
                    raise FetchFailed("gone", f"WhatsApp's media server answers {answer.status}.")
                if answer.status != 200:
                    raise FetchFailed("unreachable", f"WhatsApp's media server answers {answer.status}.")
                yield _until(deadline, answer.stream(CHUNK))
            finally:
                answer.close()


class Keys(NamedTuple):
    """What the key in a message opens its file with."""

    iv: bytes
    cipher: bytes
    mac: bytes


def keys_of(key: bytes, purpose: str) -> Keys:
    """The keys behind the key in a message."""
    expanded = HKDF(SHA256(), 112, None, purpose.encode()).derive(key)
    return Keys(expanded[:16], expanded[16:48], expanded[48:80])


class Opened:
    """Decrypts a file piece by piece: AES-CBC, then ten bytes of an HMAC over the IV and all that was encrypted."""

    def __init__(self, media: Media, most: int) -> None:
        keys = keys_of(media.key, media.purpose)
        self._media = media
        self._decryptor = Cipher(AES(keys.cipher), CBC(keys.iv)).decryptor()
        self._padding = PKCS7(8 * BLOCK).unpadder()
        self._mac = hmac.new(keys.mac, keys.iv, hashlib.sha256)
        self._encrypted, self._plain = hashlib.sha256(), hashlib.sha256()
        self._reason: Reason = "damaged" if media.size else "large"
        self._left = ((media.size or most) // BLOCK + 1) * BLOCK + MAC
        self._tail = b""

    def take(self, chunk: bytes) -> bytes:
        """The next piece, as far as it can be read already."""
        self._left -= len(chunk)
        if self._left < 0:
            raise FetchFailed(self._reason, "The file is larger than its message says, or than is fetched.")
        self._encrypted.update(chunk)
        known = self._tail + chunk
        body, self._tail = known[:-MAC], known[-MAC:]
        self._mac.update(body)
        return self._read(self._padding.update(self._decryptor.update(body)))

    def end(self) -> bytes:
        """The last piece. Raises `FetchFailed` if any of it is not what its sender sent."""
        if not hmac.compare_digest(self._mac.digest()[:MAC], self._tail):
            raise FetchFailed("damaged", "The file does not belong to the key in its message.")
        try:
            last = self._read(self._padding.update(self._decryptor.finalize()) + self._padding.finalize())
        except ValueError as ex:
            raise FetchFailed("damaged", "The file is cut off.") from ex
        sums = ((self._encrypted, self._media.encrypted_sha256), (self._plain, self._media.sha256))
        if any(said and said != found.digest() for found, said in sums):
            raise FetchFailed("damaged", "The file is not the one that its message names.")
        return last

    def _read(self, plain: bytes) -> bytes:
        self._plain.update(plain)
        return plain


@contextmanager
def _fresh(target: Path, spare: int) -> Iterator[Callable[[bytes], object]]:
    """Writes a new file that only we can read; it is gone again if anything goes wrong, or the disk is all but full."""

    def write(piece: bytes) -> None:
        disk = os.fstatvfs(descriptor)
        if disk.f_bavail * disk.f_frsize < spare + len(piece):
            raise FetchFailed("disk", f"No file is fetched into the last {spare >> 20} MiB of the disk.")
        file.write(piece)

    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            yield write
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _put(piece: bytes, write: Callable[[bytes], object]) -> int:
    write(piece)
    return len(piece)


def _until(deadline: float, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if time.monotonic() > deadline:
            raise FetchFailed("unreachable", "WhatsApp's media server is too slow.")
        yield chunk
