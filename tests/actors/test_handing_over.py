"""What a node does at its end for others to have its instances before."""

import time
from pathlib import Path
from threading import Event
from typing import Any

from chatbot_erp.actors.manager import Manager
from chatbot_erp.eventstore.company import Alone
from chatbot_erp.eventstore.errors import StoreUnavailable
from supervisor_world import PATIENCE_S, World


class Away(Alone):
    """This node and another one, in a database that fails each kind of call first."""

    node = "here"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.hangs: Event | None = None

    def leave(self) -> None:
        self._fail_first("leave")

    def can_part(self) -> bool:
        if self.hangs is not None:
            self.hangs.wait(PATIENCE_S)
        self._fail_first("can_part")
        return self.calls.count("can_part") < 3

    def _fail_first(self, call: str) -> None:
        self.calls.append(call)
        if self.calls.count(call) == 1:
            raise StoreUnavailable("io", "on purpose")


def manager_of(world: World, company: Away) -> Manager:
    world.store.company = company
    unused: Any = None
    return Manager(world.house, unused)


def test_a_database_that_fails_once_does_not_end_the_handing_over(tmp_path: Path) -> None:
    world, company = World(tmp_path), Away()
    try:
        manager_of(world, company).hand_over(PATIENCE_S)
    finally:
        world.close()
    assert company.calls == ["leave", "leave", "can_part", "can_part", "can_part"]


def test_a_database_that_does_not_answer_holds_up_no_end(tmp_path: Path) -> None:
    world, company = World(tmp_path), Away()
    company.hangs = Event()
    try:
        begun = time.monotonic()
        manager_of(world, company).hand_over(0.5)
        assert not company.hangs.is_set()
        assert time.monotonic() - begun < PATIENCE_S
    finally:
        company.hangs.set()
        world.close()
