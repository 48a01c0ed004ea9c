"""API Gateway's own events (payload format 2.0) through Mangum, as on Lambda."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from tests.api_lab import ApiLab, output
from tests.paths import DATA

EVENTS = DATA / "apigw"
DOMAIN = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
CONTEXT: Any = SimpleNamespace(aws_request_id="r1", function_name="api")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Lambda's main thread has one; Mangum runs the application in it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


class Lambda:
    def __init__(self, lab: ApiLab) -> None:
        text = [*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"]
        self._handler = Mangum(lab.app, lifespan="off", text_mime_types=text)

    def __call__(self, name: str, **changes: Any) -> dict[str, Any]:
        event = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
        answer: dict[str, Any] = self._handler(event | changes, CONTEXT)
        return answer

    def at(self, name: str, path: str, query: str = "") -> dict[str, Any]:
        """The event ``name``, sent to another path."""
        event = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        answer: dict[str, Any] = self._handler(event | {"rawQueryString": query}, CONTEXT)
        return answer


@pytest.fixture
def gateway(lab: ApiLab, loop: asyncio.AbstractEventLoop) -> Lambda:
    return Lambda(lab)


def test_a_submission_links_to_the_domain_of_the_api(gateway: Lambda) -> None:
    answer = gateway("generate")
    body = json.loads(answer["body"])
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (202, False)
    assert answer["headers"]["location"] == f"{DOMAIN}/generate/{body['id']}"
    assert body["urls"]["ws"] == f"wss://{DOMAIN[8:]}/ws/progress/{body['id']}"


def test_an_encoded_slash_parts_no_path_where_the_gateway_leaves_it(gateway: Lambda) -> None:
    answer = gateway.at("show", "/generate/batch%2F0f3a52f6-3e8a-4d3f-9c43-3a3f3f0f7a11")
    assert answer["statusCode"] == 404
    assert "%2F" in json.loads(answer["body"])["detail"]


def test_api_gateways_own_retry_is_the_same_request(gateway: Lambda) -> None:
    first, second = gateway("generate"), gateway("generate")
    assert first["body"] == second["body"]
    assert second["headers"]["idempotent-replayed"] == "true"


def test_a_body_may_come_in_base64(
    gateway: Lambda, lab: ApiLab, loop: asyncio.AbstractEventLoop
) -> None:
    answer = gateway("generate-base64")
    assert answer["statusCode"] == 202
    spec = loop.run_until_complete(lab.records.spec(json.loads(answer["body"])["id"]))
    assert spec.parameters["prompt"] == "a fox in the snow, caf\u00e9"


def test_a_problem_is_text(gateway: Lambda) -> None:
    answer = gateway("generate-invalid")
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (422, False)
    assert answer["headers"]["content-type"] == "application/problem+json"
    errors = json.loads(answer["body"])["errors"]
    assert {error["field"] for error in errors} == {"prompt", "width", "steps"}


def test_a_job_from_submission_to_picture(
    gateway: Lambda, lab: ApiLab, loop: asyncio.AbstractEventLoop
) -> None:
    path = f"/generate/{json.loads(gateway('generate')['body'])['id']}"
    picture = output(size=3)
    lab.store(picture, b"\x89PN")
    loop.run_until_complete(lab.succeed(path.removeprefix("/generate/"), picture))
    shown = json.loads(gateway.at("show", path)["body"])
    assert shown["status"] == "completed"
    link, query = shown["image_url"].removeprefix(DOMAIN).split("?")
    file = gateway.at("show", link, query)
    assert (file["statusCode"], file["isBase64Encoded"], file["body"]) == (200, True, "iVBO")
    assert gateway.at("cancel", path)["statusCode"] == 200


def test_a_waiting_job_is_canceled(gateway: Lambda) -> None:
    path = f"/generate/{json.loads(gateway('generate')['body'])['id']}"
    answer = gateway.at("cancel", path)
    assert (answer["statusCode"], json.loads(answer["body"])["status"]) == (202, "canceled")


def test_a_page_of_jobs(gateway: Lambda) -> None:
    for _ in range(3):
        gateway("generate-base64")
    page = json.loads(gateway("list")["body"])
    assert len(page["jobs"]) == 2
    assert page["next_cursor"]


@pytest.mark.parametrize("name", ["show", "cancel", "nowhere"])
def test_a_job_that_is_not_there(gateway: Lambda, name: str) -> None:
    answer = gateway(name)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (404, "job-not-found")


def test_health(gateway: Lambda) -> None:
    answer = gateway("health")
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["status"] == "degraded"


def test_a_mistake_of_ours_is_a_problem_there_too(gateway: Lambda, lab: ApiLab) -> None:
    lab.table.faults_before.append(ZeroDivisionError("secret detail"))
    answer = gateway("generate-base64")
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (500, "internal-error")
    assert "secret" not in answer["body"]
