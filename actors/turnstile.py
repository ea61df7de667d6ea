"""How many callers may wait at once for what somebody else takes his time with: of all, and about one of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from chatbot_erp.actors.errors import Unavailable


class Turnstile:
    """Each of them holds a thread that sends need as well. Any thread may use it; `refusal` is what others are told."""

    def __init__(self, *, most: int, most_of_one: int, refusal: str) -> None:
        self._refusal = refusal
        self._most = most
        self._most_of_one = most_of_one
        self._inside: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def passed(self, whom: str) -> Iterator[None]:
        """Raises `Unavailable` where too many are inside already."""
        with self._lock:
            if self._inside.total() >= self._most or self._inside[whom] >= self._most_of_one:
                raise Unavailable(self._refusal)
            self._inside[whom] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[whom] -= 1
                if not self._inside[whom]:
                    del self._inside[whom]
