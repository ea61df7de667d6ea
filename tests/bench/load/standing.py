"""What it costs to have numbers at all: memory, CPU while nothing happens, start-up, everybody reconnecting at once."""

from __future__ import annotations

import time
from typing import Any

from chatbot_erp.sandbox.faults import Drop
from load.processes import descendants, pss_mb
from load.world import World

PATIENCE_S = 180.0


def memory(world: World, empty_mb: float) -> dict[str, float]:
    """Proportional set size of the manager and all its processes, and what each number adds to an empty manager."""
    manager, whole = pss_mb([world.manager.pid]), pss_mb(descendants(world.manager.pid))
    return {
        "mb": whole,
        "manager_mb": manager,
        "hosts_mb": whole - manager,
        "mb_per_instance": (whole - empty_mb) / max(1, len(world.phones)),
    }


def idle(world: World, seconds: float) -> dict[str, float]:
    """CPU while nobody sends or writes, as a share of one core."""
    before = world.cost()
    time.sleep(seconds)
    cost = world.cost() - before
    share = 100 / seconds
    return {
        "manager_percent": cost.manager * share,
        "hosts_percent": cost.hosts * share,
        "percent": cost.program * share,
    }


def reconnect(world: World) -> dict[str, float]:
    """The network drops every connection at once."""
    logins, before = world.network.stats().logins_total, world.cost()
    world.network.fault(Drop())
    begun = time.monotonic()
    while world.network.stats().logins_total - logins < len(world.phones):
        if time.monotonic() - begun > PATIENCE_S:
            raise TimeoutError("They do not come back.")
        time.sleep(0.05)
    world.await_connected(PATIENCE_S)
    return {"s": time.monotonic() - begun, "cpu_s": (world.cost() - before).program}


def restart(world: World) -> dict[str, Any]:
    """The manager ends in order and starts again: until it listens, and until all numbers are connected."""
    begun = time.monotonic()
    world.manager.terminate()
    ended = time.monotonic()
    world.manager.start(timeout_s=PATIENCE_S)
    listening = time.monotonic()
    connected_s = world.await_connected(PATIENCE_S)
    return {
        "end_s": ended - begun,
        "listening_s": listening - ended,
        "connected_s": listening - ended + connected_s,
        "cpu_s": world.cost().program,
    }
