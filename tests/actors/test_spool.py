"""What a host leaves behind, and what of it can be read."""

from pathlib import Path

import msgspec
import pytest

from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.spool import (
    PART,
    ROOM_BYTES,
    close_spools,
    give_room,
    keep_room,
    packed,
    read_spools,
    rewrite_spool,
    write_spool,
)
from fake_sockets import received


def words(*texts: str) -> list[Said]:
    return [
        Said(instance="a", generation=1, number=number, observation=received(text))
        for number, text in enumerate(texts, start=1)
    ]


def test_words_come_back_in_order(tmp_path: Path) -> None:
    written = words("one", "two \u2603", "three")
    path = write_spool(tmp_path, "host", written)
    (spool,) = read_spools(tmp_path)
    assert (list(spool.words), spool.damage) == (written, None)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_spool_that_was_committed_is_gone(tmp_path: Path) -> None:
    write_spool(tmp_path, "host", words("one"))
    for spool in read_spools(tmp_path):
        spool.remove()
    assert list(read_spools(tmp_path)) == []


def test_where_no_host_died_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert list(read_spools(tmp_path)) == []


def test_spools_are_read_oldest_first(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_spool(tmp_path, name, words(name))
    assert [spool.path.stem for spool in read_spools(tmp_path)] == ["b", "a"]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_tail_costs_only_the_word_that_was_torn(tmp_path: Path, cut: int) -> None:
    path = write_spool(tmp_path, "host", words("one", "two", "three"))
    path.write_bytes(path.read_bytes()[:-cut])
    (spool,) = read_spools(tmp_path)
    assert [word.number for word in spool.words] == [1, 2]
    assert spool.damage is not None


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    path = write_spool(tmp_path, "host", words("one", "two"))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    (spool,) = read_spools(tmp_path)
    assert [word.number for word in spool.words] == [1]
    assert spool.damage is not None


def test_a_word_of_another_version_is_passed_over_and_those_around_it_are_read(tmp_path: Path) -> None:
    one, two, three = words("one", "two", "three")
    strange = msgspec.structs.replace(two, number="second")
    write_spool(tmp_path, "host", [one, strange, three])
    (spool,) = read_spools(tmp_path)
    assert [word.number for word in spool.words] == [1, 3]
    assert spool.damage is not None


def test_what_a_host_had_no_time_to_finish_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_spool(tmp_path, "host", words("one", "two"))
    path.with_suffix(".part").write_bytes(path.read_bytes()[:-4])
    path.unlink()
    assert list(read_spools(tmp_path)) == []  # it may still be written
    close_spools(tmp_path, "host")
    (spool,) = read_spools(tmp_path)
    assert [word.number for word in spool.words] == [1]


def test_a_spool_takes_the_room_that_was_kept_for_it_and_no_more_of_the_disk(tmp_path: Path) -> None:
    keep_room(tmp_path, "host")
    (room,) = (tmp_path / "spool").iterdir()
    kept = room.stat()
    assert kept.st_blocks * 512 >= ROOM_BYTES
    written = words("one", "two")
    path = write_spool(tmp_path, "host", written)
    assert path.stat().st_ino == kept.st_ino
    assert [*(tmp_path / "spool").iterdir()] == [path]
    (spool,) = read_spools(tmp_path)
    assert (list(spool.words), spool.damage) == (written, None)


def test_of_a_spool_that_was_not_finished_in_its_room_the_words_are_read_and_nothing_else(tmp_path: Path) -> None:
    keep_room(tmp_path, "host")
    (room,) = (tmp_path / "spool").iterdir()
    written = words("one", "two")
    whole = packed(written)
    with room.open("r+b") as file:
        file.write(whole)
    room.rename(room.with_suffix(PART))
    close_spools(tmp_path, "host")
    (spool,) = read_spools(tmp_path, "host")
    assert list(spool.records) == written
    assert len(spool.torn) == ROOM_BYTES - len(whole)


def test_a_spool_of_which_the_disk_took_nothing_is_no_sound_one(tmp_path: Path) -> None:
    path = write_spool(tmp_path, "host", words("one"))
    path.write_bytes(b"")
    (spool,) = read_spools(tmp_path)
    assert spool.damage == "the disk took none of its words"
    rewrite_spool(spool, (), b"")
    assert not path.exists()


def test_no_room_is_kept_for_who_has_nothing_to_leave_or_has_ended(tmp_path: Path) -> None:
    for name in ("host", "killed"):
        keep_room(tmp_path, name)
    give_room(tmp_path, "host")
    close_spools(tmp_path, "killed")
    assert [*(tmp_path / "spool").iterdir()] == []


def test_a_damaged_spool_is_kept_where_nobody_reads_it_again(tmp_path: Path) -> None:
    path = write_spool(tmp_path, "host", words("one", "two"))
    torn = path.read_bytes()[:-1]
    path.write_bytes(torn)
    (spool,) = read_spools(tmp_path)
    assert spool.park().read_bytes() == torn
    assert list(read_spools(tmp_path)) == []
