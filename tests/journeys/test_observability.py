"""What an operator sees of one message: the same id in the answer, the log and the traces, and the numbers it moves."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver


class Collector:
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def series(manager: ManagerProcess) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(manager.call("GET", "/metrics").text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_a_message_can_be_followed_from_its_request_to_its_webhook(
    tmp_path: Path,
    network: Network,
    new_phone: Callable[[str], Phone],
    receiver: Receiver,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    customer = new_phone("Maria")
    manager = ManagerProcess(tmp_path / "data", network)
    with manager:
        manager.pair("a", new_phone("Empresa X"), receiver.url())
        answer = manager.send("a", customer.number, "Olá", headers={"X-Request-Id": "order-42"})
        assert answer.headers["X-Request-Id"] == "order-42"
        (told,) = receiver.wait_for(lambda payload: payload["event"] == "message.sent")
        (accepted,) = manager.events("a", "message.accepted")
        manager.wait_event("a", "webhook.delivered")
        found = series(manager)
    request_id = accepted["data"]["commandId"]

    answered = [line for line in manager.log.read_text().splitlines() if '"callers_request_id": "order-42"' in line]
    assert len(answered) == 1
    assert f'"request_id": "{request_id}"' in answered[0]

    assert found["chatbot_erp_messages_total", "sent"] == 1
    assert found["chatbot_erp_events_total", "message.sent"] == 1
    assert found[("chatbot_erp_append_seconds_count",)] > 3
    assert found["chatbot_erp_webhook_seconds_count", "2xx"] >= 1
    assert found["chatbot_erp_http_seconds_count", "POST", "/instances/{name}/message", "2xx"] == 1

    spans = {span.name: span for span in collector.spans}
    asked = spans["POST /instances/{name}/message"]
    assert text_of(asked, "request_id") == request_id
    assert spans["await acknowledgement"].parent_span_id == asked.span_id
    posts = [span for span in collector.spans if span.name == "POST webhook"]
    (post,) = [span for span in posts if text_of(span, "command_id") == request_id]
    assert told.headers["traceparent"].split("-")[1:3] == [post.trace_id.hex(), post.span_id.hex()]
    assert customer.number not in str(collector.spans)
    assert "Olá" not in str(collector.spans)


def text_of(span: Span, key: str) -> str:
    return next((each.value.string_value for each in span.attributes if each.key == key), "")
