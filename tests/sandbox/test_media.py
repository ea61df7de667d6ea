"""Files in messages, in both directions, between the real library and a phone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.sandbox import composing, faults, media
from chatbot_erp.sandbox.contents import Media

KINDS = {
    "image": ("image", "image"),
    "video": ("video", "video"),
    "audio": ("audio", "audio"),
    "voice": ("audio", "ptt"),
    "document": ("document", "document"),
    "sticker": ("image", "sticker"),
}
LARGE = 64 << 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_companion_opens_what_a_phone_sends(shop: Any, maria: Any, tmp_path: Path, kind: str) -> None:
    file = os.urandom(70_001)
    caption = "" if kind in ("audio", "voice", "sticker") else "um, dois"
    sent = maria.send_media(shop.phone.number, kind, file, caption=caption, name="três.pdf", seconds=4)
    event, content = shop.content(sent)
    assert (content.kind, content.text, event["media"]) == (kind, caption, KINDS[kind][1])
    shop.download(event, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == file


@pytest.mark.parametrize("kind", KINDS)
def test_a_phone_opens_what_a_companion_sends(shop: Any, maria: Any, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(16 * 4096))
    what = Media(file=shop.upload(file, KINDS[kind][0]), mimetype="x/y", name="três.pdf", seconds=4)
    caption = "quatro" if kind in ("image", "video", "document") else ""
    sent = shop.send_raw(maria, composing.media(kind, what, caption))
    message = maria.receive(kind=kind)
    assert (message.id, message.text, message.content.media.mimetype) == (sent, caption, "x/y")
    assert message.content.media.name == ("três.pdf" if kind == "document" else "")
    assert maria.open(message) == file.read_bytes()


def test_a_document_of_64_mb_goes_up_and_down_and_the_network_does_not_grow(
    shop: Any, maria: Any, network: Any, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    with file.open("wb") as target:
        for _ in range(LARGE >> 20):
            target.write(os.urandom(1 << 20))
    before = _peak(network.pid)
    maria.send_media(maria.number, "document", file, name="large.bin")
    maria.save(maria.receive(kind="document"), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == file.read_bytes()
    assert _peak(network.pid) - before < LARGE // 4


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_a_file_the_hosts_have_no_longer_is_gone_for_both(shop: Any, maria: Any, tmp_path: Path) -> None:
    sent = maria.send_media(shop.phone.number, "image", b"a picture")
    event, _ = shop.content(sent)
    message = shop.phone.receive(kind="image", sender=maria.number)
    assert shop.phone.open(message) == b"a picture"
    shop.phone.forget_media(message)
    with pytest.raises(media.MediaRefused, match="410"):
        shop.phone.open(message)
    with pytest.raises(RuntimeError, match="410"):
        shop.download(event, tmp_path / "got")


def test_a_file_nobody_uploaded_is_not_found(shop: Any, maria: Any, tmp_path: Path) -> None:
    what = Media(file=shop.upload(_filed(tmp_path), "image"), mimetype="image/jpeg")
    message = composing.media("image", what)
    message.imageMessage.directPath = "/v/t62.7118-24/nothing.enc?ccb=11-4"
    shop.send_raw(maria, message)
    with pytest.raises(media.MediaRefused, match="404"):
        maria.open(maria.receive(kind="image"))


def test_a_file_that_is_not_what_its_message_says_is_refused_by_both(shop: Any, maria: Any, tmp_path: Path) -> None:
    file = shop.upload(_filed(tmp_path), "image")
    message = composing.media("image", Media(file=file, mimetype="image/jpeg"))
    message.imageMessage.mediaKey = bytes(32)
    shop.send_raw(maria, message)
    with pytest.raises(media.MediaDamaged, match="MAC"):
        maria.open(maria.receive(kind="image"))
    event, _ = shop.content(maria.send_message(shop.phone.number, message))
    with pytest.raises(RuntimeError, match="hmac"):
        shop.download(event, tmp_path / "got")


def test_the_hosts_can_be_in_trouble(shop: Any, maria: Any, tmp_path: Path) -> None:
    shop.phone.fault(faults.RefuseMedia(status=500, times=1))
    with pytest.raises(RuntimeError, match="500"):
        shop.upload(_filed(tmp_path), "image")
    event, _ = shop.content(maria.send_media(shop.phone.number, "image", b"a picture"))
    maria.fault(faults.RefuseMedia(status=503, times=1))
    # The library goes on to try again.
    shop.download(event, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"a picture"


def test_transfers_can_be_cut(shop: Any, maria: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(1 << 20))
    shop.phone.fault(faults.CutMedia(after=100_000, times=1))
    with pytest.raises(RuntimeError, match=r"EOF|reset|broken pipe|closed network connection"):
        shop.upload(file, "document")
    event, _ = shop.content(maria.send_media(shop.phone.number, "document", file))
    maria.fault(faults.CutMedia(after=100_000, times=3))
    with pytest.raises(media.MediaDamaged):
        maria.open(shop.phone.receive(sender=maria.number, kind="document"))
    with pytest.raises(RuntimeError, match="last host"):
        shop.download(event, tmp_path / "got")
    shop.download(event, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == file.read_bytes()


def _filed(folder: Path) -> Path:
    file = folder / "file"
    file.write_bytes(b"a picture")
    return file
