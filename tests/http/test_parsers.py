"""Whatever comes in, the answer is the caller's fault at most: never a 5xx, always JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

import msgspec
from falcon import testing
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_erp.actors.manager import NAME

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
FIELDS = st.sampled_from(["name", "webhookUrl", "number", "message", "extra"])
BODIES = st.one_of(
    st.binary(),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, JSON).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, st.text()).map(lambda value: json.dumps(value).encode()),
)
HEADER_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=300)

quick = settings(deadline=None, max_examples=100)


def assert_sane(answer: testing.Result) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
    if answer.content and "json" in answer.headers["Content-Type"]:
        msgspec.json.decode(answer.content)


@quick
@given(body=BODIES, path=st.sampled_from(["create", "a/message", "pairing/pairing-code", "a/restart"]))
def test_any_body_of_a_post_is_answered(shared_api: Caller, body: bytes, path: str) -> None:
    assert_sane(shared_api.post(f"/instances/{path}", body=body))


@quick
@given(body=BODIES)
def test_any_change_is_answered(shared_api: Caller, body: bytes) -> None:
    assert_sane(shared_api("PATCH", "/instances/a", body=body))


@quick
@given(name=st.text(max_size=80) | st.from_regex(NAME, fullmatch=True))
def test_a_name_is_taken_if_and_only_if_the_contract_allows_it(shared_api: Caller, name: str) -> None:
    try:
        body = json.dumps({"name": name, "webhookUrl": "http://x"}).encode()
    except UnicodeEncodeError:
        return
    answer = shared_api.post("/instances/create", body=body)
    assert_sane(answer)
    if name in ("a", "pairing"):
        assert answer.status_code == 409
    elif NAME.fullmatch(name):
        assert answer.status_code == 201
        assert shared_api("DELETE", f"/instances/{name}").status_code == 204
    else:
        assert answer.status_code in (400, 422)


@quick
@given(name=st.binary(max_size=100), rest=st.sampled_from(["", "/qr", "/events", "/state"]))
def test_any_name_in_a_path_is_answered(shared_api: Caller, name: bytes, rest: str) -> None:
    assert_sane(shared_api.get(f"/instances/{quote_from_bytes(name, safe='')}{rest}"))


@quick
@given(
    parameter=st.sampled_from(["after", "limit", "type", "instance", "at", "other"]),
    value=st.binary(max_size=30) | st.from_regex(r"[0-9TZ:.+ -]{1,30}", fullmatch=True).map(str.encode),
    path=st.sampled_from(["/events", "/instances/a/events", "/instances/a/state"]),
)
def test_any_query_is_answered(shared_api: Caller, parameter: str, value: bytes, path: str) -> None:
    assert_sane(shared_api.get(path, query_string=f"{parameter}={quote_from_bytes(value)}"))


@quick
@given(
    name=st.sampled_from(
        ["Accept", "Authorization", "Content-Type", "Host", "Idempotency-Key", "Origin", "X-API-Key", "X-Request-Id"]
    ),
    value=HEADER_VALUES,
    call=st.sampled_from(
        [("GET", "/instances/pairing/qr"), ("POST", "/instances/a/message"), ("GET", "/problems/no-qr")]
    ),
)
def test_any_header_is_answered(shared_api: Caller, name: str, value: str, call: tuple[str, str]) -> None:
    assert_sane(shared_api(*call, headers={name: value}))


@quick
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50).filter(str.strip))
def test_a_text_arrives_as_it_was_written(shared_api: Caller, shared_manager: FakeManager, text: str) -> None:
    answer = shared_api.post("/instances/a/message", {"number": "5591999999999", "message": text})
    assert answer.status_code == 200
    assert shared_manager.calls[-1][-1] == text
