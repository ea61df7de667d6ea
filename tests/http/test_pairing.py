"""The QR code as a picture."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import segno
from PIL import Image

from chatbot_erp.actors.directory import Qr
from chatbot_erp.eventstore.events import Status

if TYPE_CHECKING:
    from falcon import testing
    from tests.http.conftest import Caller, FakeManager

TEXT = "https://wa.me/settings/linked_devices#2@" + "Ab9/+" * 40


@pytest.fixture(autouse=True)
def waiting(manager: FakeManager) -> None:
    qr = Qr(text=TEXT, expires_at=datetime(2026, 1, 31, tzinfo=UTC))
    manager.bring("a", Status.SCAN_QR_CODE, qr=qr)
    manager.bring("none", Status.CONNECTED)


def qr(api: Caller, accept: str | None) -> testing.Result:
    return api.get("/instances/a/qr", headers={"Accept": accept} if accept else {})


def modules() -> list[list[bool]]:
    return [[bool(module) for module in row] for row in segno.make_qr(TEXT, error="l").matrix_iter(border=4)]


@pytest.mark.parametrize("accept", [None, "*/*", "image/*", "image/png", "text/html,image/avif,*/*;q=0.8"])
def test_a_png_shows_the_code_with_its_quiet_zone(api: Caller, accept: str | None) -> None:
    answer = qr(api, accept)
    assert answer.headers["Content-Type"] == "image/png"
    picture = Image.open(BytesIO(answer.content)).convert("L")
    expected = modules()
    assert picture.size == (8 * len(expected), 8 * len(expected))
    seen = picture.resize((len(expected), len(expected)), Image.Resampling.NEAREST).tobytes()
    assert seen == bytes(0 if module else 255 for row in expected for module in row)


def test_an_svg_is_on_white(api: Caller) -> None:
    answer = qr(api, "image/svg+xml")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert "<svg" in answer.text
    assert "#fff" in answer.text


def test_a_terminal_gets_half_blocks(api: Caller) -> None:
    answer = qr(api, "text/plain")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    rows = modules()
    assert len(lines) == (len(rows) + 1) // 2
    lit = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
    for above, below, line in zip(rows[::2], [*rows[1::2], [True] * len(rows)], lines, strict=True):
        assert [lit[block] for block in line] == [(not a, not b) for a, b in zip(above, below, strict=True)]


def test_a_picture_is_never_kept(api: Caller) -> None:
    answer = qr(api, "image/png")
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("no-store", "Accept")


@pytest.mark.parametrize("accept", ["application/json", "image/webp", "nonsense"])
def test_another_form_cannot_be_had(api: Caller, accept: str) -> None:
    answer = qr(api, accept)
    assert (answer.status_code, answer.json["type"]) == (406, "/problems/not-acceptable")
    assert "image/svg+xml" in answer.json["detail"]


def test_where_no_code_waits_there_is_none(api: Caller) -> None:
    answer = api.get("/instances/none/qr")
    assert (answer.status_code, answer.json["type"]) == (404, "/problems/no-qr")
    assert answer.headers["Cache-Control"] == "no-store"
