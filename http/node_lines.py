"""The connections on which a node has others answer, which can be cut while somebody waits at them."""

import socket
from collections.abc import Collection
from contextlib import suppress
from threading import Lock
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Lines:
    """Connections to other nodes that can be cut while somebody waits at them. `plain` and `secure` are pools of such."""

    def __init__(self) -> None:
        opened: WeakSet[HTTPConnection] = WeakSet()
        door = Lock()

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                with door:
                    opened.add(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                with door:
                    opened.add(self)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.plain, self.secure = PlainPool, SecurePool
        self._opened, self._door = opened, door

    def cut_all_but(self, kept: Collection[tuple[str, int]]) -> None:
        """Whoever waits at one to another host and port is told that it broke."""
        with self._door:
            lines = [line for line in self._opened if (line.host, line.port) not in kept]
        for line in lines:
            if (end := line.sock) is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
