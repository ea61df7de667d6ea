"""What callers get wrong: the right 4xx with a problem document, and nothing is created."""

from typing import Any

import pytest
import requests

from manager_process import ManagerProcess

GOOD_URL = "http://127.0.0.1:9/nobody"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, network: Any) -> Any:
    with ManagerProcess(tmp_path_factory.mktemp("bad") / "data", network, api_key="k" * 32) as manager:
        yield manager


def problem(answer: requests.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    document = answer.json()
    assert document["status"] == status
    assert {"type", "title", "detail"} <= document.keys()
    return document


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "a/../b", "a\x00b", "a?mode=memory", "", " ", "-a", "ç", "CON.", "x" * 64, "x" * 10_000],
)
def test_a_bad_name_creates_nothing(shared: ManagerProcess, name: str) -> None:
    answer = shared.call("POST", "/instances/create", json={"name": name, "webhookUrl": GOOD_URL})
    problem(answer, 422)
    assert shared.call("GET", "/instances").json() == []
    assert list((shared.data_dir / "sessions").iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": 7, "webhookUrl": GOOD_URL},
        {"name": "a", "webhookUrl": None},
        {"name": "a"},
        {"name": ["a"], "webhookUrl": GOOD_URL},
        {"name": "a", "webhookUrl": "ftp://example.test/"},
        {"name": "a", "webhookUrl": "http://user:password@example.test/"},
        {"name": "a", "webhookUrl": "http://169.254.169.254/latest/meta-data"},
        [],
        "a",
    ],
)
def test_a_body_of_the_wrong_shape_is_422(shared: ManagerProcess, body: Any) -> None:
    problem(shared.call("POST", "/instances/create", json=body), 422)
    assert shared.call("GET", "/instances").json() == []


@pytest.mark.parametrize("body", [b"{", b'{"name": "a"', b"\xff\xfe", b"{'name': 'a'}"])
def test_broken_json_is_400(shared: ManagerProcess, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    problem(shared.call("POST", "/instances/create", data=body, headers=headers), 400)


def test_no_body_at_all_is_a_client_error(shared: ManagerProcess) -> None:
    answer = shared.call("POST", "/instances/create")
    assert answer.status_code in (400, 415, 422)
    problem(answer, answer.status_code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/instances/nobody"),
        ("DELETE", "/instances/nobody"),
        ("POST", "/instances/nobody/restart"),
        ("GET", "/instances/nobody/qr"),
        ("GET", "/instances/nobody/events"),
        ("GET", "/instances/%2e%2e%2fetc"),
        ("GET", "/nothing/here"),
    ],
)
def test_what_does_not_exist_is_404(shared: ManagerProcess, method: str, path: str) -> None:
    problem(shared.call(method, path), 404)


@pytest.mark.parametrize(("method", "path"), [("PUT", "/instances"), ("GET", "/instances/create/"), ("POST", "/livez")])
def test_a_wrong_method_or_path_is_refused(shared: ManagerProcess, method: str, path: str) -> None:
    answer = shared.call(method, path)
    assert answer.status_code in (404, 405)
    problem(answer, answer.status_code)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "k" * 31}])
def test_without_the_key_nothing_is_told_and_nothing_is_done(shared: ManagerProcess, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/instances"), ("POST", "/instances/create"), ("GET", "/events"), ("GET", "/metrics")):
        answer = requests.request(method, shared.url + path, headers=headers, timeout=60)
        problem(answer, 401)
    assert shared.call("GET", "/instances").json() == []


def test_health_needs_no_key(shared: ManagerProcess) -> None:
    for path in ("/livez", "/readyz"):
        assert requests.get(shared.url + path, timeout=60).status_code == 200


def test_a_number_that_is_not_connected_cannot_send(shared: ManagerProcess) -> None:
    shared.create("a")
    document = problem(shared.send("a", "5511999999999", "Olá"), 409)
    assert document["type"].endswith("instance-not-operational")
    problem(shared.send("a", "não é número", "Olá"), 422)
    problem(shared.send("a", "5511999999999", ""), 422)
    problem(shared.call("POST", "/instances/create", json={"name": "a", "webhookUrl": GOOD_URL}), 409)
    assert shared.call("DELETE", "/instances/a").status_code == 204


def test_a_field_that_nobody_knows_is_ignored_and_a_change_of_nothing_else_is_refused(shared: ManagerProcess) -> None:
    wanted = {"name": "b", "webhookUrl": GOOD_URL, "colour": "blue"}
    assert shared.call("POST", "/instances/create", json=wanted).status_code == 201
    for path, changes in (("", {"webhookurl": "http://127.0.0.1:9/other"}), ("/webhook", {"colour": "blue"})):
        problem(shared.call("PATCH", f"/instances/b{path}", json=changes), 422)
    assert shared.view("b")["webhookUrl"] == GOOD_URL
    assert not [event for event in shared.events("b") if event["type"].startswith("endpoint")]
    assert shared.call("DELETE", "/instances/b").status_code == 204
