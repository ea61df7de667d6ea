"""A line to PostgreSQL that can be cut at the worst moment: the commit is done, and its answer never arrives."""

import socket
import threading
from pathlib import Path

from relay import Relay, join

COMMITTED = b"COMMIT\x00"
"""How the server says so."""


class CutLine(Relay):
    """Listens on a socket in `directory` and passes everything on to the server's."""

    def __init__(self, directory: Path, server: str) -> None:
        self.directory = directory
        self.cuts = 0
        self._server = server
        self._wanted = threading.Event()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / ".s.PGSQL.5432"))
        listener.listen()
        super().__init__(listener, self._dial)

    def cut_the_next_commit(self) -> None:
        self._wanted.set()

    def _dial(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        self.lines.append(server)
        server.connect(self._server)
        join(client, server, is_last=self._is_to_be_cut)

    def _is_to_be_cut(self, answer: bytes) -> bool:
        if COMMITTED not in answer or not self._wanted.is_set():
            return False
        self._wanted.clear()
        self.cuts += 1
        return True
