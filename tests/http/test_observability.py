"""What a request leaves behind: an id, a span, numbers for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from chatbot_erp.actors import spans
from chatbot_erp.actors.frames import Alive
from chatbot_erp.actors.requests import command_id
from chatbot_erp.actors.webhook import Answer, NoAnswer
from chatbot_erp.eventstore.events import Status, WebhookUrlChanged
from chatbot_erp.http.metrics import Metrics

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

MESSAGE = {"number": "5591999999999", "message": "x"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    end = spans.trace_with(SimpleSpanProcessor(exporter))
    yield exporter
    end()


def test_the_id_of_a_request_is_that_of_its_command_and_in_its_log_lines(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    commands: list[str] = []
    manager.on_send = lambda: commands.extend([command_id(), command_id()])
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = api.post("/instances/a/message", MESSAGE)
    assert commands[0] == answer.headers["X-Request-Id"] == lines[-1]["request_id"]
    assert commands[1] != commands[0]
    assert get_contextvars() == {}


def test_a_callers_own_id_comes_back_and_is_in_the_log_beside_ours(api: Caller, manager: FakeManager) -> None:
    manager.bring("a", Status.CONNECTED)
    commands: list[str] = []
    manager.on_send = lambda: commands.append(command_id())
    with capture_logs(processors=[merge_contextvars]) as lines:
        answers = [api.post("/instances/a/message", MESSAGE, headers={"X-Request-Id": "order-42"}) for _ in range(2)]
    assert [answer.headers["X-Request-Id"] for answer in answers] == ["order-42", "order-42"]
    assert [line["callers_request_id"] for line in lines] == ["order-42", "order-42"]
    assert [line["request_id"] for line in lines] == commands
    assert commands[0] != commands[1]


@pytest.mark.parametrize("given", ["", "a b", "é", "x" * 129])
def test_an_id_that_does_not_belong_into_a_header_is_not_taken(api: Caller, given: str) -> None:
    UUID(api.get("/livez", headers={"X-Request-Id": given.encode("utf-8").decode("latin-1")}).headers["X-Request-Id"])


def test_a_request_is_a_span_below_its_callers_and_holds_nothing_private(
    api: Caller, manager: FakeManager, exporter: InMemorySpanExporter
) -> None:
    manager.bring("a", Status.CONNECTED)
    header = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = api.post("/instances/a/message?q=secret", MESSAGE, headers=header)
    (span,) = exporter.get_finished_spans()
    assert span.name == "POST /instances/{name}/message"
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE == lines[-1]["trace_id"]
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/instances/{name}/message",
        "http.response.status_code": 200,
        "request_id": answer.headers["X-Request-Id"],
    }


def test_a_request_that_fails_is_a_failed_span_without_the_reason(
    api: Caller, manager: FakeManager, exporter: InMemorySpanExporter
) -> None:
    manager.bring("a", Status.CONNECTED)
    manager.failure = RuntimeError("the password is swordfish")
    api.post("/instances/a/message", MESSAGE)
    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert "swordfish" not in span.to_json()


def series(api: Caller) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    families = text_string_to_metric_families(api.get("/metrics").text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_metrics_tell_of_messages_restarts_and_what_was_lost_by_cause(api: Caller, manager: FakeManager) -> None:
    manager.counted.count("fates", "delivered")
    manager.counted.count("restarts", "zombie")
    manager.counted.count("hosts_lost", "host_hung")
    manager.counted.count("parked", "Observed")
    found = series(api)
    assert found["chatbot_erp_messages_total", "delivered"] == 1
    assert found["chatbot_erp_messages_total", "failed"] == 0
    assert found["chatbot_erp_restarts_total", "zombie"] == 1
    assert found["chatbot_erp_restarts_total", "requested"] == 0
    assert found["chatbot_erp_hosts_lost_total", "host_hung"] == 1
    assert found["chatbot_erp_parked_total", "Observed"] == 1


def test_metrics_measure_appends_deliveries_and_calls(api: Caller, manager: FakeManager) -> None:
    manager.measured.append.observe(0.003)
    manager.measured.observe_post(Answer(status=503, retry_after=None, text="", address="", duration_ms=20))
    manager.measured.observe_post(NoAnswer(error="timeout", detail="", address="", duration_ms=15_000))
    api.get("/instances/nobody")
    found = series(api)
    assert found["chatbot_erp_append_seconds_bucket", "0.0025"] == 0
    assert found["chatbot_erp_append_seconds_bucket", "0.005"] == 1
    assert found["chatbot_erp_webhook_seconds_sum", "5xx"] == 0.02
    assert found["chatbot_erp_webhook_seconds_sum", "timeout"] == 15
    assert found["chatbot_erp_http_seconds_count", "GET", "/instances/{name}", "4xx"] == 1


def test_a_method_that_a_caller_invents_adds_no_series(manager: FakeManager) -> None:
    metrics = Metrics(manager)
    for number in range(3):
        metrics.answered(f"INVENTED{number}", "none", 400, 0.1)
    methods = {each.labels.get("method") for family in metrics.families() for each in family.samples}
    assert methods == {None, "other"}


def test_metrics_show_what_waits_for_receivers_and_what_hosts_cost(api: Caller, manager: FakeManager) -> None:
    before = series(api)
    manager.happen(manager.bring("a", Status.CONNECTED), WebhookUrlChanged(webhook_url="http://elsewhere/"))
    instance = manager.directory.find("a").id
    manager.connect("a")
    manager.vitals = (Alive(rss_bytes=50, descriptors=7), Alive(rss_bytes=30, descriptors=9))
    found = series(api)
    assert found[("chatbot_erp_webhook_backlog",)] == before[("chatbot_erp_webhook_backlog",)] + 1
    assert found[("chatbot_erp_webhook_backlog_age_seconds",)] > 0
    assert found[("chatbot_erp_log_position",)] == before[("chatbot_erp_log_position",)] + len(
        manager.store.read(stream=instance)
    )
    assert found[("chatbot_erp_hosts",)] == 2
    assert found[("chatbot_erp_hosts_memory_bytes",)] == 80
    assert found[("chatbot_erp_largest_host_memory_bytes",)] == 50
    assert found[("chatbot_erp_largest_host_descriptors",)] == 9


def environment(**more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", **more}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (environment(), True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({}, False),
        (environment(OTEL_SDK_DISABLED="true"), False),
        (environment(OTEL_TRACES_EXPORTER="none"), False),
    ],
)
def test_the_environment_says_whether_there_are_traces(settings: dict[str, str], wanted: bool) -> None:
    assert spans.are_wanted(settings) is wanted


def test_traces_in_a_form_that_is_not_there_are_refused_at_the_start() -> None:
    with pytest.raises(spans.TracesUnavailable, match="grpc"):
        spans.configure_traces(environment(OTEL_EXPORTER_OTLP_PROTOCOL="grpc"))


def test_without_traces_a_span_is_nothing() -> None:
    with spans.span("x") as span:
        span.note({"a": 1})
        span.fail()
        assert (span.trace_id, spans.headers()) == (None, {})


def test_a_collector_that_does_not_take_the_last_spans_does_not_hold_up_the_end(
    exporter: InMemorySpanExporter,
) -> None:
    class Stubborn(SimpleSpanProcessor):
        def shutdown(self) -> None:
            stuck.wait(60)

    stuck = Event()
    end = spans.trace_with(Stubborn(exporter))
    begun = time.monotonic()
    end()
    stuck.set()
    assert time.monotonic() - begun < 30
