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


def mp4() -> bytes:
    """An MP4 by its first box; nothing plays it."""
    return (24).to_bytes(4, "big") + b"ftypisom" + bytes(12) + b"film" * 100


def _page(granules: int, payload: bytes) -> bytes:
    return b"OggS\0\0" + granules.to_bytes(8, "little") + bytes(12) + bytes([1, len(payload)]) + payload
