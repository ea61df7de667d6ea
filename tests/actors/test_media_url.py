"""A URL of somebody's leads nowhere it may not, for no longer than allowed, and to no more than allowed."""

import socket
import threading
from collections.abc import Iterator

import pytest

from chatbot_erp.actors.errors import BadMediaUrl, MediaTooLarge
from chatbot_erp.actors.media_url import UrlFetcher


class Server:
    """Answers every connection with these bytes and then hangs up, or goes on with drops."""

    def __init__(self) -> None:
        self.answer = b""
        self.drops = False
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/a/file?x=1"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536))
                try:
                    connection.sendall(self.answer)
                    while self.drops and not self._ending.wait(0.02):
                        connection.sendall(b"x")
                except OSError:
                    continue


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.end()


def fetch(url: str, *deny: str, most: int = 100, deadline_s: float = 10.0) -> tuple[bytes, str]:
    with UrlFetcher(deny, most, deadline_s=deadline_s).open(url) as visit:
        return b"".join(visit.file), visit.file.mime_type


@pytest.mark.parametrize("length", [b"", b"Content-Length: 4\r\n"])
def test_a_file_comes_with_its_type(server: Server, length: bytes) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Type: Application/PDF; x=y\r\n" + length + b"\r\n%PDF"
    assert fetch(server.url) == (b"%PDF", "application/pdf")
    (asked,) = server.asked
    assert asked.startswith(b"GET /a/file?x=1 HTTP/1.1\r\n")
    assert b"ookie" not in asked


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
)
def test_anything_but_a_whole_file_is_refused(server: Server, answer: bytes) -> None:
    server.answer = answer
    with pytest.raises(BadMediaUrl):
        fetch(server.url)
    assert len(server.asked) == 1


@pytest.mark.parametrize("length", [b"101", b"9" * 5000])
def test_a_file_that_says_to_be_too_large_is_not_even_read(server: Server, length: bytes) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n"
    with pytest.raises(MediaTooLarge):
        fetch(server.url)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_file_that_comes_in_drops_ends_at_the_deadline(server: Server, answer: bytes) -> None:
    server.answer, server.drops = answer, True
    with pytest.raises(BadMediaUrl):
        fetch(server.url, deadline_s=0.3)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "ftp://127.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:9/",
        "https:///x",
        "http://a b/",
        "",
    ],
)
def test_a_url_that_leads_nowhere_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(BadMediaUrl) as refused:
        fetch(url)
    assert "secret" not in str(refused.value)
    assert "webhook" not in str(refused.value)


def test_a_network_that_is_denied_to_webhooks_is_denied_to_files(server: Server) -> None:
    with pytest.raises(BadMediaUrl, match="denied"):
        fetch(server.url, "private")
    assert server.asked == []
