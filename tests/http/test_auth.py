"""Who may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatbot_erp.actors.config import Config

if TYPE_CHECKING:
    from tests.http.conftest import Caller

KEY = "sécret-key"
CLOSED = [
    ("GET", "/instances"),
    ("POST", "/instances/create"),
    ("GET", "/instances/a"),
    ("DELETE", "/instances/a"),
    ("GET", "/instances/a/qr"),
    ("POST", "/instances/a/message"),
    ("GET", "/events"),
    ("GET", "/nodes"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
    ("OPTIONS", "/instances"),
]
OPEN = ["/", "/docs", "/openapi.json", "/livez", "/readyz", "/problems/not-found", "/static/style.css"]


class TestWithAKey:
    @pytest.fixture
    def config(self) -> Config:
        return Config(api_key=KEY)

    @pytest.mark.parametrize(("method", "path"), CLOSED)
    def test_without_the_key_nothing_is_shown(self, api: Caller, method: str, path: str) -> None:
        answer = api(method, path)
        assert (answer.status_code, answer.json["type"]) == (401, "/problems/unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("path", OPEN)
    def test_health_and_documents_need_no_key(self, api: Caller, path: str) -> None:
        assert api.get(path).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": "Bearer " + KEY.encode().decode("latin-1")},
            {"Authorization": "bearer  " + KEY.encode().decode("latin-1")},
            {"X-API-Key": KEY.encode().decode("latin-1")},
            {"X-API-Key": KEY.encode().decode("latin-1"), "Authorization": "Basic dTpw"},
        ],
    )
    def test_the_key_opens(self, api: Caller, headers: dict[str, str]) -> None:
        assert api.get("/instances", headers=headers).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": KEY.encode().decode("latin-1")},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer wrong"},
            {"X-API-Key": ""},
            {"X-API-Key": "s"},
            {"Cookie": "key=x"},
        ],
    )
    def test_anything_else_does_not(self, api: Caller, headers: dict[str, str]) -> None:
        assert api.get("/instances", headers=headers).status_code == 401

    def test_a_key_in_the_query_does_not_open(self, api: Caller) -> None:
        assert api.get("/instances", params={"api_key": KEY}).status_code == 401

    def test_with_a_key_any_host_name_will_do(self, api: Caller) -> None:
        key = KEY.encode().decode("latin-1")
        assert api.get("/instances", host="manager.example", headers={"X-API-Key": key}).status_code == 200


class TestWithoutAKey:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.8.8.8"])
    def test_this_machine_may_call(self, api: Caller, host: str) -> None:
        assert api.get("/instances", host=host).status_code == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.1", "[", ""]
    )
    def test_a_name_that_was_bent_to_this_machine_is_refused(self, api: Caller, host: str) -> None:
        answer = api.get("/instances", headers={"Host": host})
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/foreign-host")

    @pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host"])
    def test_whoever_comes_through_a_proxy_of_this_machine_is_refused(self, api: Caller, name: str) -> None:
        answer = api.get("/instances", headers={name: "203.0.113.7"})
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/foreign-host")

    @pytest.mark.parametrize(
        "origin", ["http://evil.example", "null", "http://127.0.0.1:4000", "http://localhost:3000", ""]
    )
    def test_a_page_of_another_origin_is_refused(self, api: Caller, origin: str) -> None:
        answer = api.post("/instances/create", {"name": "a", "webhookUrl": "http://x"}, headers={"Origin": origin})
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/foreign-origin")
        assert api.get("/instances").json == []

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_what_a_page_of_another_site_shows_or_links_to_is_not_looked_up(self, api: Caller, site: str) -> None:
        """A picture, say: the browser sends no Origin then."""
        answer = api.get("/instances", headers={"Sec-Fetch-Site": site})
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/foreign-origin")
        assert api.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200
        assert api.get("/instances", headers={"Sec-Fetch-Site": "none"}).status_code == 200

    def test_a_page_of_ours_may_call(self, api: Caller) -> None:
        assert api.get("/instances", headers={"Origin": "http://127.0.0.1:3000"}).status_code == 200
