"""A line to the sandbox network on which a dial can hang: it is taken, and nothing comes back."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class ToughLine:
    """Listens at `url` and passes everything on to the proxy at `target_url`."""

    def __init__(self, target_url: str) -> None:
        target = urlsplit(target_url)
        self._target = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._wanted = threading.Event()
        self._hanging = threading.Event()
        self._lines: list[socket.socket] = []

    def hang_the_next_dial(self) -> None:
        self._wanted.set()

    def await_hanging(self, patience_s: float) -> bool:
        """Whether a dial hangs before the patience ends."""
        return self._hanging.wait(patience_s)

    def hang_up(self) -> None:
        """End every line; a dial that hangs fails."""
        for end in self._lines:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._lines.append(client)
                if self._wanted.is_set():
                    self._wanted.clear()
                    self._hanging.set()
                    continue
                target = socket.create_connection(self._target)
                self._lines.append(target)
                for ends in ((client, target), (target, client)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        for end in (self._listener, *self._lines):
            end.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
