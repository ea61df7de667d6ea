"""A line to PostgreSQL that can be cut at the worst moment: the commit is done, and its answer never arrives."""

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

COMMITTED = b"COMMIT\x00"
"""How the server says so."""


class CutLine:
    """Listens on a socket in `directory` and passes everything on to the server's."""

    def __init__(self, directory: Path, server: str) -> None:
        self.directory = directory
        self.cuts = 0
        self._server = server
        self._wanted = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / ".s.PGSQL.5432"))
        self._listener.listen()
        self._lines: list[socket.socket] = []

    def cut_the_next_commit(self) -> None:
        self._wanted.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._lines += (client, server)
                for source, target, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass_on, args=(source, target, is_answer), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                if is_answer and COMMITTED in content and self._wanted.is_set():
                    self._wanted.clear()
                    self.cuts += 1
                    break
                target.sendall(content)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for end in (self._listener, *self._lines):
            end.close()
