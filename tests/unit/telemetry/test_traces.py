"""One job's trace: from its request through the queue to ComfyUI and back into the table."""

import json
import re
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.adapters.opentelemetry.tracer import OpenTelemetryTracer
from comfyq.aio.logs import log
from comfyq.aio.tasks import beside
from comfyq.bootstrap.api import api_app
from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope
from comfyq.domain.job import JobId, JobStatus
from comfyq.local.application import local_app
from comfyq.ports.inbox import Message
from comfyq.telemetry.tracing import tracing
from tests.asgi_client import AsgiClient
from tests.farm import GRAPH, Farm
from tests.unit.edges.worker.test_worker import services_of

pytestmark = pytest.mark.anyio

TRACE = "4bf92f35" * 4
PARENT = "00f067aa" * 2
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
ASKED = {"graph": GRAPH}


class Spans:
    """The spans that are over, in a process that is traced."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self.exporter)
        tracing.tracer = OpenTelemetryTracer(processor, service="comfyq", version="1")

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.all if span.name == name]
        return span


@pytest.fixture
def spans() -> Iterator[Spans]:
    yield Spans()
    tracing.tracer = None


def test_a_parent_that_is_malformed_is_the_span_that_is_open(spans: Spans) -> None:
    for parent in (None, "nonsense"):
        with tracing.span("outer"), tracing.span(f"of {parent}", parent=parent):
            pass
        assert trace_of(spans.named(f"of {parent}")) in {
            trace_of(span) for span in spans.all if span.name == "outer"
        }


def client_of(farm: Farm) -> AsgiClient:
    farm.services.authenticator = LocalOwner()
    return AsgiClient(api_app(farm.services), base_url="http://127.0.0.1")


async def ran(farm: Farm, job_id: str) -> None:
    job = await farm.records.get(JobId(job_id))
    async with beside(services_of(farm).worker.run()):
        await farm.until(job, JobStatus.SUCCEEDED)


def id_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def trace_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


async def test_a_job_is_followed_from_the_clients_trace_through_the_worker(
    farm: Farm, spans: Spans
) -> None:
    headers = {"traceparent": TRACEPARENT, "X-Request-Id": "mine"}
    answer = client_of(farm).post("/generate", json=ASKED, headers=headers)
    assert answer.status_code == 202, answer.text
    farm.clock.advance(7)
    await ran(farm, answer.json()["id"])

    assert {trace_of(span) for span in spans.all} == {TRACE}
    request, attempt = spans.named("POST /generate"), spans.named("attempt")
    tree = {span.name: parent_of(span) for span in spans.all}
    assert tree == {
        "POST /generate": PARENT,
        "admission": id_of(request),
        "store": id_of(request),
        "claim": id_of(request),
        "wait": id_of(request),
        "attempt": id_of(request),
        "submit to ComfyUI": id_of(attempt),
        "render": id_of(attempt),
        "upload": id_of(attempt),
        "conclude": id_of(attempt),
    }
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/generate",
        "http.response.status_code": 202,
        "comfyq.request": "mine",
    }
    assert (attempt.attributes or {})["comfyq.job"] == answer.json()["id"]
    assert (attempt.attributes or {})["comfyq.workflow"] == answer.json()["workflow"]
    waited = spans.named("wait")
    assert waited.start_time is not None
    assert waited.end_time is not None
    assert waited.end_time - waited.start_time == 7_000_000_000


async def test_a_job_without_a_trace_of_its_own_begins_one(farm: Farm, spans: Spans) -> None:
    answer = client_of(farm).post("/generate", json=ASKED, headers={"traceparent": "nonsense"})
    await ran(farm, answer.json()["id"])
    assert len({trace_of(span) for span in spans.all}) == 1
    assert parent_of(spans.named("POST /generate")) is None


async def test_a_job_that_was_submitted_untraced_is_traced_by_its_worker(farm: Farm) -> None:
    job = await farm.submit()
    spans = Spans()
    try:
        await ran(farm, job.id)
    finally:
        tracing.tracer = None
    assert parent_of(spans.named("attempt")) is None
    assert not any(span.name == "wait" for span in spans.all)


async def test_an_answer_5xx_marks_its_span(
    farm: Farm, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(farm.records, "get", broken)
    client = client_of(farm)
    assert client.get(f"/generate/{'0' * 8}-0000-4000-8000-{'0' * 12}").status_code == 500
    assert client.get("/generate/none").status_code == 404
    failed, missing = spans.all
    assert failed.status.status_code is StatusCode.ERROR
    assert missing.status.status_code is StatusCode.UNSET


async def test_what_is_asked_every_few_seconds_and_files_of_pages_are_no_spans(
    farm: Farm, spans: Spans
) -> None:
    farm.services.authenticator = LocalOwner()
    client = AsgiClient(local_app(farm.services), base_url="http://127.0.0.1:8000")
    page = client.get("/").text
    files = re.findall(r'(?:src|href)="/?(page/[^"]+)"', page)
    assert files
    paths = ["/health", "/health/live", "/health/ready", "/metrics", "/", "/docs", "/openapi.json"]
    for path in [*paths, *(f"/{file}" for file in files)]:
        assert client.get(path).status_code == 200, path
    assert spans.all == []


async def test_a_submission_of_the_queue_goes_on_with_its_senders_trace(
    farm: Farm, spans: Spans
) -> None:
    message = Message("m-1", json.dumps(ASKED), {"traceparent": TRACEPARENT})
    sender = Caller(DEFAULT_TENANT, frozenset(Scope))
    await farm.services.intake.take(sender, message)
    assert parent_of(spans.named("intake")) == PARENT
    job = await farm.records.get(JobId("m-1"))
    assert job.trace == f"00-{TRACE}-{id_of(spans.named('intake'))}-01"


async def test_lines_of_the_log_name_their_trace(
    farm: Farm, spans: Spans, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("info")  # whatever a test before has made of it
    answer = client_of(farm).post("/generate", json=ASKED, headers={"traceparent": TRACEPARENT})
    await ran(farm, answer.json()["id"])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    traced = {line["event"] for line in lines if line.get("trace") == TRACE}
    assert traced >= {"job_accepted", "job_started", "job_ended"}


async def test_without_a_tracer_nothing_is_stored_of_a_trace(farm: Farm) -> None:
    answer = client_of(farm).post("/generate", json=ASKED, headers={"traceparent": TRACEPARENT})
    assert (await farm.records.get(JobId(answer.json()["id"]))).trace is None
