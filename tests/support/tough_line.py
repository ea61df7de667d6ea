"""A line to the sandbox network on which a dial can hang: it is taken, and nothing comes back."""

import socket
import threading
from urllib.parse import urlsplit

from relay import Relay, join, shut


class ToughLine(Relay):
    """Listens at `url` and passes everything on to the proxy at `target_url`. `hang_up` ends a dial that hangs, too."""

    def __init__(self, target_url: str) -> None:
        target = urlsplit(target_url)
        self._target = (target.hostname, target.port)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._wanted = threading.Event()
        self._hanging = threading.Event()
        self._hung: list[socket.socket] = []
        super().__init__(listener, self._dial)

    def hang_the_next_dial(self) -> None:
        self._wanted.set()

    def await_hanging(self, patience_s: float) -> bool:
        """Whether a dial hangs before the patience ends."""
        return self._hanging.wait(patience_s)

    def end_the_dial(self) -> None:
        """The one that hangs fails; all others are untouched."""
        shut(self._hung.pop())

    def _dial(self, client: socket.socket) -> None:
        if self._wanted.is_set():
            self._wanted.clear()
            self._hung.append(client)
            self._hanging.set()
            return
        target = socket.create_connection(self._target)
        self.lines.append(target)
        join(client, target)
