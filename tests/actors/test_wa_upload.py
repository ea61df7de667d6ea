"""Files reach a media server encrypted so that whoever has the message can open them, or not at all."""

import base64
import hashlib
import itertools
import os
import re
from pathlib import Path

import msgspec
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chatbot_erp.actors.media_specs import LARGEST, Media
from chatbot_erp.actors.wa_client import MediaConnection
from chatbot_erp.actors.wa_media import CHUNK, Opened
from chatbot_erp.actors.wa_upload import Sealed, Uploader, UploadFailed

PURPOSE = "WhatsApp Document Keys"
ANSWER = {"url": "https://mmg.whatsapp.net/v/1", "direct_path": "/v/1"}


class Server:
    """A media server that remembers what it got; `statuses` are what it answers, then 200."""

    def __init__(self, httpserver: HTTPServer) -> None:
        self.requests: list[Request] = []
        self.statuses: list[int] = []
        self.connections = itertools.count(1)
        self.renewals: list[bool] = []
        self.uploader = Uploader(self.connect, origin=httpserver.url_for("").rstrip("/"), pause_s=0.0)
        httpserver.expect_request(re.compile("/mms/"), method="POST").respond_with_handler(self.answer)

    def connect(self, renew: bool) -> MediaConnection:
        self.renewals.append(renew)
        return MediaConnection("media.example", f"proof&{next(self.connections)}")

    def answer(self, request: Request) -> Response:
        request.get_data()
        self.requests.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        return Response(msgspec.json.encode(ANSWER), status)


@pytest.fixture
def server(httpserver: HTTPServer) -> Server:
    return Server(httpserver)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"%PDF-1.7")
    return path


@pytest.mark.parametrize("size", [1, 15, 16, 17, CHUNK - 1, CHUNK, 3 * CHUNK + 7])
def test_what_is_uploaded_opens_with_what_the_message_says(server: Server, tmp_path: Path, size: int) -> None:
    plain = os.urandom(size)
    (tmp_path / "file").write_bytes(plain)
    uploaded = server.uploader.upload(tmp_path / "file", "documentMessage")
    (request,) = server.requests
    body = request.get_data()
    media = Media(
        path="/v/1",
        key=uploaded.key,
        purpose=PURPOSE,
        category="document",
        sha256=hashlib.sha256(plain).digest(),
        encrypted_sha256=hashlib.sha256(body).digest(),
        size=size,
        mime_type="",
        name="",
    )
    opened = Opened(media, LARGEST)
    assert opened.take(body) + opened.end() == plain
    assert (uploaded.sha256, uploaded.encrypted_sha256) == (media.sha256, media.encrypted_sha256)
    assert (uploaded.size, uploaded.direct_path, uploaded.url) == (size, "/v/1", ANSWER["url"])
    token = base64.urlsafe_b64encode(media.encrypted_sha256).decode()
    assert request.path == f"/mms/document/{token}"
    assert dict(request.args) == {"auth": "proof&1", "token": token}
    assert request.headers["Content-Length"] == str(len(body))


def test_two_uploads_of_one_file_have_two_keys(server: Server, file: Path) -> None:
    first, second = (server.uploader.upload(file, "imageMessage") for _ in range(2))
    assert first.key != second.key
    assert first.sha256 == second.sha256


def test_a_server_in_trouble_is_asked_again_with_the_same_bytes(server: Server, file: Path) -> None:
    server.statuses = [503, 500]
    server.uploader.upload(file, "documentMessage")
    bodies = {request.get_data() for request in server.requests}
    assert (len(server.requests), len(bodies), server.renewals) == (3, 1, [False, False, False])


@pytest.mark.parametrize("status", [401, 403])
def test_a_proof_that_is_known_no_more_is_renewed(server: Server, file: Path, status: int) -> None:
    server.statuses = [status]
    server.uploader.upload(file, "documentMessage")
    assert [request.args["auth"] for request in server.requests] == ["proof&1", "proof&2"]
    assert server.renewals == [False, True]


@pytest.mark.parametrize(
    ("statuses", "asked", "reason"),
    [
        ([413], 1, "refused"),
        ([401, 403, 401], 3, "refused"),
        ([429], 1, "too_many"),
        ([503, 503, 503], 3, "not_uploaded"),
    ],
)
def test_a_refusal_is_told_from_trouble_and_without_the_proof(
    server: Server, file: Path, statuses: list[int], asked: int, reason: str
) -> None:
    server.statuses = list(statuses)
    with pytest.raises(UploadFailed, match=str(statuses[-1])) as refused:
        server.uploader.upload(file, "documentMessage")
    assert (len(server.requests), refused.value.reason) == (asked, reason)
    assert "proof" not in str(refused.value)


def test_a_server_that_cannot_be_reached_is_told_without_the_proof(file: Path) -> None:
    uploader = Uploader(lambda _: MediaConnection("x", "proof"), origin="http://127.0.0.1:9", pause_s=0.0)
    with pytest.raises(UploadFailed, match="cannot be reached") as refused:
        uploader.upload(file, "documentMessage")
    assert refused.value.reason == "not_uploaded"
    assert "proof" not in str(refused.value)
    assert "proof" not in repr(MediaConnection("x", "proof"))


def test_a_socket_that_closes_ends_its_uploads(server: Server, file: Path) -> None:
    server.uploader.stop()
    with pytest.raises(UploadFailed) as interrupted:
        server.uploader.upload(file, "documentMessage")
    assert (interrupted.value.reason, server.requests) == ("not_connected", [])


def test_a_file_that_is_gone_is_a_failure(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UploadFailed, match="could not be read") as lost:
        server.uploader.upload(tmp_path / "none", "documentMessage")
    assert lost.value.reason == "not_uploaded"


def test_a_file_is_sealed_to_the_length_that_was_announced(tmp_path: Path) -> None:
    for size in range(1, 50):
        (tmp_path / "file").write_bytes(bytes(size))
        sealed = Sealed(tmp_path / "file", bytes(32), PURPOSE)
        assert len(b"".join(sealed)) == sealed.length
