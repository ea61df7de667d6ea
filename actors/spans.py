"""OpenTelemetry spans, where the environment asks for them; otherwise nothing of it is imported.

`OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`) switches them on; OpenTelemetry's other variables mean what they
mean everywhere. A span holds ids, names and outcomes, never a text, a number, a key or a URL.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from threading import Thread
from typing import Any, Literal

Kind = Literal["server", "client", "internal"]
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
NO_PARENT: Mapping[str, str] = {}
CLOSE_PATIENCE_S = 2.0
"""What the last spans may cost the end; a collector that does not answer would hold it up for ten."""

_tracer: Any = None


class TracesUnavailable(Exception):
    """Raised at the start where traces are asked for and cannot be had; the message says what to do."""


class Span:
    """Something that is going on, in this thread."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def trace_id(self) -> str | None:
        """The trace it belongs to, as 32 hex digits; None where there are no traces."""
        return None if self._inner is None else f"{self._inner.get_span_context().trace_id:032x}"

    @property
    def is_kept(self) -> bool:
        """Whether anybody will see what is noted of it."""
        return self._inner is not None

    def rename(self, name: str) -> None:
        """Call it something else: few names for all that happens."""
        if self._inner is not None:
            self._inner.update_name(name)

    def note(self, attributes: Mapping[str, str | int | None]) -> None:
        """Say more about it; what is None is not said."""
        if self._inner is not None:
            self._inner.set_attributes({key: value for key, value in attributes.items() if value is not None})

    def fail(self) -> None:
        """It did not come to what it should."""
        if self._inner is not None:
            from opentelemetry.trace import StatusCode

            self._inner.set_status(StatusCode.ERROR)


@contextmanager
def span(name: str, kind: Kind = "internal", parent: Mapping[str, str] = NO_PARENT) -> Iterator[Span]:
    """A span around the block, below the one of this thread or, if there is none, the one that `parent` names.

    `parent` are headers with a `traceparent`. An exception makes it a failed one, without its message.
    """
    if _tracer is None:
        yield Span(None)
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(parent) if parent else None
    with _tracer.start_as_current_span(
        name, context=context, kind=SpanKind[kind.upper()], record_exception=False, set_status_on_exception=False
    ) as inner:
        begun = Span(inner)
        try:
            yield begun
        except BaseException:
            begun.fail()
            raise


def headers() -> dict[str, str]:
    """What tells another program of this thread's span; empty where there is none."""
    carrier: dict[str, str] = {}
    if _tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carrier)
    return carrier


def configure_traces(environment: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Have spans sent, if the environment asks for it; what is returned sends the last of them.

    Raises `TracesUnavailable` where they are asked for and cannot be had.
    """
    if not are_wanted(environment):
        return lambda: None
    if unknown := {environment[name] for name in PROTOCOLS if name in environment} - {"http/protobuf"}:
        raise TracesUnavailable(f"Traces are sent as http/protobuf, not as {', '.join(sorted(unknown))}.")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as ex:
        raise TracesUnavailable("OpenTelemetry is not installed: pip install '.[otel]'.") from ex
    return trace_with(BatchSpanProcessor(OTLPSpanExporter()))


def are_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment says where spans shall go."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return exporter == "otlp" and not disabled and any(environment.get(name) for name in ENDPOINTS)


def trace_with(processor: Any) -> Callable[[], None]:
    """Hand spans to one of OpenTelemetry's processors until what is returned is called."""
    global _tracer
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
    from opentelemetry.sdk.trace import TracerProvider

    own = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "chatbot-erp"}
    resource = Resource.create({SERVICE_VERSION: version("chatbot-erp"), **own})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("chatbot-erp", version("chatbot-erp"))

    def end() -> None:
        global _tracer
        _tracer = None
        last = Thread(target=provider.shutdown, name="traces", daemon=True)
        last.start()
        last.join(CLOSE_PATIENCE_S)

    return end
