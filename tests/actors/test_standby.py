"""A node that waits for its turn."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.spool_exchange import hand_over, take_over, whole
from chatbot_erp.actors.standby import Standby
from chatbot_erp.actors.turns import Door, await_turn
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.vault import Vault

PATIENCE_S = 60.0
Says = Node | Exception | None
A, B = Node(name="a", url="http://a"), Node(name="b", url="http://b")


class Members:
    """The database says who works, each time another one, or breaks."""

    def __init__(self, *says: Says) -> None:
        self._says = list(says)
        self.seen: list[Node] = []
        self.all_said = Event()

    def see(self, node: Node) -> None:
        self.seen.append(node)

    def holder(self) -> Node | None:
        said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if len(self._says) == 1:
            self.all_said.set()
        if isinstance(said, Exception):
            raise said
        return said


def leaders(*says: Says) -> list[str | None]:
    """Whom node "a" held for the one that works, each time that changed."""
    members = Members(*says, None)
    standby = Standby(members)
    found: list[str | None] = []
    standby.heed(lambda: found.append(standby.leader()))
    standby.start(A)
    assert members.all_said.wait(PATIENCE_S)
    standby.stop()
    assert set(members.seen) == {A}
    return found


def test_it_knows_who_works_and_that_nobody_does_when_that_is_itself() -> None:
    assert leaders(B, B, A)[:2] == ["http://b", None]


def test_a_database_that_is_away_for_a_moment_changes_nobody() -> None:
    assert leaders(B, StoreUnavailable("io", "gone"), B)[:2] == ["http://b", None]


def test_what_goes_wrong_unforeseen_is_not_the_end_of_looking() -> None:
    assert leaders(RuntimeError("a bug"), B)[:1] == ["http://b"]


def test_a_node_hands_its_spools_over_only_after_it_was_told_to_wait() -> None:
    """Never while the house opens, which reads them."""
    steps: list[str] = []
    manager = cast(Manager, object())
    answers = iter([StoreUnavailable("locked", "another works"), StoreUnavailable("io", "no database"), None])

    @contextmanager
    def house() -> Iterator[Manager]:
        steps.append("open")
        if (trouble := next(answers)) is not None:
            raise trouble
        yield manager

    def hand_over() -> None:
        steps.append("hand over")
        raise StoreUnavailable("io", "no database")

    door = Door(A, None, Standby(Members(None)), hand_over)
    with ExitStack() as stack:
        assert await_turn(stack, house, door, Event()) is manager
    assert steps == ["open", "hand over", "open", "hand over", "open"]


def test_a_node_that_shares_nothing_does_not_wait_for_a_turn() -> None:
    @contextmanager
    def house() -> Iterator[Manager]:
        raise StoreUnavailable("locked", "another works")
        yield

    with ExitStack() as stack, pytest.raises(StoreUnavailable):
        await_turn(stack, house, None, Event())


def test_a_spool_is_handed_over_once_and_whole(tmp_path: Path) -> None:
    one, other, vaults = tmp_path / "one", tmp_path / "other", tmp_path / "vault"
    for directory in (one / "spool", other, vaults):
        directory.mkdir(parents=True)
    (one / "spool/host.spool").write_bytes(b"words")
    (one / "spool/other.part").write_bytes(b"wor")
    vault = Vault.open(vaults)
    hand_over(one, vault)
    hand_over(one, vault)
    assert [path.name for path in (one / "spool").iterdir()] == ["other.part"]
    assert (take_over(other, vault), take_over(other, vault)) == (1, 0)
    assert (other / "spool/host.spool").read_bytes() == b"words"
    vault.put("spool", "../../elsewhere.spool", b"words")
    take_over(other, vault)
    assert whole(other) == {"host.spool", "elsewhere.spool"}
    vault.close()
