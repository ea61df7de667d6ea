"""A line to PostgreSQL that goes dead as one of a network does: it stays open, and nothing comes through, either way."""

import contextlib
import socket
import threading
from pathlib import Path

from relay import Relay, shut


class DeadLine(Relay):
    """Listens on a socket in `directory` and passes everything on to the server's, but for the time that it is dead.

    What was under way then arrives when it lives again, however long that takes.
    """

    def __init__(self, directory: Path, server: str) -> None:
        self._server = server
        self._lives = threading.Event()
        self._lives.set()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / ".s.PGSQL.5432"))
        listener.listen(64)
        super().__init__(listener, self._dial)

    def go_dead(self) -> None:
        self._lives.clear()

    def revive(self) -> None:
        self._lives.set()

    def _dial(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        self.lines.append(server)
        try:
            server.connect(self._server)
        except OSError:
            shut(client)
            return
        for ends in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                self._lives.wait()
                target.sendall(content)
        self._lives.wait()  # nor does either end hear that the other one has hung up
        shut(source)
        shut(target)

    def __exit__(self, *_: object) -> None:
        self.revive()
        super().__exit__(None, None, None)
