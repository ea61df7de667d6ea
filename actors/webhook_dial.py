"""Reaches a receiver: resolves its name, looks at the address, dials it, and bounds what the socket may take.

Whatever the other side does, each operation of a socket from here ends at its deadline.
"""

import math
import select
import socket
import ssl
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import certifi

from chatbot_erp.actors.webhook_address import Deny, literal

CONNECT_TIMEOUT_S = 5.0


class Denied(OSError):
    """Raised instead of dialling: every address of the host is denied."""


class BoundedSocket(socket.socket):
    """A plain one. It waits with a `poll` of its own, until its deadline at most, whatever timeout others give it.

    The timeouts of Python's sockets cost two more system calls for each operation, and at each the interpreter lock is
    given away: eight times a post, with this four times.
    """

    deadline: float

    def recv(self, *args: Any) -> bytes:
        while True:
            self._await(select.POLLIN)
            with suppress(BlockingIOError):
                return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        while True:
            self._await(select.POLLIN)
            with suppress(BlockingIOError):
                return super().recv_into(*args)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[super().send(rest, flags | socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._await(select.POLLOUT)

    def _await(self, event: int) -> None:
        ready = select.poll()
        ready.register(self, event)
        if not ready.poll(math.ceil(left(self.deadline) * 1000)):
            raise TimeoutError("The deadline has passed.")


class BoundedTls(ssl.SSLSocket):
    """One with TLS. Each operation ends at the deadline, however small the drops come."""

    deadline: float | None = None
    """None while it is made: `wrap_socket` itself reads from one that was reset meanwhile."""

    def recv(self, *args: Any) -> bytes:
        self._bound()
        return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        self._bound()
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        self._bound()
        super().sendall(*args)

    def _bound(self) -> None:
        if self.deadline is not None:
            self.settimeout(left(self.deadline))


def left(deadline: float) -> float:
    """Seconds until a moment of the monotonic clock. Raises `TimeoutError` if there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("The deadline has passed.")
    return seconds


def tls_context() -> ssl.SSLContext:
    """Verifies certificates against certifi's list and the system's."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    context.sslsocket_class = BoundedTls
    return context


def dial(host: str, port: int, deny: Deny, deadline: float) -> tuple[BoundedSocket, str]:
    """A connection to the first address of `host` that answers and is not denied, and that address.

    The address that was looked at is the one that is dialled, so a name cannot change its mind in between.
    """
    last: OSError | None = None
    denied: str | None = None
    for family, address in resolve(host, port, deadline):
        rule = deny.forbids(address[0])
        if rule is not None:
            denied = rule
            continue
        sock = BoundedSocket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(min(CONNECT_TIMEOUT_S, left(deadline)))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            sock.setblocking(False)
        except OSError as ex:
            sock.close()
            last = ex
            continue
        sock.deadline = deadline
        shown = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
        return sock, f"{shown}:{port}"
    if last is not None:
        raise last
    if denied is not None:
        raise Denied(f"The address is denied here ({denied}).")
    raise socket.gaierror(socket.EAI_NONAME, "The name has no address.")


def secure(plain: BoundedSocket, host: str, context: ssl.SSLContext) -> BoundedTls:
    """The connection with TLS, for the certificate of `host`. Raises ssl.SSLError, TimeoutError, ConnectionError."""
    try:
        plain.settimeout(left(plain.deadline))
        # The dot that tells a name server not to search stands in no certificate.
        tls = context.wrap_socket(plain, server_hostname=host.rstrip("."))
    except BaseException:
        plain.close()
        raise
    assert isinstance(tls, BoundedTls), "`tls_context` says so."
    if tls.version() is None:  # Python leaves out the handshake, and would write without TLS
        tls.close()
        raise ConnectionResetError("The other side hung up before the handshake.")
    tls.deadline = plain.deadline
    return tls


def resolve(host: str, port: int, deadline: float) -> list[tuple[int, Any]]:
    """Family and address of each way to `host`. A name server that does not answer is not waited for beyond the deadline."""
    if (number := literal(host)) is not None:
        return look_up(number, port)
    found: SimpleQueue[list[tuple[int, Any]] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            found.put(look_up(host, port))
        except (OSError, ValueError) as ex:
            found.put(ex)

    # The C library cannot be interrupted, so it gets a thread that is left behind.
    Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = found.get(timeout=max(0.001, deadline - time.monotonic()))
    except Empty:
        raise TimeoutError("The name server did not answer in time.") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def look_up(host: str, port: int) -> list[tuple[int, Any]]:
    """What the C library says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(family, address) for family, _, _, _, address in found]
