"""A proxy on 127.0.0.1 that lets in who knows its password, by CONNECT or by SOCKS5, and leads wherever it is told."""

import base64
import contextlib
import socket
import threading

from relay import Relay, pass_on

USER, PASSWORD = "loja", "p@ss:wörd/"
_WITH_PASSWORD, _BY_NAME, _OK = 2, 3, 0


class LoopbackProxy(Relay):
    """`asked` are the places that were asked for by name, `refused` how often somebody did not know the password.

    Every place is `port` of this machine.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.refused = 0
        self._target = port
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        super().__init__(listener, self._take)

    def _take(self, client: socket.socket) -> None:
        threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        with client, client.makefile("rb", buffering=0) as words, contextlib.suppress(OSError):
            first = _exactly(words, 1)
            answer = self._greet_socks(client, words) if first == b"\x05" else self._greet_http(first, words)
            if answer is None:
                self.refused += 1
                return
            with socket.create_connection(("127.0.0.1", self._target)) as target:
                client.sendall(answer)
                back = threading.Thread(target=pass_on, args=(target, client), daemon=True)
                back.start()
                pass_on(client, target)
                back.join()

    def _greet_http(self, first: bytes, words: socket.SocketIO) -> bytes | None:
        head = first
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(words, 1)
        request, *lines = head.decode("latin-1").split("\r\n")
        proof = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if f"proxy-authorization: Basic {proof}".lower() not in map(str.lower, lines):
            return None
        self.asked.append(request.split()[1].rpartition(":")[0])
        return b"HTTP/1.1 200 OK\r\n\r\n"

    def _greet_socks(self, client: socket.socket, words: socket.SocketIO) -> bytes | None:
        """RFC 1928 and RFC 1929."""
        methods = _exactly(words, _exactly(words, 1)[0])
        if _WITH_PASSWORD not in methods:
            return None
        client.sendall(bytes([5, _WITH_PASSWORD]))
        _exactly(words, 1)
        user, password = (_exactly(words, _exactly(words, 1)[0]).decode() for _ in range(2))
        if (user, password) != (USER, PASSWORD):
            return None
        client.sendall(bytes([1, _OK]))
        kind = _exactly(words, 4)[3]
        if kind != _BY_NAME:
            return None
        self.asked.append(_exactly(words, _exactly(words, 1)[0]).decode())
        _exactly(words, 2)
        return bytes([5, _OK, 0, 1, 0, 0, 0, 0, 0, 0])


def _exactly(words: socket.SocketIO, count: int) -> bytes:
    """So many bytes. Raises `ConnectionError` where there are fewer."""
    read = b""
    while len(read) < count:
        piece = words.read(count - len(read))
        if not piece:
            raise ConnectionError("The caller left.")
        read += piece
    return read
