"""How fast sockets are opened when many are wanted at once: so many right away, then so many a second."""

from collections.abc import Callable

from chatbot_erp.actors.tidings import PlaceSocket

BURST = 16
SHORTEST_WAIT_S = 0.01

FAILED_WAIT_S = 1.0
"""Where one cannot start, the next hardly can, and finding that out may take a minute: others get their turn between."""


class Starts:
    """Waiting requests for sockets, in order, one per instance: the last one counts. Used by one thread.

    `start` is called for each that may begin; whether it could. Times are monotonic and given by the caller.
    """

    def __init__(self, start: Callable[[PlaceSocket], bool], *, per_s: float, burst: int = BURST) -> None:
        self._start = start
        self._per_s = per_s
        self._burst = burst
        self._left = float(burst)
        self._counted_at = 0.0
        self._waiting: dict[str, PlaceSocket] = {}

    def want(self, request: PlaceSocket) -> None:
        """Let it wait for its turn; call `go` then. A later request of an instance keeps the place of the former."""
        self._waiting[request.instance] = request

    def forget(self, instance: str) -> PlaceSocket | None:
        """This instance wants no socket any more; what waited."""
        return self._waiting.pop(instance, None)

    def has(self, instance: str) -> bool:
        return instance in self._waiting

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def go(self, now: float) -> float | None:
        """Start what may start now. In how many seconds to call again, or None if nothing waits."""
        self._left = min(float(self._burst), self._left + max(0.0, now - self._counted_at) * self._per_s)
        self._counted_at = now
        while self._waiting and self._left >= 1.0:
            self._left -= 1.0
            if not self._start(self._waiting.pop(next(iter(self._waiting)))):
                return FAILED_WAIT_S if self._waiting else None
        return max(SHORTEST_WAIT_S, (1.0 - self._left) / self._per_s) if self._waiting else None
