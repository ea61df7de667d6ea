"""The lasting faults that stand against one number, or against everybody."""

from __future__ import annotations

from typing import Any, TypeVar

from chatbot_erp.sandbox.faults import Condition, CutMedia, HangDial, LoginFailure, Refuse, RefuseMedia, RefuseSend

C = TypeVar("C", bound=Condition)


class Conditions:
    """At most one condition of each kind; a later one replaces it."""

    def __init__(self, wider: Conditions | None = None) -> None:
        self._wider = wider
        self._standing: dict[type[Any], Condition] = {}
        self._left: dict[type[Any], int] = {}

    def impose(self, condition: Condition) -> None:
        kind = type(condition)
        self._standing[kind] = condition
        self._left.pop(kind, None)
        if (
            isinstance(condition, (Refuse, HangDial, LoginFailure, RefuseMedia, CutMedia, RefuseSend))
            and condition.times is not None
        ):
            self._left[kind] = condition.times

    def heal(self) -> None:
        self._standing.clear()
        self._left.clear()

    def get(self, kind: type[C]) -> C | None:
        """The condition of this kind: one's own, or everybody's."""
        own = self._standing.get(kind)
        if isinstance(own, kind):
            return own
        return self._wider.get(kind) if self._wider else None

    def use(self, kind: type[C]) -> C | None:
        """As `get`, and count it: what may happen three times is gone after the third."""
        own = self._standing.get(kind)
        if not isinstance(own, kind):
            return self._wider.use(kind) if self._wider else None
        left = self._left.get(kind)
        if left is not None:
            self._left[kind] = left - 1
            if left <= 1:
                del self._standing[kind], self._left[kind]
        return own
