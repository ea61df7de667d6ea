"""Media as a phone handles it: encrypted with a key that goes into the message, uploaded, downloaded, decrypted.

The key of 32 bytes is expanded to 112 with HKDF, under a name that depends on the kind of media: 16 bytes of IV, 32 for
AES-256-CBC, 32 for a MAC of which 10 bytes follow the ciphertext (whatsmeow, download.go getMediaKeys and
validateMedia, util/cbcutil). A message carries the hashes of both the file and its encrypted form.

Files are worked on in pieces: one of 64 MB costs no memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import secrets
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from chatbot_erp.sandbox.contents import File, MediaKind
from chatbot_erp.sandbox.control import Address
from chatbot_erp.sandbox.control_connection import SandboxError
from chatbot_erp.sandbox.keys import hkdf

_DOWNLOAD_HOST = "mmg.whatsapp.net"
_PIECE = 1 << 18
_MAC_SIZE = 10
_BLOCK_BITS = 128


class MediaRefused(SandboxError):
    """Raised when a media host answers with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The media host answered with {status}.")
        self.status = status


class MediaDamaged(SandboxError):
    """Raised when a file is not what its message says: a wrong hash, MAC or length."""


@dataclass(frozen=True, slots=True)
class _Keys:
    iv: bytes
    cipher: bytes
    mac: bytes

    @classmethod
    def derive(cls, key: bytes, kind: MediaKind) -> _Keys:
        out = hkdf(key, salt=b"", info=f"WhatsApp {kind.capitalize()} Keys".encode(), length=112)
        return cls(out[:16], out[16:48], out[48:80])


class MediaClient:
    """A phone's way to the media hosts of one network."""

    def __init__(self, address: Address) -> None:
        proxy = urlsplit(address.proxy)
        assert proxy.hostname is not None
        self._proxy = proxy.hostname, proxy.port
        self._ca_file = address.ca_file

    def upload(self, source: bytes | Path, kind: MediaKind, host: str, auth: str) -> File:
        """Encrypt a file and upload it. Raises `MediaRefused`."""
        key = secrets.token_bytes(32)
        with _opened(source) as plain, tempfile.TemporaryFile() as sealed:
            sha256, enc_sha256, size = _seal(plain, sealed, _Keys.derive(key, kind))
            token = base64.urlsafe_b64encode(enc_sha256).decode()
            path = f"/mms/{kind}/{quote(token)}?{urlencode({'auth': auth, 'token': token})}"
            length = sealed.tell()
            sealed.seek(0)
            with self._asked(host, "POST", path, sealed, length) as response:
                direct_path = msgspec.json.decode(response.read())["direct_path"]
        return File(kind=kind, direct_path=direct_path, key=key, sha256=sha256, enc_sha256=enc_sha256, size=size)

    def download(self, file: File, target: BinaryIO) -> None:
        """Download a file and decrypt it. Raises `MediaRefused`, `MediaDamaged`."""
        token = quote(base64.urlsafe_b64encode(file.enc_sha256))
        path = f"{file.direct_path}&hash={token}&mms-type={file.kind}&__wa-mms="
        with self._asked(_DOWNLOAD_HOST, "GET", path) as response:
            try:
                _open(response, target, file)
            except (OSError, http.client.HTTPException) as ex:
                raise MediaDamaged(f"The download broke off: {ex}.") from ex

    def _asked(
        self, host: str, method: str, path: str, body: BinaryIO | None = None, size: int = 0
    ) -> http.client.HTTPResponse:
        trust = ssl.create_default_context(cafile=self._ca_file)
        connection = http.client.HTTPSConnection(*self._proxy, context=trust, timeout=60, blocksize=_PIECE)
        connection.set_tunnel(host, 443)
        # The connection is the answer's then, and ends with it.
        headers = {"Connection": "close"} | ({"Content-Length": str(size)} if body else {})
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        if response.status != 200:
            response.close()
            raise MediaRefused(response.status)
        return response


def _opened(source: bytes | Path) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _pieces(source: BinaryIO | http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


def _seal(source: BinaryIO, target: BinaryIO, keys: _Keys) -> tuple[bytes, bytes, int]:
    """Returns the hash of the file, that of its encrypted form, and the file's length."""
    plain, sealed, mac = hashlib.sha256(), hashlib.sha256(), hmac.new(keys.mac, keys.iv, "sha256")
    encryptor, padder = Cipher(AES(keys.cipher), CBC(keys.iv)).encryptor(), PKCS7(_BLOCK_BITS).padder()
    size = 0

    def put(ciphertext: bytes) -> None:
        mac.update(ciphertext)
        sealed.update(ciphertext)
        target.write(ciphertext)

    for piece in _pieces(source):
        size += len(piece)
        plain.update(piece)
        put(encryptor.update(padder.update(piece)))
    put(encryptor.update(padder.finalize()) + encryptor.finalize())
    tail = mac.digest()[:_MAC_SIZE]
    sealed.update(tail)
    target.write(tail)
    return plain.digest(), sealed.digest(), size


def _open(source: http.client.HTTPResponse, target: BinaryIO, file: File) -> None:
    keys = _Keys.derive(file.key, file.kind)
    plain, sealed, mac = hashlib.sha256(), hashlib.sha256(), hmac.new(keys.mac, keys.iv, "sha256")
    decryptor, unpadder = Cipher(AES(keys.cipher), CBC(keys.iv)).decryptor(), PKCS7(_BLOCK_BITS).unpadder()
    held, size = b"", 0

    def put(plaintext: bytes) -> None:
        nonlocal size
        size += len(plaintext)
        plain.update(plaintext)
        target.write(plaintext)

    for piece in _pieces(source):
        sealed.update(piece)
        held += piece
        # What may be the MAC is not decrypted.
        piece, held = held[:-_MAC_SIZE], held[-_MAC_SIZE:]
        mac.update(piece)
        put(unpadder.update(decryptor.update(piece)))
    if sealed.digest() != file.enc_sha256:
        raise MediaDamaged("The encrypted file has another hash than its message says.")
    if not hmac.compare_digest(mac.digest()[:_MAC_SIZE], held):
        raise MediaDamaged("The MAC at the end of the encrypted file is wrong.")
    try:
        put(unpadder.update(decryptor.finalize()) + unpadder.finalize())
    except ValueError as ex:
        raise MediaDamaged(f"The file does not decrypt: {ex}") from ex
    if plain.digest() != file.sha256 or size != file.size:
        raise MediaDamaged("The decrypted file has another hash or length than its message says.")
