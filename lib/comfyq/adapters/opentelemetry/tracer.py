import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from comfyq.telemetry.tracing import Value

PROPAGATOR = TraceContextTextMapPropagator()
FIELD = "traceparent"
FLUSH_MS = 3_000
NANOSECONDS = 1_000_000_000


class OpenTelemetrySpan:
    """A span that is open."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, *, name: str | None = None, failed: bool = False, **attributes: Value) -> None:
        self._span.set_attributes(_dotted(attributes))
        if name is not None:
            self._span.update_name(name)
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))


class OpenTelemetryTracer:
    """Make spans of one service; ``close`` sends the last of them."""

    def __init__(self, processor: SpanProcessor, *, service: str, version: str) -> None:
        usual = Resource({"service.name": service, "service.version": version})
        resource = usual.merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME and others
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("comfyq", version)

    @contextmanager
    def span(
        self, name: str, *, parent: str | None, is_server: bool, attributes: dict[str, Value]
    ) -> Iterator[OpenTelemetrySpan]:
        kind = SpanKind.SERVER if is_server else SpanKind.INTERNAL
        with self._tracer.start_as_current_span(
            name, context=_context(parent), kind=kind, attributes=_dotted(attributes)
        ) as span:
            yield OpenTelemetrySpan(span)

    def record(self, name: str, *, parent: str, start: datetime, end: datetime) -> None:
        began, ended = (int(at.timestamp() * NANOSECONDS) for at in (start, end))
        span = self._tracer.start_span(name, context=_context(parent), start_time=began)
        span.end(max(began, ended))

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier)
        return carrier.get(FIELD)

    def trace_id(self) -> str | None:
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def flush(self) -> None:
        self._provider.force_flush(FLUSH_MS)

    def close(self) -> None:
        self._provider.shutdown()


def otlp_processor() -> SpanProcessor:
    """Send spans in batches to where the variables of OpenTelemetry say, by HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter())


def console_processor() -> SpanProcessor:
    """Write spans to standard error."""
    exporter: SpanExporter = ConsoleSpanExporter(out=sys.stderr)
    return BatchSpanProcessor(exporter)


def _context(parent: str | None) -> Context | None:
    """Return the context of a traceparent; None, or one that is malformed: the current one."""
    return None if parent is None else PROPAGATOR.extract({FIELD: parent}, get_current())


def _dotted(attributes: dict[str, Value]) -> dict[str, Value]:
    """Return attributes by OpenTelemetry's names, which have dots: ``http__route``."""
    return {name.replace("__", "."): value for name, value in attributes.items()}
