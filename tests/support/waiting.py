"""Waiting for what comes by itself, where nobody says when."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 180.0
"""A start alone has taken more than a minute where twelve others wanted the same two cores, and nice had its way."""


def wait_until(look: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Look until it is true, or there is something to see; what was seen. Raises TimeoutError."""
    deadline = time.monotonic() + patience_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"It never came; what was seen last: {seen!r}.")
        time.sleep(0.01)
    return seen
