"""Files come from a media server whole and decrypted, or not at all."""

import hashlib
import hmac
import os
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.media_specs import LARGEST, Media
from chatbot_erp.actors.wa_media import CHUNK, Fetcher, FetchFailed, Opened

PURPOSE = "WhatsApp Document Keys"
KEY = bytes(range(32))


def seal(plain: bytes) -> bytes:
    """As a phone encrypts a file before it uploads it."""
    keys = HKDF(SHA256(), 112, None, PURPOSE.encode()).derive(KEY)
    iv, cipher_key, mac_key = keys[:16], keys[16:48], keys[48:80]
    fill = 16 - len(plain) % 16
    encryptor = Cipher(AES(cipher_key), CBC(iv)).encryptor()
    encrypted = encryptor.update(plain + bytes([fill]) * fill) + encryptor.finalize()
    return encrypted + hmac.new(mac_key, iv + encrypted, hashlib.sha256).digest()[:10]


def media_of(plain: bytes) -> Media:
    return Media(
        path="/v/t62?ccb=1",
        key=KEY,
        purpose=PURPOSE,
        category="document",
        sha256=hashlib.sha256(plain).digest(),
        encrypted_sha256=hashlib.sha256(seal(plain)).digest(),
        size=len(plain),
        mime_type="application/pdf",
        name="a.pdf",
    )


class MediaServer:
    """Answers with what the test wants; remembers the paths it was asked for."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.paths: list[str] = []
        self.on_request: Callable[[], None] = lambda: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.paths.append(self.path)
                server.on_request()
                status, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[MediaServer]:
    server = MediaServer()
    yield server
    server.stop()


@pytest.fixture
def fetcher(server: MediaServer) -> Fetcher:
    return Fetcher(server.url, pause_s=0.0)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, CHUNK - 10, CHUNK, 3 * CHUNK + 7])
def test_a_file_arrives_as_it_was_sent(server: MediaServer, fetcher: Fetcher, tmp_path: Path, size: int) -> None:
    plain = os.urandom(size)
    server.answers = [(200, seal(plain))]
    target = tmp_path / "file"
    assert fetcher.fetch(media_of(plain), target, most=LARGEST) == size
    assert target.read_bytes() == plain
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (path,) = server.paths
    assert path.startswith("/v/t62?ccb=1&hash=")
    assert path.endswith("&mms-type=document&__wa-mms=")


@given(plain=st.binary(max_size=200), cuts=st.lists(st.integers(1, 40), max_size=30))
def test_however_the_pieces_are_cut_the_file_is_the_same(plain: bytes, cuts: list[int]) -> None:
    sealed, opened, read = seal(plain), Opened(media_of(plain), LARGEST), b""
    for cut in cuts:
        read += opened.take(sealed[:cut])
        sealed = sealed[cut:]
    assert read + opened.take(sealed) + opened.end() == plain


PLAIN = b"pedido 42 " * 100
SEALED = seal(PLAIN)


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (SEALED[:-1] + bytes([SEALED[-1] ^ 1]), media_of(PLAIN)),
        (SEALED[:-1] + bytes([SEALED[-1] ^ 1]), msgspec.structs.replace(media_of(PLAIN), encrypted_sha256=b"")),
        (bytes([SEALED[0] ^ 1]) + SEALED[1:], media_of(PLAIN)),
        (SEALED[:-16], media_of(PLAIN)),
        (b"", media_of(PLAIN)),
        (SEALED + b"x" * 1000, media_of(PLAIN)),
        (SEALED, msgspec.structs.replace(media_of(PLAIN), sha256=b"x" * 32)),
        (SEALED, msgspec.structs.replace(media_of(PLAIN), encrypted_sha256=b"x" * 32)),
        (SEALED, msgspec.structs.replace(media_of(PLAIN), key=b"x" * 32)),
        (SEALED, msgspec.structs.replace(media_of(PLAIN), key=b"short")),
        (SEALED, msgspec.structs.replace(media_of(PLAIN), size=3)),
        (SEALED, msgspec.structs.replace(media_of(PLAIN), path="@elsewhere/")),
    ],
)
def test_what_is_not_the_file_of_the_message_is_refused_and_leaves_nothing(
    server: MediaServer, fetcher: Fetcher, tmp_path: Path, body: bytes, media: Media
) -> None:
    server.answers = [(200, body)]
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(media, tmp_path / "file", most=LARGEST)
    assert caught.value.reason == "damaged"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("claimed", [0, 21, 2**63])
def test_a_file_that_is_larger_than_it_may_be_is_not_fetched_whatever_it_claims(
    server: MediaServer, fetcher: Fetcher, tmp_path: Path, claimed: int
) -> None:
    plain = b"x" * 4096
    server.answers = [(200, seal(plain))]
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(msgspec.structs.replace(media_of(plain), size=claimed), tmp_path / "file", most=20)
    assert caught.value.reason == "large"
    assert len(server.paths) == (0 if claimed else 1)
    assert not list(tmp_path.iterdir())


def test_no_file_goes_into_what_is_to_stay_free_of_the_disk(
    server: MediaServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    server.answers = [(200, SEALED)]
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(media_of(PLAIN), tmp_path / "file", most=LARGEST, spare=1 << 60)
    assert caught.value.reason == "disk"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_the_server_has_no_more_is_gone_and_not_asked_for_again(
    server: MediaServer, fetcher: Fetcher, tmp_path: Path, status: int
) -> None:
    server.answers = [(status, b"")]
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(media_of(PLAIN), tmp_path / "file", most=LARGEST)
    assert caught.value.reason == "gone"
    assert len(server.paths) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 302])
def test_a_server_in_trouble_is_asked_three_times_and_never_followed_elsewhere(
    server: MediaServer, fetcher: Fetcher, tmp_path: Path, status: int
) -> None:
    server.answers = [(status, b"")]
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(media_of(PLAIN), tmp_path / "file", most=LARGEST)
    assert caught.value.reason == "unreachable"
    assert len(server.paths) == 3
    assert "/elsewhere" not in server.paths


def test_a_server_that_comes_back_is_enough(server: MediaServer, fetcher: Fetcher, tmp_path: Path) -> None:
    server.answers = [(503, b""), (200, SEALED)]
    assert fetcher.fetch(media_of(PLAIN), tmp_path / "file", most=LARGEST) == len(PLAIN)


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed) as caught:
        Fetcher("http://127.0.0.1:9", pause_s=0.0).fetch(media_of(PLAIN), tmp_path / "file", most=LARGEST)
    assert caught.value.reason == "unreachable"


def test_a_host_that_ends_interrupts_what_is_under_way(server: MediaServer, fetcher: Fetcher, tmp_path: Path) -> None:
    server.answers = [(200, SEALED)]
    server.on_request = fetcher.stop
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(media_of(PLAIN), tmp_path / "file", most=LARGEST)
    assert caught.value.reason == "interrupted"
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_already_is_nobodys_to_replace(
    server: MediaServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    server.answers = [(200, SEALED)]
    target = tmp_path / "file"
    target.write_text("mine")
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(media_of(PLAIN), target, most=LARGEST)
    assert caught.value.reason == "disk"
    assert target.read_text() == "mine"
