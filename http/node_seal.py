"""How a node knows that another one forwards a call: by a seal that only those can make who read their database."""

import hashlib
import hmac
from collections.abc import Callable
from secrets import token_hex


class Seal:
    """Any thread. `secret` is what all nodes share; both methods raise what it raises."""

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def stamp(self, method: str, path: str) -> str:
        """The seal of one call; `path` without a query, decoded: a proxy between nodes may write it otherwise."""
        nonce = token_hex(8)
        return f"{nonce}.{self._digest(nonce, method, path)}"

    def is_genuine(self, shown: str, method: str, path: str) -> bool:
        nonce, _, digest = shown.partition(".")
        return hmac.compare_digest(digest.encode(), self._digest(nonce, method, path).encode())

    def _digest(self, nonce: str, method: str, path: str) -> str:
        return hmac.new(self._secret(), f"{nonce} {method} {path}".encode(), hashlib.sha256).hexdigest()
