"""Steady traffic for long: whether memory, descriptors and threads stay where they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import linear_regression
from typing import Any

from load.processes import descendants, descriptors, pss_mb, threads
from load.traffic import paced
from load.world import World

LOOK_EVERY_S = 60.0
SETTLED_AFTER = 0.25
"""Of the time: what grows before that are caches, and what a first message leaves behind."""

GROWING = ("manager_mb", "hosts_mb", "descriptors", "threads")
LACKING = ("lost", "untold", "failed")
"""What there is to be none of."""


def standing(world: World) -> dict[str, float]:
    """What the manager and all its processes hold now."""
    pids = descendants(world.manager.pid)
    manager_mb = pss_mb([world.manager.pid])
    return {
        "manager_mb": manager_mb,
        "hosts_mb": pss_mb(pids) - manager_mb,
        "descriptors": descriptors(pids),
        "threads": threads(pids),
    }


def soak(world: World, minutes: float, per_s: float, note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Half of the messages out and half in, for so long; `note` is told how things stand at the start and each minute.

    Gives what was lost, untold and refused in all (`LACKING`), and by how much each of `GROWING` grows in an hour (least squares).
    """
    rows = [{"minute": 0.0, **standing(world)}]
    note(rows[0])
    lacking = dict.fromkeys(LACKING, 0)
    while (minute := rows[-1]["minute"]) < minutes:
        seconds = min(LOOK_EVERY_S, (minutes - minute) * 60)
        carried = paced(world, per_s, seconds)
        lacking = {what: count + carried[what] for what, count in lacking.items()}
        rows.append({"minute": minute + seconds / 60, **carried, **standing(world)})
        note(rows[-1])
    late = [row for row in rows if row["minute"] >= minutes * SETTLED_AFTER]
    at = [row["minute"] / 60 for row in late]
    return {
        "minutes": rows[-1]["minute"],
        **lacking,
        **{f"{what}_an_hour": slope(at, [row[what] for row in late]) for what in GROWING},
    }


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """Of the line that fits best; nan where there are no two moments."""
    return linear_regression(at, values).slope if len(at) > 1 else math.nan
