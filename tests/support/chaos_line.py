"""One number in the chaos: what was said to it and by it, what is to become of it, and what may be missing in the end."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chatbot_erp.actors.supervision import TRIED_AT_START
from chatbot_erp.sandbox.client import Phone
from chatbot_erp.sandbox.faults import Fault, LoggedOut, LoginFailure

WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class Doom:
    """What no restart cures, and as what the number ends."""

    fault: Fault
    status: str
    reason: str


DOOMS = (
    Doom(LoginFailure(reason=403), "INVALID", "locked"),
    Doom(LoginFailure(reason=405), "INVALID", "client_outdated"),
    Doom(LoginFailure(reason=406), "INVALID", "banned"),
    Doom(LoginFailure(reason=402, expire_s=36_000), "DISCONNECTED", "temporarily_banned"),
    Doom(LoggedOut(), "removed", "logged_out"),
)


@dataclass(slots=True)
class Line:
    """One number, and the ledger of what was said to it and by it."""

    name: str
    id: str
    phone: Phone
    said_to_it: dict[str, float] = field(default_factory=dict)
    """Text → when it was said."""
    said_by_it: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_replaced: bool = False
    doom: Doom | None = None
    killed: list[float] = field(default_factory=list)
    """When, in seconds since the epoch, a process that carried it was ended by force."""

    def lost_messages(self) -> set[str]:
        """The texts that may be missing, as one of two is proven by the network: its companion has not taken them, and
        will not as it is doomed; or it took them, and its process was killed within `WINDOW_S`.

        The library acknowledges before it hands over: what is acknowledged is never sent again (docs/guarantees.md).
        """
        texts = {message.id: message.text for message in self.phone.inbox()}
        taken = self._taken("message")
        fallen = {texts[key] for key, times in taken.items() if key in texts and self._fell(times)}
        waiting = {text for key, text in texts.items() if key not in taken} if self.doom else set()
        return fallen | waiting

    def lost_reads(self, sent: Iterable[str]) -> set[str]:
        """Of the messages that it has sent, by id, those whose receipt `read` may be missing, for the same reasons."""
        taken = self._taken("receipt", "read")
        fallen = {key for key, times in taken.items() if self._fell(times)}
        waiting = {message_id for message_id in sent if message_id not in taken} if self.doom else set()
        return fallen | waiting

    def _taken(self, tag: str, kind: str | None = None) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for each in self.phone.taken():
            if each.tag == tag and kind in (None, each.type):
                found.setdefault(each.id, []).append(each.at)
        return found

    def _fell(self, times: list[float]) -> bool:
        return any(0 <= killed - at < WINDOW_S for killed in self.killed for at in times)


def ended_as_doomed(log: list[Any], doom: Doom) -> bool:
    """Whether a log ends so. A restart after that is a fault, but for what each new manager is to try once."""
    steps = [event for event in log if event["type"].startswith("instance.")]
    places = [place for place, event in enumerate(steps) if event["data"].get("reason") == doom.reason]
    if not places:
        return False
    after = [event for event in steps[places[0] :] if event["type"] in ("instance.restarted", "instance.connected")]
    allowed = {"manager_started"} if doom.reason in TRIED_AT_START else set()
    assert {event["data"].get("cause") for event in after} <= allowed, story_of(log)
    return not any(event["type"] == "instance.restarted" for event in steps[places[-1] :])


def story_of(log: list[Any]) -> list[tuple[str, str, str | None]]:
    """The last steps of an instance, to be read."""
    steps = [event for event in log if event["type"].startswith("instance.")]
    return [
        (each["recordedAt"], each["type"], each["data"].get("reason") or each["data"].get("cause"))
        for each in steps[-12:]
    ]
