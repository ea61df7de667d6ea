"""Waiting without polling: whoever changes something rings, whoever waits looks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Bell:
    """A list of people who want to be told. Ringing costs nothing while nobody waits."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    def ring(self) -> None:
        """Something has changed: let everybody look."""
        for waiter in tuple(self._waiting):
            look, seen = waiter
            value = look()
            if value is not None:
                self._waiting.remove(waiter)
                if not seen.done():
                    seen.set_result(value)

    async def wait(self, look: Callable[[], T | None], timeout_s: float, missing: str) -> T:
        """What `look` returns as soon as that is not None; TimeoutError says what was `missing`."""
        value = look()
        if value is not None:
            return value
        seen: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiter = (look, seen)
        self._waiting.append(waiter)
        try:
            return await asyncio.wait_for(seen, timeout_s)
        except TimeoutError:
            raise TimeoutError(f"{missing} within {timeout_s:g} s.") from None
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
