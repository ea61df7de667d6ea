"""The connections on which a node has others answer, which can be cut while somebody waits at them."""

import socket
from collections.abc import Collection
from contextlib import suppress
from threading import Lock
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationValueError


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

    def cut_all_but(self, urls: Collection[str]) -> None:
        """Whoever waits at one to another host and port than these have is told that it broke."""
        kept = {address(url) for url in urls}
        with self._door:
            lines = [line for line in self._opened if (line.host, line.port) not in kept]
        for line in lines:
            if (end := line.sock) is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def address(url: str) -> tuple[str, int | None] | None:
    """The host and the port of a URL as a connection has them: a name may be written in several ways. None of no URL."""
    try:
        pool = urllib3.connection_from_url(url)
    except LocationValueError:
        return None
    line = pool.ConnectionCls(pool.host, pool.port)
    return line.host, line.port
