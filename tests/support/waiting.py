"""Waiting for what comes by itself, where nobody says when."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 180.0
"""A start alone has taken more than a minute where twelve others wanted the same two cores, and nice had its way."""


def wait_until(
    look: Callable[[], T | None], patience_s: float = PATIENCE_S, *, describe: Callable[[], object] | None = None
) -> T:
    """Look until it is true, or there is something to see; what was seen.

    Raises TimeoutError, with how things stand then, as `describe` has it, or else with what was seen last.
    """
    deadline, pause_s = time.monotonic() + patience_s, 0.01
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"It never came; at the end: {describe() if describe else repr(seen)}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    return seen
