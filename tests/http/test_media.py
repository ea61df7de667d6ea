"""Files of messages, as they are given out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatbot_erp.actors.errors import InstanceNotOperational, MediaGone, MediaUnavailable, NoMedia, Unavailable
from chatbot_erp.eventstore.events import Status

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager


@pytest.fixture(autouse=True)
def instance(manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)


def test_a_file_has_its_type_its_name_and_its_length(api: Caller, manager: FakeManager) -> None:
    manager.files["M1"] = ("conta.pdf", "application/pdf", b"%PDF-1.7")
    answer = api.get("/instances/a/messages/M1/media")
    assert (answer.status_code, answer.content) == (200, b"%PDF-1.7")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Length"] == "8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="conta.pdf"'
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_page_that_somebody_sent_is_never_shown_in_place(api: Caller, manager: FakeManager) -> None:
    manager.files["M1"] = ("página.html", "text/html", b"<script>alert(1)</script>")
    answer = api.get("/instances/a/messages/M1/media")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "filename*=UTF-8''p%C3%A1gina.html" in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_head_tells_what_get_would_without_the_bytes(api: Caller, manager: FakeManager) -> None:
    manager.files["M1"] = ("a", "image/png", b"png")
    answer = api("HEAD", "/instances/a/messages/M1/media")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "3")


@pytest.mark.parametrize("message_id", ["M2", "..", "%00", "%F0%9F%91%8D", "a%2Fb"])
def test_an_id_that_nobody_knows_is_a_clear_404(api: Caller, message_id: str) -> None:
    answer = api.get(f"/instances/a/messages/{message_id}/media")
    assert answer.status_code == 404
    assert answer.json["type"] in ("/problems/message-not-found", "/problems/not-found")


def test_an_instance_that_is_not_there_is_a_404(api: Caller) -> None:
    assert api.get("/instances/b/messages/M1/media").json["type"] == "/problems/instance-not-found"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (NoMedia("No file."), 404, "no-media"),
        (MediaGone("410"), 410, "media-gone"),
        (MediaUnavailable("503"), 502, "media-unavailable"),
        (InstanceNotOperational("No host."), 409, "instance-not-operational"),
        (Unavailable("Not in time."), 503, "unavailable"),
    ],
)
def test_each_reason_why_a_file_cannot_be_had_is_its_own_problem(
    api: Caller, manager: FakeManager, failure: Exception, status: int, code: str
) -> None:
    manager.failure = failure
    answer = api.get("/instances/a/messages/M1/media")
    assert (answer.status_code, answer.json["type"]) == (status, f"/problems/{code}")
