"""The client's end of the control connection: blocking sockets, one borrowed per question."""

from __future__ import annotations

import socket
import threading
from io import BufferedReader
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from chatbot_erp.sandbox.control import Refused, Reply, Request

T = TypeVar("T")


class SandboxError(Exception):
    """Raised when the network refuses what was asked; the sentence says why."""


class _Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=10)
        # A wait lasts as long as the caller said: the server ends it, not this socket.
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader: BufferedReader = self._socket.makefile("rb")

    def exchange(self, line: bytes) -> bytes:
        self._socket.sendall(line)
        return self._reader.readline()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


class ConnectionPool:
    """Connections to one network. A wait occupies one; as many are opened as there are threads asking."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "tcp" or parts.hostname is None or parts.port is None:
            raise ValueError(f"A control URL reads tcp://127.0.0.1:PORT, not {url!r}.")
        self._address = (parts.hostname, parts.port)
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()

    def ask(self, request: Request, kind: type[T]) -> T:
        """Put one question and wait for its answer."""
        line = msgspec.json.encode(request) + b"\n"
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or _Connection(self._address)
            answer = connection.exchange(line)
        except OSError as ex:
            if connection is not None:
                connection.close()
            raise SandboxError(f"The sandbox network at {self._address} cannot be reached: {ex}.") from ex
        except BaseException:
            # An interrupted exchange leaves an answer in the pipe that would be taken for the next question's.
            if connection is not None:
                connection.close()
            raise
        if not answer:
            connection.close()
            raise SandboxError("The sandbox network has ended.")
        with self._lock:
            self._idle.append(connection)
        reply = msgspec.json.decode(answer, type=Reply)
        if isinstance(reply, Refused):
            raise TimeoutError(reply.reason) if reply.timed_out else SandboxError(reply.reason)
        return msgspec.json.decode(reply.value, type=kind)

    def close(self) -> None:
        """Close what is idle. A question that is under way keeps its connection until it is answered."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
