"""What people look at, as it is served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatbot_erp.http.pages import STATIC

if TYPE_CHECKING:
    from tests.http.conftest import Caller


def test_a_browser_keeps_the_files_of_the_package_and_asks_whether_they_have_changed(api: Caller) -> None:
    first = api.get("/static/api.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again = api.get("/static/api.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get("/").headers["Cache-Control"] == "no-store"


def imported(script: str) -> set[str]:
    """A script of the dashboard and all that it needs."""
    found = {script}
    for name in re.findall(r'^import .* from "\./(\w+\.js)";$', (STATIC / script).read_text(), re.MULTILINE):
        found |= imported(name)
    return found


def test_the_scripts_of_the_dashboard_are_fetched_all_at_once(api: Caller) -> None:
    """One after the other costs a moment for each, on a phone half a second."""
    page = api.get("/").text
    assert set(re.findall(r'(?:href|src)="/static/(\w+\.js)"', page)) == imported("dashboard.js")
