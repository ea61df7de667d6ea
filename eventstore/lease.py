"""Which node works with a log that several can reach: one at a time, and who is next.

The lease is a row in the database: its holder, until when by the database's clock, and an epoch that grows with every
holder. Beside it the holder has a lock that ends with its connection. A lock that is free says that the holder cannot
append right now; a lease that has lapsed says that it has not been heard of for long.
"""

import time
from datetime import datetime
from typing import Literal

import msgspec

LEASE_S = 10.0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A manager. `movable`: another may go on with all it has, because nothing of that is on its machine."""

    name: str
    url: str = ""
    movable: bool = False
    lease_s: float = LEASE_S
    """How long it is waited for when it falls silent, before another takes its place."""


ALONE = Node(name="")
"""Who shares a log with nobody."""


class Seen(msgspec.Struct, frozen=True):
    """A node, and when it was last heard of."""

    name: str
    url: str
    seen_at: datetime


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says at one moment. Nobody is the holder of a lease that was given back."""

    epoch: int = 0
    holder: str | None = None
    movable: bool = False
    lapsed: bool = True
    locked: bool = False


def boot_time() -> float:
    """Seconds, the same for all processes of a machine; they pass while it sleeps, too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def decide(node: Node, lease: Lease) -> Literal["take", "wait"]:
    """Whether `node` takes the lease, from whoever has it."""
    if lease.locked:
        # Its holder may only be frozen, or cut off. What it had goes with it unless all of that can be moved.
        return "take" if node.movable and lease.movable and lease.lapsed else "wait"
    if not node.movable or lease.holder in (None, node.name):
        return "take"
    # The holder was killed, or its connection broke a moment ago and it is about to have another.
    return "take" if lease.lapsed else "wait"
