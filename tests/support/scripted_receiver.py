"""A receiver whose every byte a test writes."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from chatbot_erp.actors.webhook import Answer, NoAnswer
from chatbot_erp.actors.webhook_post import Postman

Script = Callable[[socket.socket, bytes], object]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A receiver whose every byte a test writes: `script` gets each request; the connection ends when it raises."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: SimpleQueue[bytes] = SimpleQueue()
        self.connections = 0
        self.closed: SimpleQueue[int] = SimpleQueue()
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?a=b"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            while True:
                request = read_request(sock)
                self.requests.put(request)
                self._script(sock, request)
        sock.close()
        self.closed.put(number)

    def stop(self) -> None:
        self._listener.close()


def read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    content = bytearray(body)
    while len(content) < length:
        content += receive(sock)
    return head + b"\r\n\r\n" + content


def receive(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise EOFError
    return data


SOON_S = 20.0
"""A deadline of half a second is kept by then on any machine; who misbehaves does so for longer."""

Listen = Callable[[Script], Peer]
Hire = Callable[..., Postman]


def says(answer: bytes) -> Script:
    return lambda sock, _: sock.sendall(answer)


def drips(begin: bytes, drop: bytes, every_s: float = 0.02) -> Script:
    def drip(sock: socket.socket, _: bytes) -> None:
        sock.sendall(begin)
        while True:
            time.sleep(every_s)
            sock.sendall(drop)

    return drip


def hang_up(sock: socket.socket, _: bytes) -> None:
    raise EOFError


def post(postman: Postman, url: str, content: bytes = b"{}") -> Answer | NoAnswer:
    return postman.post(url, content, {"Content-Type": "application/json", "webhook-id": "e"})
