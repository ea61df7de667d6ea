"""Whatever a caller sends, the answer is one that the API document has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chatbot_erp.http.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager


BELOW_THE_CALLS = {"bad-request", "not-found"}
"""What there is before a call is known: no such path, no valid HTTP."""


def problem_conformance(context: Any, response: Any, case: Any) -> None:
    """A problem is one of those that the call is said to have."""
    if response.headers.get("content-type") != ["application/problem+json"]:
        return
    code = response.json()["type"].removeprefix("/problems/")
    described = case.operation.definition.raw["responses"][str(response.status_code)]
    known = described["content"]["application/problem+json"]["examples"]
    assert code in {*known, *BELOW_THE_CALLS}, f"{code} is not said to be an answer of {case.method} {case.path}"


CHECKS = [
    problem_conformance,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NAMES = ("a", "pairing", "nobody")
"""The two instances that there are, and one that is not; behind names drawn at random nothing would be found."""

ASKED = [each for each in OPERATIONS if not each.is_private]


@pytest.fixture(scope="module")
def schema(shared_api: Caller, shared_manager: FakeManager) -> Any:
    # An event stream ends once it has begun, then.
    shared_manager.draining = True
    return schemathesis.openapi.from_wsgi("/openapi.json", shared_api.app)


@pytest.mark.parametrize("asked", ASKED, ids=lambda each: f"{each.method} {each.path}")
def test_every_answer_is_documented(schema: Any, asked: Any) -> None:
    operation = schema[asked.path][asked.method]

    @given(
        st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        ),
        st.sampled_from(NAMES),
    )
    @settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any, name: str) -> None:
        if "name" in case.path_parameters and asked.method != "DELETE":
            case.path_parameters["name"] = name
        answer = case.call()
        # Another path where what was drawn for a part is a word of it, such as …/groups/join.
        if answer.status_code != 405:
            case.validate_response(answer, checks=CHECKS)

    ask()
