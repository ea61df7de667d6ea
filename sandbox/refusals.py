"""How the server says no to a question (`<iq type=error>`). Source: the errors whatsmeow knows (errors.go)."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """A code and the word that goes with it: clients compare both."""

    code: int
    text: str


UNAUTHORIZED = Refusal(401, "not-authorized")
FORBIDDEN = Refusal(403, "forbidden")
NOT_FOUND = Refusal(404, "item-not-found")
NOT_ALLOWED = Refusal(405, "not-allowed")
NOT_ACCEPTABLE = Refusal(406, "not-acceptable")
CONFLICT = Refusal(409, "conflict")
GONE = Refusal(410, "gone")


class QueryRefused(Exception):
    """Raised where a question is not answered as asked."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal
