"""What a host leaves when it ends: all that its sockets have heard by then."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot_erp.actors import frames, host_main
from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.host_main import SPOOLS, HostSetting, leave_spools
from chatbot_erp.actors.socket_words import Ledger
from chatbot_erp.actors.spool import keep_room, read_spools, unfinished_spools
from fake_sockets import received


class Listening(Ledger):
    """One of whose sockets something is heard each time somebody has looked into it."""

    def __init__(self, *meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = list(meanwhile)

    def hear(self, text: str, instance: str = "a") -> None:
        self.enter(instance, 1, received(text))

    def unconfirmed(self, instance: str | None = None) -> list[Said]:
        words = super().unconfirmed(instance)
        if self._meanwhile:
            self._meanwhile.pop(0)()
        return words


@pytest.fixture
def setting(tmp_path: Path) -> HostSetting:
    setting = HostSetting(name="host", directory=tmp_path)
    keep_room(tmp_path, setting.spool)
    return setting


def texts(directory: Path) -> list[str]:
    spools = list(read_spools(directory))
    assert [spool.damage for spool in spools] == [None] * len(spools)
    said = [word.observation for spool in spools for word in spool.words]
    return [each.text for each in said if isinstance(each, frames.SocketReceived)]


def test_what_is_heard_while_a_host_spools_is_spooled_too_and_in_order(setting: HostSetting) -> None:
    ledger = Listening(lambda: ledger.hear("two"), lambda: ledger.hear("three"))
    ledger.hear("one")
    leave_spools(setting, ledger)
    assert texts(setting.directory) == ["one", "two", "three"]


def test_what_is_heard_while_the_disk_takes_no_spool_is_in_it_when_it_does(
    setting: HostSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_main, "SPOOL_AGAIN_S", 0.01)
    elsewhere = setting.directory / "elsewhere"
    spool = (setting.directory / "spool").rename(elsewhere).with_name("spool")
    spool.write_bytes(b"no directory")

    def mend() -> None:
        spool.unlink()
        elsewhere.rename(spool)

    ledger = Listening(lambda: ledger.hear("two"), lambda: None, mend)
    ledger.hear("one")
    leave_spools(setting, ledger)
    assert texts(setting.directory) == ["one", "two"]
    assert len(list(spool.iterdir())) == 1, "the room that was kept is used"


def test_a_socket_that_goes_on_and_on_does_not_keep_its_host_alive(setting: HostSetting) -> None:
    ledger: Listening = Listening(*[lambda: ledger.hear("more")] * 100)
    ledger.hear("one")
    leave_spools(setting, ledger)
    assert texts(setting.directory) == ["one", *["more"] * (SPOOLS - 1)]


def test_what_is_heard_after_the_spool_says_over_the_pipe_that_there_are_words_before_it(setting: HostSetting) -> None:
    ledger = Listening(lambda: ledger.hear("first of another", "b"))
    ledger.hear("one")
    ledger.hear("two")
    leave_spools(setting, ledger)
    assert texts(setting.directory) == ["one", "two", "first of another"]
    late = ledger.enter("a", 1, received("late"))
    assert (late.number, late.oldest) == (3, 1)


def test_a_host_that_owes_nothing_leaves_nothing(setting: HostSetting) -> None:
    leave_spools(setting, Ledger())
    assert list((setting.directory / "spool").iterdir()) == []


def test_what_cannot_be_set_aside_leaves_no_half_of_it_for_as_long_as_the_host_lives(
    setting: HostSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Listening()
    ledger.hear("one")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="sick"):
        host_main.set_aside(setting, ledger.unconfirmed())
    assert unfinished_spools(setting.directory) == []
    monkeypatch.undo()
    host_main.set_aside(setting, ledger.unconfirmed())
    assert texts(setting.directory) == ["one"]


def refuse(descriptor: int) -> None:
    raise OSError("a sick disk")
