"""Whatever is sent, the answer is a problem document with a stable code, and never a 500."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyq.domain import errors
from comfyq.domain.errors import DomainError, TableUnavailable
from comfyq.edges.api.bodies import MAX_BODY_BYTES
from comfyq.edges.api.problems import STATUS, status_of
from tests.api_lab import ApiLab
from tests.effort import share
from tests.log_lines import logged

pytestmark = pytest.mark.anyio

JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


def post(lab: ApiLab, body: bytes, **headers: str) -> Any:
    return lab.client.post("/generate", content=body, headers=JSON_TYPE | headers)


def problem(answer: Any) -> dict[str, Any]:
    """The answer's problem, which is a whole one."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.content)
    assert body["status"] == answer.status_code
    assert body["type"] == f"/problems/{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert "errors" in body
    return body


async def test_every_bad_field_is_named(lab: ApiLab) -> None:
    bad = {"width": 17, "steps": "8", "sampler": "eulr", "loras": ["a", ""], "widht": 64}
    answer = post(lab, json.dumps(bad).encode())
    document = problem(answer)
    assert (answer.status_code, document["code"]) == (422, "invalid-parameters")
    assert document["instance"] == "/generate"
    assert {error["field"] for error in document["errors"]} == {
        "prompt",
        "width",
        "steps",
        "sampler",
        "loras.1",
        "widht",
    }


async def test_an_unknown_workflow_is_the_requests_fault(lab: ApiLab) -> None:
    answer = post(lab, b'{"prompt": "x", "workflow": "flux-dve"}')
    document = problem(answer)
    assert (answer.status_code, document["code"]) == (422, "workflow-not-found")
    assert [error["field"] for error in document["errors"]] == ["workflow"]
    assert "flux-dev" in document["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid-request"),
        (b"{", 400, "invalid-json"),
        (b"\xff\xff{}", 400, "bad-request"),
        (b'"prompt"', 422, "invalid-request"),
        (b"[]", 422, "invalid-request"),
        (b"null", 422, "invalid-request"),
        (b"3", 422, "invalid-request"),
        (b"{}", 422, "invalid-parameters"),
        (b'{"prompt": null}', 422, "invalid-parameters"),
        (b'{"prompt": "a\\u0000b"}', 422, "invalid-parameters"),
        (b'{"prompt": "\\ud800"}', 422, "invalid-parameters"),
        (b'{"prompt": "x", "\\ud800": 1}', 422, "invalid-request"),
        (b'{"prompt": "x", "\\u0000": 1}', 422, "invalid-parameters"),
        (b'{"prompt": "x", "sampler": "\\udfff"}', 422, "invalid-parameters"),
        (b'{"prompt": "x", "workflow": "\\udfff"}', 422, "invalid-request"),
        (b'{"prompt": "x", "workflow": 3}', 422, "invalid-request"),
        (b'{"prompt": "x", "workflow": null}', 422, "invalid-request"),
        (b'{"prompt": "x", "seed": NaN}', 422, "invalid-parameters"),
        (b'{"prompt": "x", "cfg": Infinity}', 422, "invalid-parameters"),
        (b'{"prompt": "x", "cfg": 1e999}', 422, "invalid-parameters"),
        (b'{"prompt": "x", "width": 1' + b"0" * 400 + b"}", 422, "invalid-parameters"),
        (b'{"prompt": "x", "width": 1' + b"0" * 5_000 + b"}", 400, "invalid-json"),
        (b'{"prompt": {"a": [{"b": {}}]}}', 422, "invalid-parameters"),
        (b'{"prompt": "x", "loras": {"a": 1}}', 422, "invalid-parameters"),
        (b'{"prompt": ' + b"[" * 500 + b"]" * 500 + b"}", 422, "invalid-request"),
        (b'{"prompt": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}", 422, "invalid-request"),
        (b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "bad-request"),
        (b"[" * 200_000, 413, "too-large"),
        (b'{"model_config": 1, "values": 2, "prompt": "x"}', 422, "invalid-parameters"),
    ],
)
async def test_a_bad_body(lab: ApiLab, body: bytes, status: int, code: str) -> None:
    answer = post(lab, body)
    assert (answer.status_code, problem(answer)["code"]) == (status, code)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda below: st.lists(below) | st.dictionaries(st.text(st.characters()), below),
    max_leaves=20,
)
FIELD = st.sampled_from(["prompt", "workflow", "width", "seed", "loras", "cfg", "sampler"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=share(0.3))
@given(JSON | st.dictionaries(FIELD | st.text(st.characters()), JSON))
def test_any_json_is_accepted_or_explained(lab: ApiLab, body: Any) -> None:
    answer = post(lab, json.dumps(body).encode())
    if answer.status_code != 202:
        assert 400 <= answer.status_code < 500
        problem(answer)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=share(0.3))
@given(st.binary(max_size=200))
def test_any_bytes_are_explained(lab: ApiLab, body: bytes) -> None:
    answer = post(lab, body)
    assert 400 <= answer.status_code < 500
    problem(answer)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "x", "", "\xff"]
)
async def test_a_body_that_is_not_called_json(lab: ApiLab, content_type: str) -> None:
    headers = [(b"Content-Type", content_type.encode("latin-1"))]
    answer = lab.client.post("/generate", content=b'{"prompt": "x"}', headers=headers)
    assert (answer.status_code, problem(answer)["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/a+json"])
async def test_json_under_its_other_names(lab: ApiLab, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = lab.client.post("/generate", content=b'{"prompt": "x"}', headers=headers)
    assert answer.status_code == 202


async def test_a_body_that_says_that_it_is_too_large(lab: ApiLab) -> None:
    answer = post(lab, b" " * (MAX_BODY_BYTES + 1))
    assert (answer.status_code, problem(answer)["code"]) == (413, "too-large")


async def test_a_body_that_turns_out_too_large(lab: ApiLab) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1_000_000

    answer = lab.client.post("/generate", content=chunks(), headers=JSON_TYPE)
    assert (answer.status_code, problem(answer)["code"]) == (413, "too-large")


async def test_a_body_just_below_the_limit_is_read(lab: ApiLab) -> None:
    body = b'{"prompt": "x"}'.ljust(MAX_BODY_BYTES)
    assert post(lab, body).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("PUT", "/generate", 405, "method-not-allowed"),
        ("POST", "/health", 405, "method-not-allowed"),
        ("GET", "/generate/%00/outputs/0", 404, "job-not-found"),
        ("GET", "/generate?limit=%FF", 422, "invalid-request"),
    ],
)
async def test_errors_of_the_router(
    lab: ApiLab, method: str, path: str, status: int, code: str
) -> None:
    answer = lab.client.request(method, path)
    assert (answer.status_code, problem(answer)["code"]) == (status, code)


async def test_a_path_that_nothing_is_at_says_where_paths_are(lab: ApiLab) -> None:
    assert "/docs" in problem(lab.client.get("/nowhere"))["detail"]
    assert "/docs" not in problem(lab.client.get("/generate/none"))["detail"]


async def test_a_method_that_is_not_allowed_says_which_are(lab: ApiLab) -> None:
    assert "GET" in lab.client.post("/health").headers["allow"]


@pytest.mark.parametrize("host", ["[bad", "a b", "x:99999999", "\xff", "", "a/b?c#d", "@"])
async def test_a_strange_host_is_survived(lab: ApiLab, host: str) -> None:
    headers = [(b"Content-Type", b"application/json"), (b"Host", host.encode("latin-1"))]
    answer = lab.client.post("/generate", content=b'{"prompt": "x"}', headers=headers)
    assert answer.status_code == 202


async def test_a_tenant_that_asks_too_often_is_told_when_to_come_back() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=2)
    lab.clock.advance(20)
    lab.submit()
    lab.submit()
    answer = post(lab, b'{"prompt": "x"}')
    assert (answer.status_code, problem(answer)["code"]) == (429, "rate-limited")
    assert answer.headers["retry-after"] == "30"
    assert "COMFYQ_REQUESTS_PER_MINUTE" in problem(answer)["detail"]
    lab.clock.advance(30)
    lab.submit()


async def test_a_table_that_does_not_answer_is_worth_another_try() -> None:
    lab = ApiLab()
    lab.table.faults_before.append(TableUnavailable("no route to it"))
    answer = post(lab, b'{"prompt": "x"}')
    assert (answer.status_code, problem(answer)["code"]) == (503, "table-unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_our_own_mistakes_are_logged_and_not_told() -> None:
    lab = ApiLab()
    lab.table.faults_before.append(ZeroDivisionError("secret detail"))
    with logged() as lines:
        answer = post(lab, b'{"prompt": "x"}')
    assert (answer.status_code, problem(answer)["code"]) == (500, "internal-error")
    assert "secret" not in answer.text
    [line] = [line for line in lines if line["event"] == "request_failed"]
    assert (line["method"], line["path"]) == ("POST", "/generate")
    assert repr(line["exc_info"]) == "ZeroDivisionError('secret detail')"


def every(error: type[DomainError]) -> list[type[DomainError]]:
    return [error, *(below for child in error.__subclasses__() for below in every(child))]


async def test_every_domain_error_has_a_status_and_every_public_one_a_code() -> None:
    for error in every(DomainError)[1:]:
        assert 400 <= status_of(error) < 600
        assert status_of(error) != 500
        assert error in STATUS or error.code
    assert errors.DomainError not in STATUS, "a new branch of the tree needs a status of its own"
