"""A file is what it is sent as, or it is refused."""

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.errors import BadMedia
from chatbot_erp.actors.media_probe import inspected, opus_seconds
from chatbot_erp.actors.mp4 import film_in
from chatbot_erp.actors.outbox import Parcel
from chatbot_erp.actors.wa_files import thumbnail
from samples import box, mp4, opus, picture


def probe(content: c.Media, file: bytes, tmp_path: Path, *, mime_type: str = "", name: str = "") -> c.Media:
    path = tmp_path / "file"
    path.write_bytes(file)
    return inspected(content, path, Parcel(id="1", size=len(file), sha256="ab", mime_type=mime_type, name=name))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_tells_its_type_and_size_whatever_its_caller_says(tmp_path: Path, kind: str) -> None:
    image = probe(c.Image(text="Veja", mime_type="image/gif"), picture(kind, 64, 48), tmp_path)
    assert image == c.Image(
        text="Veja",
        mime_type=f"image/{kind.lower()}",
        width=64,
        height=48,
        size=len(picture(kind, 64, 48)),
        sha256="ab",
    )


@pytest.mark.parametrize("frames", [1, 3])
def test_a_sticker_tells_whether_it_moves(tmp_path: Path, frames: int) -> None:
    sticker = probe(c.Sticker(), picture("WEBP", 512, 512, frames=frames), tmp_path)
    assert isinstance(sticker, c.Sticker)
    assert (sticker.animated, sticker.width, sticker.mime_type) == (frames > 1, 512, "image/webp")


@pytest.mark.parametrize("seconds", [0.02, 1, 59.6, 7200])
def test_a_voice_message_tells_how_long_it_plays(tmp_path: Path, seconds: float) -> None:
    voice = probe(c.Voice(mime_type="audio/mpeg"), opus(seconds), tmp_path)
    assert isinstance(voice, c.Voice)
    assert (voice.seconds, voice.mime_type) == (max(1, round(seconds)), "audio/ogg; codecs=opus")


def test_a_video_tells_how_long_it_plays_and_how_large_it_is_unless_its_caller_does(tmp_path: Path) -> None:
    video = probe(c.Video(width=640), mp4(12, 320, 240), tmp_path)
    assert isinstance(video, c.Video)
    assert (video.seconds, video.width, video.height, video.mime_type) == (12, 640, 240, "video/mp4")


def test_the_newer_and_the_longest_boxes_of_a_film_are_read_too() -> None:
    wide = b"\1" + bytes(19) + (90_000).to_bytes(4, "big") + (90_000 * 7).to_bytes(8, "big") + bytes(76)
    moov = box(b"mvhd", wide)
    vast = (1).to_bytes(4, "big") + b"mdat" + (16 + 5).to_bytes(8, "big") + b"12345"
    to_the_end = bytes(4) + b"moov" + moov
    assert film_in(BytesIO(vast + to_the_end)).seconds == 7


@given(st.binary(max_size=300), st.integers(0, 600), st.binary(max_size=4))
def test_no_film_at_all_upsets_the_reading_of_a_film(noise: bytes, cut: int, change: bytes) -> None:
    film_in(BytesIO(noise))
    film_in(BytesIO(box(b"moov", noise)))
    whole = mp4()
    film_in(BytesIO(whole[:cut] + change + whole[cut + len(change) :]))


@pytest.mark.parametrize(
    ("content", "file"),
    [
        (c.Image(), picture("GIF")),
        (c.Image(), b"<svg/>"),
        (c.Image(), picture("PNG")[:20]),
        (c.Image(), b"x" * (17 << 20)),
        (c.Sticker(), picture("PNG")),
        (c.Voice(), mp4()),
        (c.Voice(), opus(86_401)),
        (c.Voice(), opus(1 << 45)),
        (c.Voice(), b"OggS" + bytes(30) + b"\x01vorbis"),
        (c.Video(), b"\x1aE\xdf\xa3 webm"),
        (c.Document(), b""),
        (c.Document(mime_type="no type"), b"x"),
    ],
    ids=str,
)
def test_what_phones_cannot_show_as_that_is_refused(tmp_path: Path, content: c.Media, file: bytes) -> None:
    with pytest.raises(BadMedia):
        probe(content, file, tmp_path)


def test_a_file_is_of_the_type_that_is_said_first(tmp_path: Path) -> None:
    def of(content: c.Media, mime_type: str, name: str) -> tuple[str, str]:
        known = probe(content, b"x", tmp_path, mime_type=mime_type, name=name)
        return known.mime_type, known.file_name

    assert of(c.Document(mime_type="text/csv"), "text/html", "a.pdf") == ("text/csv", "a.pdf")
    assert of(c.Document(), "text/html", "a.pdf") == ("text/html", "a.pdf")
    assert of(c.Document(), "application/octet-stream", "a.pdf") == ("application/pdf", "a.pdf")
    assert of(c.Document(file_name="b.pdf"), "", "a.zip") == ("application/pdf", "b.pdf")
    assert of(c.Document(), "", "") == ("application/octet-stream", "file.bin")
    assert of(c.Audio(), "", "") == ("audio/mpeg", "")


@given(st.binary(max_size=400))
def test_no_file_at_all_upsets_the_reading_of_a_voice_message(noise: bytes) -> None:
    opus_seconds(BytesIO(noise))
    opus_seconds(BytesIO(b"OggS" + noise + b"OpusHead" + noise))


def test_a_thumbnail_is_a_small_jpeg_and_none_of_what_is_no_picture(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        (tmp_path / kind).write_bytes(picture(kind, 3000, 2000))
        small = thumbnail(tmp_path / kind)
        assert small.startswith(b"\xff\xd8")
        assert len(small) < 4096
    (tmp_path / "x").write_bytes(picture("JPEG", 3000, 2000)[:2000])
    assert thumbnail(tmp_path / "x") == b""


@pytest.mark.parametrize(
    ("kind", "side", "how", "shown"),
    [
        ("PNG", 3600, {}, False),
        ("PNG", 3400, {}, True),
        ("WEBP", 2600, {}, False),
        ("JPEG", 5200, {"progressive": True}, False),
        ("JPEG", 5200, {}, True),
    ],
)
def test_a_picture_that_would_take_too_much_memory_gets_no_thumbnail(
    tmp_path: Path, kind: str, side: int, how: dict[str, bool], shown: bool
) -> None:
    Image.new("L", (side, side)).save(tmp_path / "file", kind, **how)
    assert bool(thumbnail(tmp_path / "file")) is shown
