"""Which nodes may work with a log that several can reach, and what a node finds of another one of its name.

A lease is a row in the database: whose it is, until when by the database's clock, and an epoch that grows with every life
of that node. Beside it a node has a lock that ends with its connection. A lock that is free says that the node cannot
append right now; a lease that has lapsed says that it has not been heard of for long.
"""

import time
from typing import Literal

import msgspec

LEASE_S = 10.0
"""How long a node that fell silent is waited for before others take what it has."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A manager. `movable`: others may go on with what it has, because nothing of that is on its machine only."""

    name: str
    movable: bool = False
    lease_s: float = LEASE_S
    directory: str = ""
    """By which its data directory is known again, whatever the name of the node; empty where nobody needs to know it."""

    @property
    def visits(self) -> bool:
        """It has nothing, and is given nothing."""
        return self.movable and not self.name


ALONE = Node(name="")
"""Who shares a log with nobody."""

VISITOR = Node(name="", movable=True)
"""Who writes something down beside the nodes that are there, if any, and goes again. One at a time."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says at one moment of a name, and of those who work there."""

    lapsed: bool = True
    locked: bool = False
    """Somebody of this name has a connection."""
    company: Literal["nobody", "nodes", "alone"] = "nobody"
    """Who works there, of other names: nodes, or one that shares with nobody (of any name)."""


def boot_time() -> float:
    """Seconds, the same for all processes of a machine; they pass while it sleeps, too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def decide(node: Node, lease: Lease) -> Literal["take", "wait"]:
    """Whether `node` begins to work, under its name."""
    if lease.company == "alone" or (lease.company == "nodes" and not node.movable):
        return "wait"
    if lease.locked:
        # It may be frozen, or cut off; or there are two of one name.
        return "take" if node.movable and lease.lapsed else "wait"
    return "take"
