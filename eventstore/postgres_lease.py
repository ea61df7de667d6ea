"""A node's lease in PostgreSQL: how it begins, is kept and ends, and how whoever keeps one gives things their places.

All of it happens with the head row locked, which whoever appends locks, too: one node after the other.
"""

import time
from collections.abc import Callable
from math import inf

from chatbot_erp.eventstore.company import VISITED
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.lease import Lease, Node, boot_time, decide
from chatbot_erp.eventstore.placement import Placement, place
from chatbot_erp.eventstore.postgres import Connection, asking

RENEWALS = 5
"""So often a lease is renewed before it would lapse."""

LOOK_EVERY_S = 0.2

SEEN_EVERY_S = 3600.0
"""How often one that shares with nobody, and renews no lease, writes down that it works."""


class Superseded(Exception):
    """Raised where others have what this node had: nothing is written here any more."""

    def __init__(self) -> None:
        super().__init__("other nodes took it over")


class Tenure:
    """One life of a node, from its epoch on. `until`, `losses`, `url` and `leaving` are for any thread."""

    def __init__(self, node: Node, epoch: int, begun: float) -> None:
        """`begun` is a moment, by `boot_time`, before the database counted."""
        self.node = node
        self.epoch = epoch
        self.machine = node.name
        """The name of its data directory; that of a visitor's is the last one under which somebody worked there."""
        self.url = ""
        """Where others reach it; empty while they do not."""
        self.leaving = False
        """It ends: others are to have what it has."""
        self.until = begun + node.lease_s
        """By `boot_time`, at the latest so late others may take what it has."""
        self.losses = 0
        """How often keys were lost, as of the last transaction."""
        self.has_company = False
        self.here: list[str] = []
        """The streams of which something is in its data directory only."""
        self._settled_at = -inf
        self._patient_until = self.until

    @property
    def life(self) -> str:
        return life_of(self.node.name, self.epoch)

    @property
    def cadence_s(self) -> float:
        """How often the lease is renewed, and things are put in their places."""
        return self.node.lease_s / RENEWALS

    def check(self, standing: tuple[int, int] | None) -> None:
        """`standing` is what stands in the database. Raises Superseded."""
        if standing is None or standing[0] != self.epoch:
            raise Superseded
        self.losses = standing[1]

    def renew(self, ask: Ask) -> None:
        """Renew the lease, in a transaction of its own. Nothing happens where there is none any more."""
        begun = boot_time()
        values = {
            "name": self.node.name,
            "epoch": self.epoch,
            "url": self.url,
            "leaving": self.leaving,
            "lease_s": self.node.lease_s,
        }
        if found := ask("renew_lease", values).fetchone():
            self.until = begun + self.node.lease_s
            if found[0]:
                self._patient_until = self.until

    def is_patient(self) -> bool:
        """Whether others are waited for, though their leases have lapsed: this one's had, too, or it has just begun.

        The database may have been away for all. They have as long as a lease to be heard of again.
        """
        return boot_time() < self._patient_until

    def is_due(self) -> bool:
        """Whether it is time to look whether everything is in its place."""
        return boot_time() > self._settled_at + (self.cadence_s if self.node.movable else SEEN_EVERY_S)

    def hasten(self) -> None:
        """It is time."""
        self._settled_at = -inf

    def settled(self, nodes: int) -> None:
        """Everything is in its place, or on its way; so many nodes live."""
        self._settled_at, self.has_company = boot_time(), nodes > 1


def life_of(name: str, epoch: int) -> str:
    """How one life of a node is written down."""
    return f"{epoch}/{name}"


def take(connection: Connection, node: Node, patience_s: float) -> Tenure:
    """Begin a life of this node. Raises StoreUnavailable where it may not for so long; psycopg.Error."""
    deadline = time.monotonic() + patience_s
    while (tenure := _try(connection, node)) is None:
        if time.monotonic() > deadline:
            raise StoreUnavailable("locked", "another manager works in this database")
        time.sleep(LOOK_EVERY_S)
    return tenure


def _try(connection: Connection, node: Node) -> Tenure | None:
    ask = asking(connection)
    if decide(node, _look(ask, node)) == "wait":
        return None
    if node.movable:
        evict(ask, None)
    with connection.transaction():
        # A statement of its own: what comes after it sees what others did while this one waited for the row.
        ask("lock_head")
        if decide(node, _look(ask, node)) == "wait":
            return None
        begun = boot_time()
        values = {"name": node.name, "lease_s": node.lease_s, "directory": node.directory}
        epoch: int = ask("take_lease", values).fetchone()[0]
        if not node.visits:
            former = [] if node.movable else [name for (name,) in ask("supersede_all", (node.name,))]
            ask("abandon", ([node.name, *former],))
            ask("adopt", (node.name,))
            if not node.movable:
                ask("take_all", {"name": node.name})
        tenure = Tenure(node, epoch, begun)
        if not node.name:
            tenure.machine = next(iter(former_names(ask, node, "")), VISITED)
        return tenure


def former_names(ask: Ask, node: Node, machine: str) -> list[str]:
    """Under which others than `machine` have worked in the data directory of this node."""
    return [name for (name,) in ask("former_names", {"name": machine, "directory": node.directory})]


def take_former(ask: Ask, tenure: Tenure) -> None:
    """Have what was fixed to former names of this data directory and is there."""
    if tenure.here:
        node = tenure.node
        ask("take_former", {"name": node.name, "directory": node.directory, "streams": tenure.here})


def _look(ask: Ask, node: Node) -> Lease:
    lapsed, locked, company = ask("lease", {"name": node.name}).fetchone()
    return Lease(lapsed=lapsed, locked=locked, company=company)


def evict(ask: Ask, own: str | None) -> None:
    """End the lines of nodes whose leases have lapsed, but for this one; one that lives has another in a moment.

    Who froze in mid-transaction has the head row, which everybody waits for, and no timeout of the server ends a pipeline.
    """
    ask("evict", (own,))


def settle(connection: Connection, tenure: Tenure) -> None:
    """Take what nodes had that fell silent, and have everything in its place. Raises Superseded, psycopg.Error."""
    with connection.transaction():
        ask = asking(connection)
        ask("lock_head")
        tenure.check(ask("standing_of_node", (tenure.node.name,)).fetchone())
        if not tenure.node.movable:
            ask("be_seen", (tenure.node.name, tenure.epoch))
        elif not tenure.is_patient() and (superseded := [name for (name,) in ask("supersede", (tenure.node.name,))]):
            ask("abandon", (superseded,))
        take_former(ask, tenure)
        ask("forget_nodes")
        nodes = _settle(ask) if tenure.node.movable else 1
    tenure.settled(nodes)


def give_back(ask: Ask, tenure: Tenure) -> None:
    """End this life; others have what it had."""
    ask("give_lease_back", (tenure.node.name, tenure.epoch))
    if tenure.node.visits:
        return
    if tenure.node.movable:
        _settle(ask)


def _settle(ask: Ask) -> int:
    """Have every instance where it belongs, or on its way; how many nodes live."""
    nodes = ask("living").fetchall()
    living = [name for name, _, _ in nodes]
    ready = [name for name, url, leaving in nodes if url and not leaving]
    leaving = [name for name, _, leaving in nodes if leaving]
    if not _is_settled(living, ready, leaving, ask("census").fetchall()):
        changes = place(living, ready, [Placement(*row) for row in ask("placements")], leaving)
        ask.rows("move_placements", [value for each in changes for value in (each.stream, each.node, each.wanted)])
        if changes:
            ask("tell", ("placements",))
    return len(nodes)


def _is_settled(
    living: list[str], ready: list[str], leaving: list[str], census: list[tuple[str, str, bool, int]]
) -> bool:
    """Whether a glance at the numbers says that nothing is to be moved."""
    loads = dict.fromkeys(ready, 0)
    for node, goal, fixed, count in census:
        if not fixed and (node not in living or goal not in living or goal in leaving):
            return not ready
        if goal in loads:
            loads[goal] += count
    return max(loads.values(), default=0) - min(loads.values(), default=0) <= 1


Lost = Callable[[], None]
"""Called on the writer's thread, once, when others have taken over what this node had."""
