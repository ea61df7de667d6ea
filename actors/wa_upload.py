"""Files of messages on their way out: encrypted and uploaded to WhatsApp's media servers, piece by piece.

neonize can only upload from memory, in five copies. The format is that of wa_media.py, the other way round (whatsmeow,
upload.go). The servers want the checksum of what comes before it comes, so a file is encrypted twice: that is cheaper
than to keep a second copy of it on the disk.
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec
import urllib3
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from chatbot_erp.actors.media_specs import PURPOSES
from chatbot_erp.actors.wa_client import MediaConnection, Uploaded
from chatbot_erp.actors.wa_media import (
    ATTEMPTS,
    BLOCK,
    CHUNK,
    CONNECT_TIMEOUT_S,
    DEADLINE_S,
    MAC,
    PAUSE_S,
    REFERER,
    SILENCE_S,
    keys_of,
)
from chatbot_erp.actors.wa_proxy import pool_for
from chatbot_erp.actors.wa_verdicts import FailureReason

_STALE = (401, 403)
"""What the servers say to an access that they no longer know."""

_TOO_MANY = 429
_CLOSING = "The socket is closing."

Connect = Callable[[bool], MediaConnection]
"""Where to upload to; True asks for one that is newer than the last."""


class UploadFailed(Exception):
    """Raised where a file is not on the servers; nothing was sent. `reason` says whether WhatsApp did not want it."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class _Answer(msgspec.Struct):
    url: str
    direct_path: str


class Uploader:
    """Uploads files. Any thread may; `stop` ends what is under way."""

    def __init__(self, connect: Connect, *, origin: str | None = None, pause_s: float = PAUSE_S) -> None:
        self._connect = connect
        self._origin = origin
        self._pause_s = pause_s
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Have every upload fail, now and from now on."""
        self._stopping.set()

    def upload(self, path: Path, field: str) -> Uploaded:
        """Encrypt the file for this field of a message, and upload it. Raises `UploadFailed`, and what `connect` raises."""
        purpose, category = PURPOSES[field]
        key = secrets.token_bytes(32)
        try:
            sealed = Sealed(path, key, purpose)
            answer = self._offer(sealed, category)
        except OSError as ex:
            raise UploadFailed("not_uploaded", f"The file could not be read: {ex.strerror}.") from ex
        return Uploaded(
            url=answer.url,
            direct_path=answer.direct_path,
            key=key,
            sha256=sealed.sha256,
            encrypted_sha256=sealed.encrypted_sha256,
            size=sealed.size,
        )

    def _offer(self, sealed: "Sealed", category: str) -> _Answer:
        deadline = time.monotonic() + DEADLINE_S
        renew = False
        for attempt in range(1, ATTEMPTS + 1):
            reason: FailureReason = "not_uploaded"
            try:
                status, body = self._post(sealed, category, self._connect(renew), deadline)
                if status == 200:
                    return msgspec.json.decode(body, type=_Answer)
                trouble = f"WhatsApp's media server answers {status}."
                renew = status in _STALE
                if 400 <= status < 500:
                    reason = "too_many" if status == _TOO_MANY else "refused"
                    if not renew:
                        break
            except msgspec.MsgspecError:
                trouble = "WhatsApp's media server answers something that cannot be read."
            except urllib3.exceptions.HTTPError as ex:
                # Its text would have the address, and in that what proves who uploads.
                trouble = f"WhatsApp's media server cannot be reached ({type(ex).__name__})."
            if attempt < ATTEMPTS and self._stopping.wait(self._pause_s * attempt):
                raise UploadFailed("not_connected", _CLOSING)
        raise UploadFailed(reason, trouble)

    def _post(self, sealed: "Sealed", category: str, to: MediaConnection, deadline: float) -> tuple[int, bytes]:
        token = base64.urlsafe_b64encode(sealed.encrypted_sha256).decode()
        origin = self._origin or f"https://{to.host}"
        url = f"{origin}/mms/{category}/{quote(token)}?{urlencode({'auth': to.auth, 'token': token})}"
        with pool_for(origin) as pool:
            answer = pool.request(
                "POST",
                url,
                body=self._until(deadline, sealed),
                headers={
                    "Origin": REFERER,
                    "Referer": f"{REFERER}/",
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(sealed.length),
                },
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=SILENCE_S),
                redirect=False,
                retries=False,
            )
            return answer.status, answer.data

    def _until(self, deadline: float, pieces: "Sealed") -> Iterator[bytes]:
        for piece in pieces:
            if self._stopping.is_set():
                raise UploadFailed("not_connected", _CLOSING)
            if time.monotonic() > deadline:
                raise UploadFailed("not_uploaded", "WhatsApp's media server is too slow.")
            yield piece


class Sealed:
    """A file as it is uploaded: each time one goes through it, it is read and encrypted anew, to the same bytes."""

    def __init__(self, path: Path, key: bytes, purpose: str) -> None:
        self._path = path
        self._keys = keys_of(key, purpose)
        plain, encrypted = hashlib.sha256(), hashlib.sha256()
        self.size = 0
        for piece in self._encrypted(lambda read: self._note(read, plain)):
            encrypted.update(piece)
        self.sha256, self.encrypted_sha256 = plain.digest(), encrypted.digest()
        self.length = (self.size // BLOCK + 1) * BLOCK + MAC

    def __iter__(self) -> Iterator[bytes]:
        return self._encrypted(lambda _: None)

    def _note(self, piece: bytes, plain: "hashlib._Hash") -> None:
        plain.update(piece)
        self.size += len(piece)

    def _encrypted(self, note: Callable[[bytes], object]) -> Iterator[bytes]:
        mac = hmac.new(self._keys.mac, self._keys.iv, hashlib.sha256)
        encryptor, padder = Cipher(AES(self._keys.cipher), CBC(self._keys.iv)).encryptor(), PKCS7(8 * BLOCK).padder()
        with self._path.open("rb") as file:
            while piece := file.read(CHUNK):
                note(piece)
                sealed = encryptor.update(padder.update(piece))
                mac.update(sealed)
                yield sealed
        last = encryptor.update(padder.finalize()) + encryptor.finalize()
        mac.update(last)
        yield last + mac.digest()[:MAC]
