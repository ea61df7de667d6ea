"""Notices what the library does not: a reconnect it forgot, a line that flaps, a deaf connection, a login that is gone."""

import threading
import time
from collections.abc import Callable

from chatbot_erp.actors.frames import SocketStands
from chatbot_erp.actors.wa_client import Client, LibraryError

RECONNECT_PATIENCE_S, LOGIN_PATIENCE_S = 4.0, 1.0
PROBE_PATIENCE_S = 10.0
"""With the library's keep-alive before it (at most 30 s, and 10 s for its answer), silence is noticed within 50 s."""

LOOK_S = 0.05

SHORT_S = 10.0
FLAPS = (5, 60.0)
"""So many connections in so many seconds that were over within `SHORT_S`: the library would go on like that without a
pause and without end."""


class Watch:
    """Over one client. It keeps no thread: each look is a timer or a thread that ends by itself, or with its reason.

    `give_up(cause, detail)` is called when only a new socket helps, `report` where somebody else is to judge, and
    `ask` puts a question to WhatsApp, which raises `LibraryError`. All three run on threads of this object.
    """

    def __init__(
        self,
        name: str,
        client: Client,
        *,
        give_up: Callable[[str, str], None],
        report: Callable[[SocketStands], None],
        ask: Callable[[], object],
    ) -> None:
        self._name = name
        self._client = client
        self._give_up = give_up
        self._report = report
        self._ask = ask
        self._over = threading.Event()
        self._probing = threading.Lock()
        self._connections = 0
        self._opened_at = 0.0
        self._short: list[float] = []
        self._look: threading.Timer | None = None
        self.connected = False

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def end(self) -> bool:
        """Look no more. Whether that is news."""
        self.connected = False
        news = not self.is_over
        self._over.set()
        self._look_no_more()
        return news

    def opened(self) -> None:
        """The library is connected and logged in."""
        self.connected = True
        self._connections += 1
        self._opened_at = time.monotonic()
        self._look_no_more()

    def await_connection(self, patience_s: float) -> bool:
        """Whether it is connected within so many seconds. Waits no longer where that is over."""
        until = time.monotonic() + patience_s
        while not (self.connected or self.is_over) and time.monotonic() < until:
            time.sleep(LOOK_S)
        return self.connected

    def broke(self) -> None:
        """The connection is gone. The library reconnects by itself; see later whether it has, unless the line flaps."""
        was_connected, self.connected = self.connected, False
        if was_connected and self._flaps(time.monotonic()):
            self._give_up("flapping", "The connection was made and lost again and again.")
        else:
            self._look_for_library_in(RECONNECT_PATIENCE_S)

    def was_complained_of(self) -> None:
        """WhatsApp ended the stream for a reason that the library does not know.

        It then no longer counts itself as logged in, and if the connection stays, it does nothing about it.
        """
        later(LOGIN_PATIENCE_S, self._look_for_login)

    def was_not_answered(self) -> None:
        """A keep-alive was not answered: ask WhatsApp something else. A connection that stays silent is deaf."""
        threading.Thread(target=self._probe, name=f"probe-{self._name}", daemon=True).start()

    def standing(self) -> SocketStands:
        """How the library sees its connection."""
        try:
            return SocketStands(connected=self._client.is_connected(), logged_in=self._client.is_logged_in())
        except LibraryError:
            return SocketStands(connected=False, logged_in=False)

    def _flaps(self, now: float) -> bool:
        """Whether this loss is one too many."""
        count, period = FLAPS
        if now - self._opened_at >= SHORT_S:
            return False
        self._short = [*(at for at in self._short if now - at < period), now]
        return len(self._short) >= count

    def _look_for_library_in(self, delay_s: float) -> None:
        connection = self._connections
        self._look = later(delay_s, lambda: self._look_for_library(connection))

    def _look_no_more(self) -> None:
        """A line that flaps would leave a waiting thread for each time it broke."""
        if self._look is not None:
            self._look.cancel()

    def _look_for_library(self, connection: int) -> None:
        """Has the library come through, or at least to the login?

        It waits ever longer between its attempts, and now and then forgets to make another.
        """
        if self.connected or self._connections != connection or self.is_over:
            return
        if self.standing().connected:
            self._look_for_library_in(LOGIN_PATIENCE_S)
        else:
            self._give_up("refused", "The library has not reconnected.")

    def _look_for_login(self) -> None:
        if self.connected:
            self._report(self.standing())

    def _probe(self) -> None:
        if not self._probing.acquire(blocking=False):
            return
        connection = self._connections
        answered = threading.Event()
        threading.Thread(target=self._await_answer, args=(answered,), name=f"ask-{self._name}", daemon=True).start()
        try:
            if not answered.wait(PROBE_PATIENCE_S) and self.connected and self._connections == connection:
                self._give_up("deaf", "WhatsApp answered neither a keep-alive nor a question.")
        finally:
            self._probing.release()

    def _await_answer(self, answered: threading.Event) -> None:
        try:
            self._ask()
        except LibraryError as ex:
            if "timed out" in str(ex):
                return
        answered.set()


def later(delay_s: float, look: Callable[[], None]) -> threading.Timer:
    """Call it once, `delay_s` seconds from now, on a thread that keeps no process alive."""
    timer = threading.Timer(delay_s, look)
    timer.daemon = True
    timer.start()
    return timer
