"""A line of this machine in whose middle a test stands: it takes connections and passes on what comes, or does not."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Relay:
    """Takes connections at `listener` while it is entered; each is handed to `serve`, on the thread that takes them.

    Whoever dials for one adds it to `lines`: all of them end with it.
    """

    def __init__(self, listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        self.lines: list[socket.socket] = []
        self._listener = listener
        self._serve = serve

    def hang_up(self) -> None:
        """End every line."""
        for end in self.lines:
            shut(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.lines.append(client)
                self._serve(client)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shut(self._listener)
        self.hang_up()
        for end in (self._listener, *self.lines):
            end.close()


def join(one: socket.socket, other: socket.socket, *, is_last: Callable[[bytes], bool] = lambda _: False) -> None:
    """Pass on in both directions, on threads of their own; the line ends at what `other` says for which `is_last` is."""
    threading.Thread(target=pass_on, args=(one, other), daemon=True).start()
    threading.Thread(target=pass_on, args=(other, one), kwargs={"is_last": is_last}, daemon=True).start()


def pass_on(
    source: socket.socket, target: socket.socket, *, is_last: Callable[[bytes], bool] = lambda _: False
) -> None:
    """Until one of them ends; then both do. What `is_last` is true for does not arrive."""
    with contextlib.suppress(OSError):
        while (content := source.recv(65536)) and not is_last(content):
            target.sendall(content)
    shut(source)
    shut(target)


def shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
