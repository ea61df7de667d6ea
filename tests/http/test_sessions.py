"""The dashboard's session, and how many wrong keys one address may show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from tests.http.conftest import MOMENT, Caller, FakeVault

from chatbot_erp.actors.api_keys import KeyRing, Scope
from chatbot_erp.actors.config import Config
from chatbot_erp.http.auth import Caller as Known
from chatbot_erp.http.auth import Doorkeeper
from chatbot_erp.http.problems import RequestRefused
from chatbot_erp.http.sessions import KIND, LASTS_S, Sessions
from chatbot_erp.http.throttle import FAILURES, WINDOW_S, network_of

if TYPE_CHECKING:
    from tests.http.conftest import FakeManager

KEY = "right-key"
OURS = {"Origin": "http://127.0.0.1:3000"}
COOKIE = "chatbot-erp-3000"


@pytest.fixture
def config() -> Config:
    return Config(api_key=KEY)


def sign_in(api: Caller, key: str = KEY, **headers: str) -> Any:
    return api("PUT", "/session", json={"key": key}, headers=OURS | headers)


def cookie(answer: Any) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}


def test_the_log_says_whose_key_was_used_and_from_where_one_came_that_is_nobodys(
    api: Caller, manager: FakeManager
) -> None:
    key, record = manager.keys.create(frozenset({Scope.READ}), None, "", MOMENT)
    with capture_logs() as lines:
        api.get("/instances", headers={"X-API-Key": key})
        api.get("/instances", headers=cookie(sign_in(api, key)))
        api.get("/instances", headers={"X-API-Key": KEY})
        api.get("/instances", headers={"X-API-Key": "wrong"}, remote_addr="203.0.113.7")
        api.get("/livez")
    assert [(line["key"], line["address"]) for line in lines] == [
        *[(record.id, None)] * 3,
        ("--api-key", None),
        (None, "203.0.113.7"),
        (None, None),
    ]


class TestSession:
    def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(self, api: Caller) -> None:
        made = sign_in(api).cookies[COOKIE]
        assert (made.http_only, made.same_site, made.path, made.max_age) == (True, "Strict", "/", LASTS_S)
        assert not made.secure
        assert KEY not in made.value

    def test_behind_tls_the_cookie_goes_over_tls_only(self, api: Caller) -> None:
        assert sign_in(api, Origin="https://127.0.0.1:3000").cookies[COOKIE].secure

    def test_managers_on_other_ports_of_the_machine_have_cookies_of_their_own(self, api: Caller) -> None:
        mine = sign_in(api).cookies
        other = api("PUT", "/session", json={"key": KEY}, port=4000, headers={"Origin": "http://127.0.0.1:4000"})
        proxied = api(
            "PUT", "/session", json={"key": KEY}, headers={"Host": "erp.example", "Origin": "https://erp.example"}
        )
        assert [*mine, *other.cookies, *proxied.cookies] == [COOKIE, "chatbot-erp-4000", "chatbot-erp"]

    def test_the_cookie_opens_what_the_key_opens_until_it_is_given_back(self, api: Caller) -> None:
        assert not api.get("/session").json["signedIn"]
        signed = sign_in(api)
        assert signed.json == {
            "signedIn": True,
            "needsKey": True,
            "scopes": ["read", "send", "manage"],
            "instances": None,
            "sandbox": False,
        }
        mine = cookie(signed)
        assert api.get("/session", headers=mine).json == signed.json
        assert api.get("/instances", headers=mine).status_code == 200
        assert api("DELETE", "/session", headers=mine | OURS).status_code == 204
        assert api.get("/instances", headers=mine).status_code == 401

    def test_a_session_ends_with_its_key(self, api: Caller, manager: FakeManager) -> None:
        key, record = manager.keys.create(frozenset({Scope.READ}), frozenset({"a"}), "", MOMENT)
        signed = sign_in(api, key)
        assert (signed.json["scopes"], signed.json["instances"]) == (["read"], ["a"])
        assert api.get("/instances", headers=cookie(signed)).status_code == 200
        assert api.get("/metrics", headers=cookie(signed)).status_code == 403
        manager.keys.revoke(record.id, MOMENT)
        assert api.get("/instances", headers=cookie(signed)).status_code == 401

    def test_a_session_ends_after_its_time(self) -> None:
        now = [0.0]
        doorkeeper = Doorkeeper(Config(api_key=KEY), KeyRing(FakeVault()))
        sessions = Sessions(doorkeeper, clock=lambda: now[0])
        caller = doorkeeper.recognise(KEY.encode(), "127.0.0.1")
        token = sessions.begin(caller)
        now[0] = LASTS_S - 1
        assert sessions.find(token) == caller
        now[0] = LASTS_S
        assert sessions.find(token) is None

    def test_where_nodes_share_a_vault_who_is_signed_in_at_one_is_so_at_all_and_no_token_is_in_it(self) -> None:
        vault = FakeVault()
        doorkeeper = Doorkeeper(Config(api_key=KEY), KeyRing(FakeVault()))
        one, other = Sessions(doorkeeper, vault), Sessions(doorkeeper, vault)
        caller = doorkeeper.recognise(KEY.encode(), "127.0.0.1")
        token = one.begin(caller)
        assert other.find(token) == caller
        assert token.encode() not in b"".join(vault.all(KIND).values())
        assert token not in vault.all(KIND)
        other.end(token)
        assert one.find(token) is None

    def test_a_session_that_nodes_share_ends_with_the_key_that_all_were_started_with(self) -> None:
        vault = FakeVault()
        former, later = (Doorkeeper(Config(api_key=key), KeyRing(FakeVault())) for key in (KEY, "another"))
        keyless = Doorkeeper(Config(), KeyRing(FakeVault()))
        token = Sessions(former, vault).begin(former.recognise(KEY.encode(), "127.0.0.1"))
        assert Sessions(former, vault).find(token) is not None
        assert Sessions(later, vault).find(token) is None
        assert Sessions(keyless, vault).find(token) is None

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Origin": "http://127.0.0.1:4000"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}],
        ids=str,
    )
    def test_a_change_by_cookie_must_come_from_a_page_of_ours(
        self, api: Caller, manager: FakeManager, headers: dict[str, str]
    ) -> None:
        mine = cookie(sign_in(api))
        refused = api.post("/instances/create", {"name": "a", "webhookUrl": "http://x"}, headers=mine | headers)
        assert refused.status_code in (401, 403)
        assert manager.calls == []
        made = api.post("/instances/create", {"name": "a", "webhookUrl": "http://x"}, headers=mine | OURS)
        assert made.status_code == 201

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_what_another_site_makes_a_browser_ask_for_is_not_answered(self, api: Caller, site: str) -> None:
        mine = cookie(sign_in(api))
        assert api.get("/instances", headers=mine | {"Sec-Fetch-Site": "same-origin"}).status_code == 200
        assert api.get("/instances", headers=mine | {"Sec-Fetch-Site": site}).status_code == 401

    def test_no_other_page_signs_its_visitor_in_or_out(self, api: Caller) -> None:
        assert sign_in(api, Origin="http://evil.example").status_code == 403
        assert api("DELETE", "/session", headers={"Origin": "http://evil.example"}).status_code == 403

    def test_a_wrong_key_signs_nobody_in(self, api: Caller) -> None:
        refused = sign_in(api, "wrong")
        assert refused.status_code == 401
        assert not refused.cookies


class TestThrottle:
    @pytest.fixture
    def now(self) -> list[float]:
        return [0.0]

    @pytest.fixture
    def doorkeeper(self, now: list[float]) -> Doorkeeper:
        return Doorkeeper(Config(api_key=KEY), KeyRing(FakeVault()), lambda: now[0])

    def refusal(self, doorkeeper: Doorkeeper, key: str, address: str = "10.0.0.1") -> str:
        with pytest.raises(RequestRefused) as caught:
            doorkeeper.recognise(key.encode(), address)
        return caught.value.kind.code

    def test_after_too_many_wrong_keys_not_even_the_right_one_is_looked_at(
        self, doorkeeper: Doorkeeper, now: list[float]
    ) -> None:
        for n in range(FAILURES):
            assert self.refusal(doorkeeper, f"wrong-{n}") == "unauthenticated"
        assert self.refusal(doorkeeper, "wrong") == self.refusal(doorkeeper, KEY) == "too-many-failures"
        now[0] = WINDOW_S
        assert isinstance(doorkeeper.recognise(KEY.encode(), "10.0.0.1"), Known)

    def test_other_addresses_and_who_was_in_before_are_not_shut_out(self, doorkeeper: Doorkeeper) -> None:
        doorkeeper.recognise(KEY.encode(), "10.0.0.1")
        for n in range(FAILURES):
            self.refusal(doorkeeper, f"wrong-{n}")
        doorkeeper.recognise(KEY.encode(), "10.0.0.1")
        doorkeeper.recognise(KEY.encode(), "10.0.0.2")

    def test_a_whole_ipv6_network_counts_as_one_address(self) -> None:
        assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
        assert network_of("10.0.0.1") != network_of("10.0.0.2")

    def test_the_answer_says_when_to_come_back(self, api: Caller) -> None:
        for _ in range(FAILURES):
            assert api.get("/instances", headers={"X-API-Key": "wrong"}).status_code == 401
        refused = api.get("/instances", headers={"X-API-Key": KEY})
        assert (refused.status_code, refused.json["type"]) == (429, "/problems/too-many-failures")
        assert int(refused.headers["Retry-After"]) >= WINDOW_S
        assert api.get("/livez", headers={"X-API-Key": "wrong"}).status_code == 200
        assert api.get("/instances").status_code == 401
