"""Small files of the types that phones show."""

from io import BytesIO

from PIL import Image


def picture(kind: str, width: int = 64, height: int = 48, *, frames: int = 1) -> bytes:
    """A picture of so many pixels: JPEG, PNG, WEBP or GIF."""
    file = BytesIO()
    shades = [Image.new("RGB", (width, height), (40 * shade, 90, 160)) for shade in range(frames)]
    shades[0].save(file, kind, save_all=frames > 1, append_images=shades[1:])
    return file.getvalue()


def opus(seconds: float) -> bytes:
    """Ogg with Opus, by its first and last page; nothing plays it."""
    head = b"OpusHead" + bytes([1, 1]) + (312).to_bytes(2, "little") + (48_000).to_bytes(4, "little") + bytes(3)
    return _page(0, head) + _page(round(seconds * 48_000) + 312, b"sound" * 20)


def mp4(seconds: int = 3, width: int = 320, height: int = 240) -> bytes:
    """An MP4 by the heads of its boxes, a sound track before the film; nothing plays it."""
    movie = box(b"mvhd", bytes(12) + (1000).to_bytes(4, "big") + (seconds * 1000).to_bytes(4, "big") + bytes(80))
    tracks = [box(b"trak", box(b"tkhd", bytes(76) + side(w) + side(h))) for w, h in ((0, 0), (width, height))]
    return box(b"ftyp", b"isom" + bytes(12)) + box(b"mdat", b"film" * 100) + box(b"moov", movie + b"".join(tracks))


def box(kind: bytes, content: bytes) -> bytes:
    """A part of an MP4."""
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def side(pixels: int) -> bytes:
    """A length in 16.16 fixed point."""
    return pixels.to_bytes(2, "big") + bytes(2)


def _page(granules: int, payload: bytes) -> bytes:
    return b"OggS\0\0" + granules.to_bytes(8, "little") + bytes(12) + bytes([1, len(payload)]) + payload
