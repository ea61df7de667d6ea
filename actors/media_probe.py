"""Looks into a file that is to be sent: whether phones can show it as what it is sent as, and what they are told of it.

Only heads are read, and nothing is decoded: the file may be anybody's.
"""

import mimetypes
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import msgspec
from PIL import Image as Pictures

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.errors import BadMedia
from chatbot_erp.actors.mp4 import film_in
from chatbot_erp.actors.outbox import Parcel

PICTURE_TYPES = ("JPEG", "PNG", "WEBP")
LARGEST_PICTURE, LARGEST_STICKER = 16 << 20, 1 << 20
OPUS_RATE = 48_000
LONGEST_S = 86_400
VOICE_TYPE = "audio/ogg; codecs=opus"
OTHERWISE = "application/octet-stream"

_TAIL = 64 * 1024
"""An Ogg page is smaller than that: the last one is in there."""

_MIME_TYPE = re.compile(r"[a-zA-Z0-9!#$&^_.+-]{1,60}/[a-zA-Z0-9!#$&^_.+-]{1,60}(; ?[a-zA-Z0-9=\"_.+-]{1,60})?")

AnyMedia = TypeVar("AnyMedia", bound=c.Media)


class Picture(NamedTuple):
    """What the head of a picture says; sizes in pixels."""

    kind: str
    width: int
    height: int
    animated: bool


def inspected(content: AnyMedia, path: Path, parcel: Parcel) -> AnyMedia:
    """The content with all that phones are told of its file. Raises `BadMedia`."""
    if not parcel.size:
        raise BadMedia("The file is empty.")
    known = msgspec.structs.replace(
        content,
        size=parcel.size,
        sha256=parcel.sha256,
        file_name=content.file_name or parcel.name,
        mime_type=_mime_type(content, parcel),
    )
    match known:
        case c.Image():
            picture = _picture(path, LARGEST_PICTURE)
            if picture is None:
                raise BadMedia(f"An image is a {', '.join(PICTURE_TYPES)} of at most {LARGEST_PICTURE >> 20} MiB.")
            return _with(known, mime_type=f"image/{picture.kind.lower()}", width=picture.width, height=picture.height)
        case c.Sticker():
            picture = _picture(path, LARGEST_STICKER)
            if picture is None or picture.kind != "WEBP":
                raise BadMedia(f"A sticker is a WebP of at most {LARGEST_STICKER >> 20} MiB, best 512 × 512 pixels.")
            size = {"width": picture.width, "height": picture.height}
            return _with(known, mime_type="image/webp", animated=picture.animated, **size)
        case c.Video():
            with path.open("rb") as file:
                if file.read(12)[4:8] != b"ftyp":
                    raise BadMedia("A video is an MP4, best with H.264 and AAC.")
                film = film_in(file)
            area = {"width": known.width or film.width, "height": known.height or film.height}
            return _with(known, seconds=known.seconds or film.seconds, **area)
        case c.Voice():
            with path.open("rb") as file:
                seconds = opus_seconds(file)
            if seconds is None:
                raise BadMedia("A voice message is Ogg with Opus; anything else phones cannot play as one.")
            if seconds > LONGEST_S:
                raise BadMedia("A voice message plays for a day at most; its last page says more.")
            return _with(known, mime_type=VOICE_TYPE, seconds=known.seconds or max(1, round(seconds)))
        case c.Document() if not known.file_name:
            return _with(known, file_name=f"file{mimetypes.guess_extension(known.mime_type) or ''}")
        case _:
            return known


def opus_seconds(file: BinaryIO) -> float | None:
    """How long it plays, or None where it is no Opus in Ogg (RFC 7845, RFC 3533)."""
    head = file.read(256)
    start = head.find(b"OpusHead")
    if not head.startswith(b"OggS") or start < 0:
        return None
    skipped = int.from_bytes(head[start + 10 : start + 12], "little")
    file.seek(0, 2)
    file.seek(max(0, file.tell() - _TAIL))
    tail = file.read()
    last = tail.rfind(b"OggS")
    granules = int.from_bytes(tail[last + 6 : last + 14], "little", signed=True)
    return max(0.0, (granules - skipped) / OPUS_RATE)


def _picture(path: Path, largest: int) -> Picture | None:
    if path.stat().st_size > largest:
        return None
    try:
        with Pictures.open(path, formats=PICTURE_TYPES) as picture:
            animated = bool(getattr(picture, "is_animated", False))
            return Picture(picture.format or "", picture.width, picture.height, animated)
    except (OSError, ValueError, SyntaxError, Pictures.DecompressionBombError, Pictures.DecompressionBombWarning):
        return None


def _mime_type(content: c.Media, parcel: Parcel) -> str:
    """What the caller says, else what the file came with, else what its name says; only the last may be no type at all."""
    usual = {c.Video: "video/mp4", c.Audio: "audio/mpeg"}.get(type(content), OTHERWISE)
    by_name = mimetypes.guess_type(content.file_name or parcel.name)[0] or usual
    for given in (content.mime_type, parcel.mime_type):
        if given and given != OTHERWISE:
            if not _MIME_TYPE.fullmatch(given):
                raise BadMedia("The media type is none.")
            return given
    return by_name


def _with(content: AnyMedia, **fields: object) -> AnyMedia:
    changed: AnyMedia = msgspec.structs.replace(content, **fields)
    return changed
