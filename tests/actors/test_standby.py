"""A node that waits for its turn."""

from pathlib import Path
from threading import Event

from chatbot_erp.actors.spool_exchange import hand_over, take_over
from chatbot_erp.actors.standby import Standby
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.vault import Vault

PATIENCE_S = 60.0
A, B = Node(name="a", url="http://a"), Node(name="b", url="http://b")


class Members:
    """The database says who works, each time another one, or breaks."""

    def __init__(self, *says: Node | None | StoreUnavailable) -> None:
        self._says = list(says)
        self.seen: list[Node] = []
        self.all_said = Event()

    def see(self, node: Node) -> None:
        self.seen.append(node)

    def holder(self) -> Node | None:
        said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if len(self._says) == 1:
            self.all_said.set()
        if isinstance(said, StoreUnavailable):
            raise said
        return said


def leaders(*says: Node | None | StoreUnavailable) -> list[str | None]:
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
    vault.close()
