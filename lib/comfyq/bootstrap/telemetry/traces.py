"""The tracer of a process, if the variables of OpenTelemetry ask for traces."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from comfyq import __version__
from comfyq.aio.logs import log
from comfyq.config import TracesSettings
from comfyq.telemetry.tracing import tracing

EXTRA = "install comfyq with its extra `otel`, or unset OTEL_TRACES_EXPORTER and the endpoint"


def start_tracing(settings: TracesSettings, *, service: str) -> Callable[[], None]:
    """Trace this process if the settings want it, and return what ends that.

    OpenTelemetry is imported only then. If it is not installed, a line of the log says so.
    """
    if not settings.are_wanted:
        return _nothing
    try:
        from comfyq.adapters.opentelemetry import tracer as otel  # an extra
    except ImportError as missing:
        log.warning("traces_unavailable", reason=str(missing), remedy=EXTRA)
        return _nothing
    is_console = settings.traces_exporter == "console"
    processor = otel.console_processor() if is_console else otel.otlp_processor()
    tracer = otel.OpenTelemetryTracer(processor, service=service, version=__version__)
    tracing.tracer = tracer

    def stop() -> None:
        tracing.tracer = None
        tracer.close()

    return stop


@contextmanager
def traced(settings: TracesSettings, *, service: str) -> Iterator[None]:
    """Trace this process while the body runs, if the settings want it."""
    stop = start_tracing(settings, service=service)
    try:
        yield
    finally:
        stop()


def _nothing() -> None:
    """End nothing."""
