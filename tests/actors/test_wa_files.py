"""A socket knows where its files go, and asks again only when it must."""

import re
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from chatbot_erp.actors import wa_files
from chatbot_erp.actors.frames import SocketFailedToSend, Transmit
from chatbot_erp.actors.wa_client import Hearing
from chatbot_erp.actors.wa_files import SocketFiles
from chatbot_erp.actors.wa_port import Loaded
from chatbot_erp.actors.wa_upload import Uploader
from fake_client import FakeClient
from samples import picture


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(
        Path(), Hearing(event=lambda _: None, garbled=lambda _: None, qr=lambda _: None, login_word=lambda _: None)
    )


def order(path: Path, kind: str = "image") -> Transmit:
    return Transmit(instance="i", command_id="c", to="55", text="", kind=kind, file=str(path))


def test_where_files_go_is_asked_once_while_it_is_good(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    files = SocketFiles(client)
    assert files.connection(False).auth == files.connection(False).auth == "auth-1"
    assert files.connection(True).auth == files.connection(False).auth == "auth-2"
    monkeypatch.setattr(wa_files, "GOOD_FOR_S", -1.0)
    files.connection(True)
    assert files.connection(False).auth == "auth-4"


def test_an_image_gets_a_thumbnail_and_a_document_does_not(
    client: FakeClient, httpserver: HTTPServer, tmp_path: Path
) -> None:
    answer = {"url": "u", "direct_path": "/v/1"}
    httpserver.expect_request(re.compile("/mms/"), method="POST").respond_with_json(answer)
    files = SocketFiles(client, Uploader(SocketFiles(client).connection, origin=httpserver.url_for("").rstrip("/")))
    (tmp_path / "file").write_bytes(picture("JPEG"))
    for kind, shown in (("image", True), ("document", False)):
        loaded = files.upload(order(tmp_path / "file", kind))
        assert isinstance(loaded, Loaded)
        assert bool(loaded.file.thumbnail) is shown


@pytest.mark.parametrize(
    ("error", "reason"),
    [("websocket not connected", "not_connected"), ("status 429", "too_many"), ("oh?auth=s", "not_uploaded")],
)
def test_where_the_library_names_no_server_nothing_is_sent_and_nothing_secret_told(
    client: FakeClient, tmp_path: Path, error: str, reason: str
) -> None:
    client.send_error = error
    (tmp_path / "file").write_bytes(b"x")
    failed = SocketFiles(client).upload(order(tmp_path / "file"))
    detail = "WhatsApp names no media server."
    assert failed == SocketFailedToSend(command_id="c", reason=reason, detail=detail, jid="55@s.whatsapp.net")  # type: ignore[arg-type]
