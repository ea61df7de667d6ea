"""The client against a real server of the HTTP room's making, and against servers that misbehave."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chatbot_erp.client import commands, shapes
from chatbot_erp.client.api import PAGE, Client, Refused, Unreachable
from chatbot_erp.client.commands import show_instances
from chatbot_erp.http.openapi import document

SCHEMAS: dict[str, Any] = document(sandbox=False)["components"]["schemas"]


@pytest.mark.parametrize(
    ("shape", "schema"),
    [
        (shapes.Summary, "InstanceSummary"),
        (shapes.Created, "CreatedInstance"),
        (shapes.User, "User"),
        (shapes.Instance, "InstanceDetails"),
        (shapes.Sent, "SentMessage"),
        (shapes.Accepted, "AcceptedMessage"),
        (shapes.Fate, "MessageFate"),
        (shapes.Event, "LoggedEvent"),
        (shapes.Page, "EventPage"),
        (shapes.Problem, "Problem"),
        (shapes.Wrong, "FieldError"),
    ],
)
def test_what_the_client_names_is_in_the_api_document(shape: type[msgspec.Struct], schema: str) -> None:
    named = {field.encode_name for field in msgspec.structs.fields(shape)}
    assert named <= set(SCHEMAS[schema]["properties"])
    needed = {field.encode_name for field in msgspec.structs.fields(shape) if field.required}
    assert needed <= set(SCHEMAS[schema]["required"])


def test_a_send_shows_the_key_and_is_made_once_by_its_idempotency_key(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request(
        "/instances/empresa_x/message",
        method="POST",
        headers={"Authorization": "Bearer secret", "Idempotency-Key": "order-42"},
        json={"number": "5591", "message": "Olá"},
    ).respond_with_json(
        {"messageId": "M", "jid": "5591@s.whatsapp.net", "status": 1, "timestamp": "2026-01-01T00:00:00Z"}
    )
    client = Client(httpserver.url_for("/"), key="secret")
    sent = client.send_text("empresa_x", "5591", "Olá", idempotency_key="order-42")
    assert sent == shapes.Sent(
        message_id="M", jid="5591@s.whatsapp.net", status=1, timestamp=datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_a_send_that_is_not_waited_for_says_so_and_its_fate_is_asked_by_its_id(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request(
        "/instances/empresa_x/message", method="POST", headers={"Prefer": "respond-async"}
    ).respond_with_json({"id": "c", "status": "accepted", "location": "/instances/empresa_x/messages/c"}, 202)
    fate = {"id": "c", "messageId": None, "jid": "5591", "fate": "accepted", "status": None, "type": None}
    httpserver.expect_request("/instances/empresa_x/messages/c").respond_with_json(
        {**fate, "at": "2026-01-01T00:00:00Z"}
    )
    client = Client(httpserver.url_for("/"))
    accepted = client.accept_text("empresa_x", "5591", "Olá")
    assert client.fate("empresa_x", accepted.id).fate == "accepted"


def test_whatever_a_name_holds_is_one_part_of_the_path(httpserver: HTTPServer) -> None:
    asked = []

    def answer(request: Request) -> Response:
        asked.append(request.environ["RAW_URI"])
        return Response(status=202)

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    Client(httpserver.url_for("/")).restart("a/../b?c#d")
    assert asked == ["/instances/a%2F..%2Fb%3Fc%23d/restart"]


def test_an_instance_that_is_removed_while_all_are_shown_is_left_out(
    httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = [{"id": name, "name": name, "status": "CONNECTED"} for name in ("gone", "here")]
    gone = {"type": "/problems/instance-not-found", "title": "There is none.", "status": 404}
    here = listed[1] | {
        "since": "2026-01-01T00:00:00Z",
        "webhookUrl": "http://x/",
        "restarts": 0,
        "reason": None,
        "node": "n",
    }
    httpserver.expect_request("/instances").respond_with_json(listed)
    httpserver.expect_request("/instances/gone").respond_with_json(gone, 404)
    httpserver.expect_request("/instances/here").respond_with_json(
        here | {"user": None, "qr": None, "qrExpiresAt": None}
    )
    show_instances(Client(httpserver.url_for("/")), as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert msgspec.json.decode(line)["name"] == "here"


def test_one_that_is_on_its_way_to_another_node_is_looked_for_again(
    httpserver: HTTPServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "LOOK_EVERY_S", 0.0)
    moves = {"type": "/problems/no-node", "title": "At no node.", "status": 503}
    summary = {"id": "i", "name": "a", "status": "CONNECTED"}
    details = {"since": "2026-01-01T00:00:00Z", "webhookUrl": "http://x/", "restarts": 0, "reason": None, "node": "n"}
    httpserver.expect_request("/instances").respond_with_json([summary])
    httpserver.expect_oneshot_request("/instances/a").respond_with_json(moves, 503)
    httpserver.expect_request("/instances/a").respond_with_json(
        summary | details | {"user": None, "qr": None, "qrExpiresAt": None}
    )
    show_instances(Client(httpserver.url_for("/")), as_json=True)
    assert '"name":"a"' in capsys.readouterr().out


def test_ctrl_c_ends_a_command_that_asks_a_manager_with_130() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        commands.asking(interrupted)
    assert ended.value.code == 130


def test_a_refusal_says_its_type_its_sentence_and_what_to_do(httpserver: HTTPServer) -> None:
    problem = {
        "type": "/problems/invalid-request",
        "title": "Parts are wrong.",
        "status": 422,
        "detail": "The body is not what this call takes.",
        "action": "Correct what 'errors' names.",
        "instance": "urn:uuid:6f1c2f0e-8a53-4c57-9a55-0f6d6e0a9b11",
        "errors": [{"field": "name", "in": "body", "detail": "It is required."}],
    }
    httpserver.expect_request("/instances").respond_with_json(problem, 422, content_type="application/problem+json")
    with pytest.raises(
        Refused, match="not what this call takes. Correct what 'errors' names. · name: It is required.$"
    ) as caught:
        Client(httpserver.url_for("/")).instances()
    assert caught.value.problem.type == "/problems/invalid-request"
    assert caught.value.problem.errors == (shapes.Wrong(field="name", detail="It is required."),)
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("9" * 5000, None)])
def test_a_refusal_says_when_it_may_be_tried_again(httpserver: HTTPServer, header: str, seconds: int | None) -> None:
    problem = {"type": "/problems/sending-too-fast", "title": "Too fast.", "status": 429}
    httpserver.expect_request("/instances").respond_with_json(problem, 429, {"Retry-After": header})
    with pytest.raises(Refused) as caught:
        Client(httpserver.url_for("/")).instances()
    assert caught.value.retry_after_s == seconds


def test_a_proxy_that_answers_in_words_of_its_own_is_a_refusal_too(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances").respond_with_data("<h1>Bad Gateway</h1>", 502)
    with pytest.raises(Refused, match="HTTP 502"):
        Client(httpserver.url_for("/")).instances()


def test_a_page_of_somebody_else_is_no_answer(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances").respond_with_data("<html>Welcome</html>")
    with pytest.raises(Unreachable, match="not as this program does"):
        Client(httpserver.url_for("")).instances()


def test_a_redirect_is_not_followed_with_the_key(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances").respond_with_data("", 302, {"Location": httpserver.url_for("/elsewhere")})
    with pytest.raises(Refused, match="HTTP 302"):
        Client(httpserver.url_for("/"), key="secret").instances()
    assert [request.path for request, _ in httpserver.log] == ["/instances"]


def test_where_nobody_listens_the_call_is_unreachable_and_not_repeated() -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        Client("http://127.0.0.1:9", timeout_s=2).restart("empresa_x")


def test_an_address_without_a_scheme_is_an_http_one(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/instances").respond_with_json([])
    assert Client(f"{httpserver.host}:{httpserver.port}").instances() == []


def test_events_are_read_page_by_page_to_the_present_end(httpserver: HTTPServer) -> None:
    log = [
        shapes.Event(
            position=at,
            stream="s",
            version=at,
            id=str(at),
            type="ping.sent",
            data={},
            sequence=None,
            hash="",
            recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for at in range(1, PAGE + 3)
    ]

    def answer(request: Request) -> Response:
        after, limit = int(request.args["after"]), int(request.args["limit"])
        assert request.args.getlist("type") == ["ping.sent"]
        events = log[after : after + limit]
        page = shapes.Page(events=events, next=events[-1].position if events else after)
        return Response(msgspec.json.encode(page), content_type="application/json")

    httpserver.expect_request("/instances/empresa_x/events").respond_with_handler(answer)
    found = list(Client(httpserver.url_for("/")).events("empresa_x", types=("ping.sent",)))
    assert [event.position for event in found] == list(range(1, PAGE + 3))


@pytest.mark.parametrize("as_path", [True, False])
def test_a_file_is_sent_as_a_part_of_a_form(httpserver: HTTPServer, tmp_path: Path, as_path: bool) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        file = request.files["file"]
        assert (file.filename, file.read()) == ("nota _1_.pdf", b"%PDF" * 200_000)
        assert msgspec.json.decode(request.form["message"]) == {"to": "5591", "type": "document", "text": "A nota"}
        sent = {"messageId": "M", "jid": "5591@s.whatsapp.net", "status": 1, "timestamp": "2026-01-01T00:00:00Z"}
        return Response(msgspec.json.encode(sent), content_type="application/json")

    httpserver.expect_oneshot_request("/instances/empresa_x/messages", method="POST").respond_with_handler(answer)
    path = tmp_path / 'nota "1".pdf'
    path.write_bytes(b"%PDF" * 200_000)
    file, name = (path, "") if as_path else (path.read_bytes(), path.name)
    client = Client(httpserver.url_for("/"))
    sent = client.send("empresa_x", "5591", "document", file=file, file_name=name, text="A nota", idempotency_key="k")
    assert sent.message_id == "M"
    assert seen[0].headers["Idempotency-Key"] == "k"
    assert int(seen[0].headers["Content-Length"]) > 800_000


def test_what_has_no_file_is_sent_as_json(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request(
        "/instances/a/messages", method="POST", json={"to": "5591", "type": "text", "text": "Olá"}
    ).respond_with_json({"messageId": "M", "jid": "j", "status": 1, "timestamp": "2026-01-01T00:00:00Z"})
    assert Client(httpserver.url_for("/")).send("a", "5591", "text", text="Olá").message_id == "M"
