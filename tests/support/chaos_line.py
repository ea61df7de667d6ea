"""One number in the chaos: what was said to it and by it, and what is to become of it."""

import threading
from dataclasses import dataclass, field
from typing import Any

from chaos_accounts import Asked
from chatbot_erp.actors.supervision import TRIED_AT_START
from chatbot_erp.sandbox.client import Phone


@dataclass(frozen=True, slots=True)
class Doom:
    """As what a number ends that no restart cures."""

    status: str
    reason: str


UNUSABLE = Doom("INVALID", "unusable_session")
DELETED = ("locked", "banned", "logged_out")


@dataclass(slots=True)
class Line:
    """One number, and the ledger of what was said to it and by it."""

    name: str
    id: str
    phone: Phone
    written: dict[str, float] = field(default_factory=dict)
    """Text → when it was written to this number."""
    asked: dict[str, Asked] = field(default_factory=dict)
    """Text → what came of the wish to send it."""
    was_replaced: bool = False
    doom: Doom | None = None
    doomed_after: int = 0
    """Where its log ended before that."""
    doomed_at: float = 0.0
    killed: list[float] = field(default_factory=list)
    """When, in seconds since the epoch, a process that carried it was ended by force."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def dooms(self) -> list[Doom]:
        """As what it may end. A process that is killed when the library has deleted the session, but nobody noted why
        yet, some milliseconds later, leaves nothing but a session that cannot be used."""
        assert self.doom is not None
        is_killed = any(self.doomed_at <= killed for killed in self.killed)
        return [self.doom, *([UNUSABLE] if is_killed and self.doom.reason in DELETED else [])]


def ended_as_doomed(log: list[Any], doom: Doom) -> bool:
    """Whether a log ends so. Nothing but a new manager may have tried again, where it is to try once."""
    allowed = {"manager_started"} if doom.reason in TRIED_AT_START else set()
    is_over = False
    for event in log:
        if event["data"].get("reason") == doom.reason:
            is_over = True
        elif is_over and event["type"] in ("instance.restarted", "instance.connected"):
            assert event["data"].get("cause") in allowed, story_of(log)
            is_over = False
    return is_over


def story_of(log: list[Any]) -> list[tuple[str, str, str | None]]:
    """The last steps of an instance, to be read."""
    steps = [event for event in log if event["type"].startswith("instance.")]
    return [
        (each["recordedAt"], each["type"], each["data"].get("reason") or each["data"].get("cause"))
        for each in steps[-12:]
    ]
