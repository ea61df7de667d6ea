"""The files that one socket uploads: where to, and what is shown of them while they load."""

import logging
import threading
import time
from io import BytesIO
from pathlib import Path

import msgspec
from PIL import Image as Pictures

from chatbot_erp.actors.contents import Image, Media, join
from chatbot_erp.actors.frames import SocketFailedToSend, Transmit
from chatbot_erp.actors.media_specs import field_of
from chatbot_erp.actors.wa_client import Client, LibraryError, MediaConnection
from chatbot_erp.actors.wa_port import Loaded, failed
from chatbot_erp.actors.wa_upload import Uploader, UploadFailed
from chatbot_erp.actors.wa_verdicts import why_not_uploaded

log = logging.getLogger(__name__)

GOOD_FOR_S = 300.0
"""How long WhatsApp wants its answer about the media servers to be used."""

THUMBNAIL = (96, 96)
MOST_BYTES = 96 << 20
"""A picture that takes more memory to decode goes without a thumbnail."""

_BYTES_PER_PIXEL = {"JPEG": 4, "PNG": 8, "WEBP": 16}
"""What decoding takes at its worst, measured: copies of what is transparent, of frames, of what comes in passes."""

_decoding = threading.Lock()
"""One at a time in all of the host, so that the memory of one is the memory of all."""


class SocketFiles:
    """Uploads for one client; `upload` on one thread at a time."""

    def __init__(self, client: Client, uploader: Uploader | None = None) -> None:
        self._client = client
        self._uploader = uploader or Uploader(self.connection)
        self._lock = threading.Lock()
        self._connection: MediaConnection | None = None
        self._good_until = 0.0

    def stop(self) -> None:
        """Have what is under way fail."""
        self._uploader.stop()

    def upload(self, order: Transmit) -> Loaded | SocketFailedToSend:
        """Upload the file of a message. Its removal is not ours."""
        content = join(order.kind, order.text, order.content)
        if not isinstance(content, Media):
            raise TypeError(f"A message of the type {order.kind} has no file.")
        path = Path(order.file)
        try:
            file = self._uploader.upload(path, field_of(content))
        except LibraryError as ex:
            return failed(order, why_not_uploaded(str(ex)), "WhatsApp names no media server.")
        except UploadFailed as ex:
            return failed(order, ex.reason, str(ex))
        if isinstance(content, Image):
            file = msgspec.structs.replace(file, thumbnail=thumbnail(path))
        return Loaded(order, file)

    def connection(self, renew: bool) -> MediaConnection:
        """Where files go; asked of the library when it is too old, or refused."""
        with self._lock:
            if self._connection is None or renew or time.monotonic() > self._good_until:
                self._connection = self._client.media_connection()
                self._good_until = time.monotonic() + GOOD_FOR_S
            return self._connection


def thumbnail(path: Path) -> bytes:
    """A small JPEG of a picture, or nothing: a message is as good without."""
    try:
        with _decoding, Pictures.open(path, formats=tuple(_BYTES_PER_PIXEL)) as picture:
            whole = picture.width * picture.height
            # JPEGs are decoded at a fraction of their size where that is enough; in several passes they are held whole.
            picture.draft("RGB", THUMBNAIL)
            pixels = whole if picture.info.get("progressive") else picture.width * picture.height
            if pixels * _BYTES_PER_PIXEL[picture.format or ""] > MOST_BYTES:
                return b""
            picture.thumbnail(THUMBNAIL)
            small = BytesIO()
            picture.convert("RGB").save(small, "JPEG", quality=60)
            return small.getvalue()
    except Exception as ex:  # noqa: BLE001 - whatever a broken picture does to the decoder
        log.warning("There is no thumbnail: %s", ex)
        return b""
