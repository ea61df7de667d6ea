"""How long an MP4 plays and how large it is, from the heads of its boxes (ISO/IEC 14496-12). Total: noise says nothing."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_MOST_BOXES = 200
"""Of a level: a film has a handful, and nobody shall keep us reading."""


class Film(NamedTuple):
    """Zero is not known; sizes in pixels."""

    seconds: int = 0
    width: int = 0
    height: int = 0


def film_in(file: BinaryIO) -> Film:
    """What the file says of itself."""
    end = file.seek(0, 2)
    seconds = width = height = 0
    for kind, start, stop in _boxes(file, 0, end):
        if kind != b"moov":
            continue
        for inner, inner_start, inner_stop in _boxes(file, start, stop):
            if inner == b"mvhd":
                seconds = _seconds(_read(file, inner_start, 32))
            elif inner == b"trak":
                found = _area(file, inner_start, inner_stop)
                # A sound track has none.
                width, height = found if all(found) else (width, height)
    return Film(seconds, width, height)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Each box from here to there: its kind, and where its content begins and ends."""
    for _ in range(_MOST_BOXES):
        head = _read(file, start, 16)
        size, kind, content = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1:
            size, content = int.from_bytes(head[8:16], "big"), start + 16
        stop = start + size if size else end
        if len(head) < 8 or stop < content or stop > end:
            return
        yield kind, content, stop
        start = stop


def _seconds(head: bytes) -> int:
    """Of a `mvhd`: version 1 has wider fields."""
    at, width = (20, 8) if head[:1] == b"\1" else (12, 4)
    scale = int.from_bytes(head[at : at + 4], "big")
    duration = int.from_bytes(head[at + 4 : at + 4 + width], "big")
    return min(round(duration / scale), 86_400) if scale else 0


def _area(file: BinaryIO, start: int, end: int) -> tuple[int, int]:
    """Of a track, from its `tkhd`, which ends with width and height in 16.16 fixed point."""
    for kind, _, stop in _boxes(file, start, end):
        if kind == b"tkhd":
            tail = _read(file, stop - 8, 8)
            return int.from_bytes(tail[:2], "big"), int.from_bytes(tail[4:6], "big")
    return 0, 0


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(max(0, at))
    return file.read(size)
