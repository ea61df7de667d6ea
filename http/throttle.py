"""How often one address may show a wrong key."""

from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from threading import Lock

FAILURES = 10
WINDOW_S = 60.0
ADDRESSES_IN_MEMORY = 4096
PROVEN_IN_MEMORY = 4096
IPV6_NETWORK = 64
"""Whoever has one IPv6 address has all of its /64."""


class Throttle:
    """Counts failures by address; any thread.

    A key that has proven right from an address goes on opening from there while the address is blocked: behind a
    reverse proxy, where all callers share one, a stranger's failures do not shut out those who were in. A guess can
    only profit from that at the address of the very caller it guesses.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = Lock()

    def blocks(self, address: str, key: str) -> bool:
        """Whether this key (its digest) must not even be looked at now."""
        place = network_of(address)
        with self._lock:
            recent = self._failures.get(place)
            while recent and recent[0] <= self._clock() - WINDOW_S:
                recent.popleft()
            return recent is not None and len(recent) >= FAILURES and (place, key) not in self._proven

    def failed(self, address: str) -> None:
        """A wrong key came from there."""
        place = network_of(address)
        with self._lock:
            self._failures.setdefault(place, deque(maxlen=FAILURES)).append(self._clock())
            self._failures.move_to_end(place)
            while len(self._failures) > ADDRESSES_IN_MEMORY:
                self._failures.popitem(last=False)

    def proved(self, address: str, key: str) -> None:
        """A right key came from there."""
        with self._lock:
            self._proven[network_of(address), key] = None
            self._proven.move_to_end((network_of(address), key))
            while len(self._proven) > PROVEN_IN_MEMORY:
                self._proven.popitem(last=False)


def network_of(address: str) -> str:
    """What one caller can choose its addresses from."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return address if ip.version == 4 else str(ip_network((ip, IPV6_NETWORK), strict=False))
