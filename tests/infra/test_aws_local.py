"""Parts of `make aws-local`: functions on Lambda's own runtime, and their callers."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from starlette.requests import Request

from infra.aws_local.cloud import WrongDeployment, localized
from infra.aws_local.function import Function
from infra.aws_local.http_events import event_of, response_of
from infra.aws_local.measuring import new_key
from infra.aws_local.runtime_api import FunctionFailed
from infra.aws_local.sandbox import Spec
from infra.aws_local.sources import failed_of, period_of, record_of
from infra.aws_local.stack import Options, running
from infra.checks.tools import Tools
from tests.fixtures.emulator import Aws

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is for Linux alone"),
]

EVENTS = Path(__file__).parents[1] / "data"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
DEADLINE_S = 60


@asynccontextmanager
async def function(
    name: str, logs: Path, *, timeout_s: int = 20, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Function]:
    command = name if "." in name else f"tests.infra.aws_local_functions.{name}"
    spec = Spec(
        name="Tested",
        arn=ARN,
        command=command,
        environment=environment or {},
        timeout_s=timeout_s,
        memory_mb=128,
    )
    made = Function(spec, surroundings={}, logs=logs)
    try:
        yield made
    finally:
        await made.stop()


async def test_a_function_sees_its_event_and_its_environment(tmp_path: Path) -> None:
    async with function("echo", tmp_path, environment={"COMFYQ_TABLE": "t"}) as echo:
        reply = await echo.invoke({"snow": "\N{SNOWMAN}"})
        assert (reply["event"], reply["arn"]) == ({"snow": "\N{SNOWMAN}"}, ARN)
        assert reply["setting"] == "t"
        assert 0 < reply["left_ms"] <= 20_000
        assert (await echo.invoke({}))["pid"] == reply["pid"]
        assert echo.figures.init_ms[0] > 0
        assert echo.figures.peak_mb > 1
        assert len(echo.figures.warm_ms) == 1


async def test_calls_at_once_have_sandboxes_of_their_own(tmp_path: Path) -> None:
    async with function("echo", tmp_path) as echo:
        reply = await asyncio.gather(*(echo.invoke({}) for _ in range(3)))
        assert len({each["pid"] for each in reply}) == 3


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("fail", "as it was told to"),
        ("large", "larger than Lambda's limit"),
        ("leave", "ended with 3"),
        ("hang", "took more than 1 s"),
    ],
)
async def test_a_function_that_fails_says_how_and_the_next_call_is_answered(
    tmp_path: Path, name: str, reply: str
) -> None:
    async with function(name, tmp_path, timeout_s=1 if name == "hang" else 20) as failing:
        for _ in range(1 if name == "hang" else 2):
            with pytest.raises(FunctionFailed, match=reply):
                await failing.invoke({})


async def test_a_sandbox_whose_caller_has_left_is_used_no_more(tmp_path: Path) -> None:
    async with function("hang", tmp_path) as hanging:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(hanging.invoke({}), 1)
        assert len(hanging.figures.init_ms) == 2


async def test_a_wrong_name_in_the_environment_stops_the_function(tmp_path: Path) -> None:
    """As the template might have it."""
    environment = {"COMFYQ_BACKEND": "aws", "COMFYQ_QUEUE_ULR": "http://q"}
    async with function("functions.api.handler.handler", tmp_path, environment=environment) as api:
        with pytest.raises(FunctionFailed, match="COMFYQ_QUEUE_URL"):
            await api.invoke({})


def request_of(method: str, path: str, query: str = "", **headers: str) -> Request:
    names = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": names,
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
    }
    return Request(scope)


@pytest.mark.parametrize("name", ["generate", "generate-base64", "list"])
def test_http_events_have_the_shape_of_api_gateways_own(name: str) -> None:
    golden = json.loads((EVENTS / "apigw" / f"{name}.json").read_text())
    kind = "application/json" if name == "generate" else "image/png"
    method = golden["requestContext"]["http"]["method"]
    query = golden["rawQueryString"]
    request = request_of(
        method, golden["rawPath"], query, host="h", content_type=kind, user_agent="u"
    )
    body = b"" if method == "GET" else b"{}"
    made = event_of(request, body, api_id="a")
    assert shape(made | {"headers": {}}) == shape(golden | {"headers": {}})
    assert made["isBase64Encoded"] == (name == "generate-base64")
    assert made["headers"]["x-forwarded-proto"] == "http"


def shape(value: Any) -> Any:
    if not isinstance(value, dict):
        return type(value).__name__
    return {name: shape(part) for name, part in value.items() if name != "queryStringParameters"}


def test_answers_become_responses() -> None:
    reply = response_of(
        {"statusCode": 201, "headers": {"a": "b"}, "cookies": ["c=d"], "body": "aGk=",
         "isBase64Encoded": True}
    )  # fmt: skip
    assert (reply.status_code, bytes(reply.body), reply.headers["a"]) == (201, b"hi", "b")
    assert reply.headers["set-cookie"] == "c=d"
    assert response_of({"any": "thing"}).status_code == 200


def test_which_records_come_again() -> None:
    failures = {"batchItemFailures": [{"itemIdentifier": "a"}]}
    assert failed_of(failures, ["a", "b"]) == {"a"}
    assert failed_of({"batchItemFailures": []}, ["a", "b"]) == set()
    assert failed_of(None, ["a", "b"]) == set()
    assert failed_of({"batchItemFailures": [{"itemIdentifier": "?"}]}, ["a", "b"]) == {"a", "b"}
    assert failed_of({"batchItemFailures": [{}]}, ["a"]) == {"a"}


def test_records_have_the_shape_of_lambdas_own() -> None:
    [golden, _] = json.loads((EVENTS / "sqs/submissions.json").read_text())["Records"]
    made = record_of(
        {
            "MessageId": "m",
            "ReceiptHandle": "r",
            "Body": "{}",
            "MD5OfBody": "0",
            "Attributes": {"ApproximateReceiveCount": "1"},
            "MessageAttributes": {"key": {"DataType": "String", "StringValue": "v"}},
        },
        "arn:aws:sqs:us-east-1:0:q",
    )
    assert made.keys() == golden.keys()
    assert (
        made["messageAttributes"]["key"].keys()
        == golden["messageAttributes"]["idempotency_key"].keys()
    )


def test_schedules_by_rate() -> None:
    assert (period_of("rate(1 minute)"), period_of("rate(2 hours)")) == (60, 7_200)
    with pytest.raises(ValueError, match="cron"):
        period_of("cron(0 * * * ? *)")


def test_hosts_of_our_apis_lead_here_and_others_are_a_fault() -> None:
    url = "wss://a1.execute-api.us-east-1.amazonaws.com/prod"
    assert localized("URL", url, apis={"a1"}, front="127.0.0.1:8") == "ws://127.0.0.1:8/prod"
    assert localized("NAME", "t", apis={"a1"}, front="127.0.0.1:8") == "t"
    with pytest.raises(WrongDeployment, match="there is no API a1"):
        localized("URL", url, apis={"b2"}, front="127.0.0.1:8")


@pytest.mark.verify
@pytest.mark.timeout(180)
async def test_a_picture_through_the_whole_path(tmp_path: Path) -> None:
    """Intake, a worker and the API; the suite of `make aws-local` does the rest."""
    if not Tools().installed:
        pytest.skip("SAM's translator is not installed: run make infra-tools")
    async with running(Options(data_dir=tmp_path)) as here:
        job_id = await asyncio.to_thread(send, here.exports)
        url = f"{here.url}/generate/{job_id}"
        stranger = await asyncio.to_thread(urllib3.request, "GET", url, timeout=30)
        assert stranger.status == 401
        job = await asyncio.to_thread(ended, url, await new_key(here.exports))
        assert job["status"] == "completed", job
        assert job["urls"]["ws"] == f"{here.url.replace('http', 'ws')}/prod"
        called = {name for name, each in here.functions.items() if each.figures.init_ms}
        assert {"ApiFunction", "IntakeFunction", "ReaperFunction"} <= called
        assert not any(each.figures.failures for each in here.functions.values())


def send(exports: Mapping[str, str]) -> str:
    """A submission straight to its queue; the job's id."""
    body = json.dumps({"prompt": "a fox", "width": 64, "height": 64, "steps": 2})
    queue = exports["COMFYQ_SUBMISSIONS_QUEUE_URL"]
    sqs = Aws(exports["AWS_ENDPOINT_URL"]).sqs
    return sqs.send_message(QueueUrl=queue, MessageBody=body)["MessageId"]


def ended(url: str, key: str) -> Mapping[str, Any]:
    """The job once it has ended; it is not there before it is taken in."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        answer = urllib3.request("GET", url, headers={"X-API-Key": key}, timeout=30)
        job: Mapping[str, Any] = answer.json()
        if answer.status == 200 and job["status"] in ("completed", "failed"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
