"""What a phone does and sees besides messages."""

from __future__ import annotations

from chatbot_erp.sandbox import control_presence as words
from chatbot_erp.sandbox.control import PATIENCE_S
from chatbot_erp.sandbox.control_connection import ConnectionPool
from chatbot_erp.sandbox.control_presence import Activity, Sign, SignKind


class Presence:
    """The part of a `Phone` that comes and goes, types and calls. The others are named by their numbers."""

    _pool: ConnectionPool
    number: str

    def show(self, there: bool) -> None:
        """Open WhatsApp, or close it. Whoever watches this number is told when that changes how it looks."""
        self._pool.ask(words.Show(number=self.number, there=there), type(None))

    def watch(self, other: str) -> None:
        """See from now on whether another number has WhatsApp open; the first sign of it comes at once."""
        self._pool.ask(words.Watch(number=self.number, other=other), type(None))

    def act(self, to: str, activity: Activity) -> None:
        """Be seen typing ("composing"), "recording", or to have stopped ("paused")."""
        self._pool.ask(words.Act(number=self.number, to=to, activity=activity), type(None))

    def call(self, to: str, *, video: bool = False) -> str:
        """Call another number's companions. Returns the call's id."""
        return self._pool.ask(words.Call(number=self.number, to=to, video=video), str)

    def hang_up(self, to: str, call_id: str, *, reason: str = "timeout") -> None:
        """End a call, or give up."""
        request = words.HangUp(number=self.number, to=to, call_id=call_id, reason=reason)
        self._pool.ask(request, type(None))

    def wait_sign(self, sender: str, kind: SignKind, *, timeout_s: float = PATIENCE_S) -> Sign:
        """Wait until this phone sees that `sender` is there, types or refuses a call. Each sign is found once, and
        what came before it not any more."""
        request = words.AwaitSign(number=self.number, sender=sender, kind=kind, timeout_s=timeout_s)
        return self._pool.ask(request, Sign)
