"""Files wait for their send where only we can read them, and no longer than that."""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.errors import MediaTooLarge, Unavailable
from chatbot_erp.actors.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(Config(data_dir=tmp_path, media_max_bytes=10))


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "outbox").glob("*"))


def test_a_file_is_kept_by_the_id_of_its_command_and_removed_by_it(outbox: Outbox, tmp_path: Path) -> None:
    parcel = outbox.take([b"01234", b"56789"], mime_type="text/plain", name="a.txt")
    path = outbox.path(parcel.id)
    assert path.read_bytes() == b"0123456789"
    assert (parcel.size, parcel.mime_type, parcel.name) == (10, "text/plain", "a.txt")
    assert parcel.sha256 == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for _ in range(2):
        outbox.remove(parcel.id)
    assert files(tmp_path) == []


def test_a_file_that_is_too_large_or_breaks_off_is_not_kept(outbox: Outbox, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise RuntimeError("It broke off.")

    with pytest.raises(MediaTooLarge):
        outbox.take([b"0123456789", b"x"])
    with pytest.raises(RuntimeError):
        outbox.take(broken())
    assert files(tmp_path) == []


def test_a_disk_that_does_not_take_it_is_a_reason_to_come_later(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable):
        Outbox(Config(data_dir=tmp_path / "file")).take([b"x"])


def test_a_file_that_the_disk_does_not_let_go_is_no_trouble_for_who_has_its_verdict(
    outbox: Outbox, tmp_path: Path
) -> None:
    (tmp_path / "outbox" / "stubborn").mkdir(parents=True)
    outbox.remove("stubborn")
    assert files(tmp_path) == ["stubborn"]


def test_what_nobody_sends_any_more_is_erased_and_what_waits_is_kept(outbox: Outbox, tmp_path: Path) -> None:
    old, waiting, new = outbox.take([b"old"]), outbox.take([b"waiting"]), outbox.take([b"new"])
    now = datetime.now(UTC)
    before = (now - timedelta(hours=2)).timestamp()
    for parcel in (old, waiting):
        os.utime(outbox.path(parcel.id), (before, before))
    outbox.tidy(now, {waiting.id})
    assert files(tmp_path) == sorted([waiting.id, new.id])
    outbox.empty()
    assert files(tmp_path) == []
