"""The lease in PostgreSQL: how a node takes it, keeps it, and learns that it has it no more."""

import time
from collections.abc import Callable

from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.lease import Lease, Node, boot_time, decide
from chatbot_erp.eventstore.postgres import Connection, asking

RENEWALS = 5
"""So often a lease is renewed while it lasts."""

LOOK_EVERY_S = 0.2


class Superseded(Exception):
    """Raised where another node has the lease: nothing is written here any more."""

    def __init__(self) -> None:
        super().__init__("another node works with it now")


class Tenure:
    """One node's time with the lease, from its epoch on. The writer's thread keeps it; `until` is for any thread."""

    def __init__(self, node: Node, epoch: int, begun: float) -> None:
        """`begun` is a moment, by `boot_time`, before the database counted."""
        self.node = node
        self.epoch = epoch
        self.until = begun + node.lease_s
        """By `boot_time`, at the latest so late the database lets others take over."""

    def check(self, epoch: int) -> None:
        """`epoch` is what stands in the database. Raises Superseded."""
        if epoch != self.epoch:
            raise Superseded

    def is_due(self) -> bool:
        """Whether the lease is to be renewed; what cannot be moved needs no end."""
        lease_s = self.node.lease_s
        return self.node.movable and boot_time() > self.until - lease_s + lease_s / RENEWALS

    def renew(self, ask: Ask) -> None:
        """Within a transaction that has found the epoch to be the own one; `renewed` when it is committed."""
        ask("renew_lease", (self.node.lease_s,))
        see(ask, self.node)

    def renewed(self, begun: float) -> None:
        """A transaction that began then, by `boot_time`, has renewed the lease."""
        self.until = begun + self.node.lease_s


def take(connection: Connection, node: Node, patience_s: float) -> Tenure:
    """Have the lease, from whoever has it. Raises StoreUnavailable where it is another's for so long; psycopg.Error."""
    deadline = time.monotonic() + patience_s
    while (tenure := _try(connection, node)) is None:
        if time.monotonic() > deadline:
            raise StoreUnavailable("locked", "another manager works in this database")
        time.sleep(LOOK_EVERY_S)
    return tenure


def _try(connection: Connection, node: Node) -> Tenure | None:
    ask = asking(connection)
    lease = _look(ask)
    if decide(node, lease) == "wait":
        return None
    if lease.locked:
        # First of all: who froze in mid-transaction has the row, too, and no timeout of the server ends a pipeline.
        ask("evict")
    with connection.transaction():
        # A statement of its own: what comes after it sees what others did while this one waited for the row.
        ask("lock_head")
        if decide(node, _look(ask)) == "wait":
            return None
        if node.movable:
            see(ask, node)
        begun = boot_time()
        epoch: int = ask("take_lease", (node.name, node.movable, node.lease_s)).fetchone()[0]
        return Tenure(node, epoch, begun)


def _look(ask: Ask) -> Lease:
    epoch, holder, movable, lapsed, locked = ask("lease").fetchone()
    return Lease(epoch=epoch, holder=holder, movable=movable, lapsed=lapsed, locked=locked)


def see(ask: Ask, node: Node) -> None:
    """Have it known that the node is there."""
    ask("see_node", (node.name, node.url))
    ask("forget_nodes")


def keep(connection: Connection, tenure: Tenure) -> None:
    """Renew the lease if it is time. Raises Superseded, psycopg.Error."""
    begun = boot_time()
    with connection.transaction():
        ask = asking(connection)
        tenure.check(ask("lock_head").fetchone()[-1])
        tenure.renew(ask)
    tenure.renewed(begun)


def give_back(ask: Ask, tenure: Tenure) -> None:
    """Whoever waits need not wait any longer."""
    ask("give_lease_back", (tenure.epoch,))


Lost = Callable[[], None]
"""Called on the writer's thread, once, when another node has taken over."""
