"""The files that others send, as the webhook tells of them, and the call that has them."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import CutMedia, RefuseMedia
from manager_process import ManagerProcess
from receiver import Receiver
from receiving_world import World, one_number

NewPhone = Callable[[str], Phone]

FILES = (
    ("image", "image", "image/jpeg", "Veja"),
    ("video", "video", "video/mp4", "Veja"),
    ("note", "video", "video/mp4", ""),
    ("audio", "audio", "audio/mpeg", ""),
    ("voice", "voice", "audio/ogg", ""),
    ("document", "document", "application/pdf", "Veja"),
    ("sticker", "sticker", "image/webp", ""),
)
"""How the sandbox calls a file, what it is here, its type, its caption."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[World]:
    with one_number(tmp_path_factory.mktemp("world"), network, "551190000002") as world:
        yield world


@pytest.fixture
def customer(new_phone: NewPhone) -> Phone:
    return new_phone("Maria")


@pytest.mark.parametrize(("kind", "type_", "mime_type", "caption"), FILES)
def test_a_file_of_any_kind_is_told_and_can_be_fetched(
    world: World, customer: Phone, kind: str, type_: str, mime_type: str, caption: str
) -> None:
    file = os.urandom(100_000)
    mimetype, name = (mime_type, "relatório final.pdf") if kind == "document" else ("", "")
    message_id = customer.send_media(world.shop.number, kind, file, caption=caption, name=name, mimetype=mimetype)
    message = world.message(message_id)
    customer.wait_receipt(message_id)
    assert (message["type"], message["text"]) == (type_, caption)
    assert message["mimeType"].startswith(mime_type)
    assert (message["size"], message["sha256"]) == (len(file), hashlib.sha256(file).hexdigest())
    assert message.get("fileName", "") == name
    answer = world.media(message_id)
    assert (answer.status_code, answer.content == file) == (200, True)
    assert answer.headers["Content-Type"] == mime_type
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert not [path for path in (world.manager.data_dir / "media").rglob("*") if path.is_file()]


def test_a_file_that_cannot_be_had_is_a_clear_problem(world: World, network: Network, customer: Phone) -> None:
    def problem(message_id: str) -> tuple[int, str]:
        answer = world.media(message_id)
        return answer.status_code, answer.json()["type"].rpartition("/")[2]

    assert problem("3EB0UNKNOWN") == (404, "message-not-found")
    text = customer.send(world.shop.number, "Olá")
    world.message(text)
    assert problem(text) == (404, "no-media")
    image = customer.send_media(world.shop.number, "image", b"x" * 1000)
    world.message(image)
    network.fault(RefuseMedia(status=410, times=1))
    assert problem(image) == (410, "media-gone")
    network.fault(CutMedia(after=500, times=1))
    assert world.media(image).content == b"x" * 1000


def test_a_large_file_passes_through_without_growing_anything_and_holds_up_nobody(
    world: World, customer: Phone, tmp_path: Path
) -> None:
    source, digest = tmp_path / "source", hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(64):
            piece = os.urandom(1 << 20)
            file.write(piece)
            digest.update(piece)
    message_id = customer.send_media(world.shop.number, "document", source)
    world.message(message_id)
    before = {pid: peak_bytes(pid) for pid in (world.manager.pid, *world.manager.host_pids())}
    arrived, size = hashlib.sha256(), 0
    path = f"/instances/empresa_x/messages/{message_id}/media"
    with world.manager.call("GET", path, stream=True) as answer:
        assert world.manager.send("empresa_x", customer.number, "enquanto isso").status_code == 200
        for piece in answer.iter_content(1 << 20):
            arrived.update(piece)
            size += len(piece)
    assert (size, arrived.hexdigest()) == (64 << 20, digest.hexdigest())
    growth = {pid: peak_bytes(pid) - least for pid, least in before.items()}
    print({pid: f"{bytes_ >> 20} MiB" for pid, bytes_ in growth.items()})
    assert max(growth.values()) < 100 << 20


def peak_bytes(pid: int) -> int:
    """The most memory a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


def test_files_are_kept_where_that_is_wanted(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone, customer: Phone
) -> None:
    shop = new_phone("Empresa Y")
    keeping = ("--media-keep-days", "7", "--media-keep-max-mib", "1")
    with ManagerProcess(tmp_path / "keeping", network, *keeping) as manager:
        manager.pair("empresa_x", shop, receiver.url())
        world = World(manager, receiver, shop)
        image = customer.send_media(shop.number, "image", b"x" * 1000)
        world.message(image)

        def kept() -> list[bytes]:
            return [each.read_bytes() for each in (manager.data_dir / "media").glob("*/*") if each.suffix != ".part"]

        manager.wait_until("empresa_x", lambda _: kept() == [b"x" * 1000])
        network.fault(RefuseMedia(status=410))
        try:
            answer = world.media(image)
        finally:
            network.heal()
        assert (answer.status_code, answer.content) == (200, b"x" * 1000)
        assert kept() == [b"x" * 1000]
        film = customer.send_media(shop.number, "video", b"x" * (1 << 20) + b"!")
        manager.wait_event("empresa_x", "media.missed")
        (missed,) = manager.events("empresa_x", "media.missed")
        assert missed["data"] == {"messageId": film, "reason": "large"}
        assert len(world.media(film).content) == (1 << 20) + 1
