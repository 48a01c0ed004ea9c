"""Whether a process is traced: by OpenTelemetry's own variables."""

import subprocess
import sys
from collections.abc import Mapping

import pytest

from comfyq.bootstrap.telemetry.traces import traced
from comfyq.config import TracesSettings, read_settings
from comfyq.telemetry.tracing import tracing
from tests.log_lines import logged

ENDPOINT = "http://127.0.0.1:9"
PROGRAM = """
import sys
from comfyq.bootstrap.telemetry.traces import traced
from comfyq.config import read_settings
from comfyq.telemetry.tracing import tracing

with traced(read_settings().traces, service="comfyq"):
    with tracing.span("a span of ours"):
        pass
print(*{name.partition(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ENDPOINT}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_decide(variables: Mapping[str, str], wanted: bool) -> None:
    assert read_settings(variables).traces.are_wanted == wanted


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=variables,
    )


def test_a_process_that_is_not_traced_imports_nothing_for_it() -> None:
    assert "opentelemetry" not in run().stdout.split()


def test_the_last_spans_are_written_at_the_end_under_the_services_name() -> None:
    ended = run(OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="mine")
    assert '"name": "a span of ours"' in ended.stderr
    assert '"service.name": "mine"' in ended.stderr


def test_an_extra_that_is_not_installed_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "comfyq.adapters.opentelemetry.tracer", None)
    monkeypatch.delattr("comfyq.adapters.opentelemetry.tracer", raising=False)
    settings = TracesSettings(traces_exporter="console")
    with logged() as lines, traced(settings, service="comfyq"):
        assert tracing.tracer is None
    [line] = lines
    assert line["event"] == "traces_unavailable"
    assert "otel" in line["remedy"]
