"""What sockets had in hand when their node ended, on its way to who has their instances now."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import cast

import pytest

from chatbot_erp.actors.alarms import Alarm, Alarms
from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.leftovers import EXCHANGE_EVERY_S, exchange_spools
from chatbot_erp.actors.spool import PART, close_spools, packed, read_spools, unfinished_spools, write_spool
from chatbot_erp.actors.spool_exchange import hand_over, take_over
from chatbot_erp.eventstore.vault import Vault
from fake_sockets import received
from instance_world import PATIENCE_S, World


def said(instance: str, number: int) -> Said:
    return Said(instance=instance, generation=1, number=number, oldest=1, observation=received(str(number)))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    (tmp_path / "vault").mkdir()
    vault = Vault.open(tmp_path / "vault")
    yield vault
    vault.close()


def test_each_node_gets_the_words_of_its_own_instances_in_their_order_and_once(tmp_path: Path, vault: Vault) -> None:
    dead, one, other = tmp_path / "dead", tmp_path / "one", tmp_path / "other"
    words = [said("a", 1), said("b", 2), said("a", 3), said("gone", 4)]
    write_spool(dead, "host", words)
    hand_over(dead, vault)
    hand_over(dead, vault)
    assert list(read_spools(dead)) == []
    for directory, instance in ((one, "a"), (other, "b")):
        taken = [take_over(directory, vault, is_mine=instance.__eq__, is_gone="gone".__eq__) for _ in range(2)]
        assert taken == [1, 0]
        (spool,) = read_spools(directory)
        assert list(spool.words) == [word for word in words if word.instance == instance]
    assert vault.all("spool") == {}


def test_what_a_host_may_still_be_writing_is_left_alone_and_what_is_damaged_is_kept(
    tmp_path: Path, vault: Vault
) -> None:
    path = write_spool(tmp_path, "host", [said("a", 1)])
    part = path.rename(path.with_suffix(PART))
    part.write_bytes(part.read_bytes() + b"torn")
    hand_over(tmp_path, vault)
    assert part.exists()
    close_spools(tmp_path)
    hand_over(tmp_path, vault)
    assert not list((tmp_path / "spool").iterdir())
    assert [path.name for path in (tmp_path / "parked").iterdir()] == [path.name]
    assert len(vault.all("spool")) == 1


def test_what_comes_back_again_and_again_keeps_its_name(tmp_path: Path, vault: Vault) -> None:
    path = write_spool(tmp_path, "host", [said("a", 1)])
    names = []
    for _ in range(3):
        hand_over(tmp_path, vault)
        take_over(tmp_path, vault, is_mine="a".__eq__, is_gone=lambda instance: False)
        names.append([each.name for each in path.parent.iterdir()])
    assert names == [["host-a.spool"]] * 3


def test_what_was_said_first_comes_first_however_spools_are_called_and_however_often_they_come_back(
    tmp_path: Path, vault: Vault
) -> None:
    names = ["z", "m", "a", "b"]
    for number, name in enumerate(names, 1):
        path = write_spool(tmp_path, name, [said("a", number)])
        os.utime(path, ns=(10**number, 10**number))
    for _ in range(2):
        hand_over(tmp_path, vault)
        take_over(tmp_path, vault, is_mine="a".__eq__, is_gone=lambda instance: False)
    assert [(spool.path.stem, spool.words[0].number) for spool in read_spools(tmp_path)] == [
        (f"{name}-a", number) for number, name in enumerate(names, 1)
    ]


def test_what_an_earlier_version_handed_over_is_taken_and_comes_before_all_that_was_written_since(
    tmp_path: Path, vault: Vault
) -> None:
    write_spool(tmp_path, "host", [said("a", 2)])
    hand_over(tmp_path, vault)
    vault.put("spool", "a/old", packed([said("a", 1)]))
    assert take_over(tmp_path, vault, is_mine="a".__eq__, is_gone=lambda instance: False) == 2
    assert [spool.path.stem for spool in read_spools(tmp_path)] == ["old-a", "host-a"]


def test_what_cannot_be_written_is_left_in_the_vault_and_nothing_unfinished_here(tmp_path: Path, vault: Vault) -> None:
    path = write_spool(tmp_path, "host", [said("a", 1)])
    hand_over(tmp_path, vault)
    in_the_way = path.with_name("host-a.spool")
    in_the_way.mkdir()
    for _ in range(2):
        with pytest.raises(OSError, match=in_the_way.name):
            take_over(tmp_path, vault, is_mine="a".__eq__, is_gone=lambda instance: False)
        assert unfinished_spools(tmp_path) == []
    in_the_way.rmdir()
    assert take_over(tmp_path, vault, is_mine="a".__eq__, is_gone=lambda instance: False) == 1
    assert [spool.words[0].number for spool in read_spools(tmp_path)] == [1]


def test_the_name_of_a_spool_is_no_way_out_of_its_directory(tmp_path: Path, vault: Vault) -> None:
    vault.put("spool", "a/../../elsewhere", b"")
    take_over(tmp_path / "one", vault, is_mine="a".__eq__, is_gone=lambda instance: False)
    assert [path.name for path in (tmp_path / "one/spool").iterdir()] == ["elsewhere-a.spool"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_nobody_foresaw_ends_one_exchange_and_not_those_after_it(world: World) -> None:
    class Bewitched:
        def all(self, kind: str, /) -> dict[str, bytes]:
            raise RuntimeError("on purpose")

    set_for: SimpleQueue[float] = SimpleQueue()

    class Bells(Alarms):
        def set(self, delay_s: float, callback: Callable[[], None]) -> Alarm:
            set_for.put(delay_s)
            return super().set(delay_s, callback)

    house = dataclasses.replace(world.house, vault=cast(Vault, Bewitched()), alarms=Bells())
    exchange_spools(house)
    assert set_for.get(timeout=PATIENCE_S) == EXCHANGE_EVERY_S
