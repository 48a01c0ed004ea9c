"""Bodies that would take long to read are refused before they are."""

import json
from hashlib import sha256
from typing import Any

import pytest
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from comfyq.domain.submission.batch import MAX_BYTES
from comfyq.edges.api.bodies import MAX_HEAD_BYTES, MAX_VALUES, SMALL_BODY_BYTES, RequestLimit
from comfyq.edges.api.links import FILES, OFFERS
from comfyq.services.jobs.idempotency import digest_of_all
from tests.api_lab import ApiLab
from tests.asgi_client import AsgiClient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


def refusal(lab: ApiLab, path: str, body: Any) -> tuple[int, str]:
    answer = lab.client.post(path, json=body)
    return answer.status_code, answer.json()["detail"]


async def test_json_of_too_many_values(lab: ApiLab) -> None:
    status, detail = refusal(lab, "/generate", {"loras": [1] * (MAX_VALUES + 1)})
    assert (status, detail.startswith(f"the body has over {MAX_VALUES} values")) == (413, True)


async def test_a_long_query(lab: ApiLab) -> None:
    answer = lab.client.get("/generate", params={"cursor": "a" * MAX_HEAD_BYTES})
    assert (answer.status_code, answer.json()["code"]) == (431, "head-too-large")


async def test_a_file_has_any_bytes(lab: ApiLab) -> None:
    answer = lab.client.post("/assets", content=b"," * (MAX_VALUES + 1))
    assert answer.status_code == 201


@pytest.mark.parametrize("max_bytes", [MAX_VALUES + 1, 8_000_000])
async def test_what_has_values_follows_from_the_path(max_bytes: int) -> None:
    others = {FILES: max_bytes, OFFERS: SMALL_BODY_BYTES}
    limit = ExceptionMiddleware(RequestLimit(read_all, others=others, files=FILES))
    client = AsgiClient(limit, base_url="http://lab")
    commas = b"," * (MAX_VALUES + 1)
    assert client.post("/assets", content=commas).status_code == 200
    assert client.put("/assets/uploads/1/content", content=commas).status_code == 200
    assert client.post("/generate", content=commas).status_code == 413


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(str(len(await Request(scope, receive).body())))(scope, receive, send)


async def test_a_request_of_too_many_fields(lab: ApiLab) -> None:
    body = {f"field_{n}": 1 for n in range(201)}
    for path in ("/generate", "/workflows/sd15/generate"):
        assert refusal(lab, path, body)[0] == 422


async def test_a_small_request_has_a_small_body(lab: ApiLab) -> None:
    assert refusal(lab, "/assets/uploads", {"name": "a" * SMALL_BODY_BYTES})[0] == 413


async def test_a_product_of_a_large_graph(lab: ApiLab) -> None:
    graph = {"1": {"class_type": "SaveImage", "inputs": {"junk": "z" * (MAX_BYTES // 100)}}}
    body = {"request": {"graph": graph, "wait": True}, "product": {"metadata": [True] * 100}}
    status, detail = refusal(lab, "/generate/batch", body)
    assert (status, f"the most is {MAX_BYTES}" in detail) == (422, True)


async def test_a_product_of_values_is_measured_as_its_requests(lab: ApiLab) -> None:
    product = {"prompt": ["z" * (MAX_BYTES // 50)] * 2, "seed": list(range(50))}
    status, detail = refusal(lab, "/generate/batch", {"product": product})
    assert (status, f"the most is {MAX_BYTES}" in detail) == (422, True)


async def test_an_answer_lists_so_many_fields(lab: ApiLab) -> None:
    body = {"product": {f"n{n}": 1 for n in range(100)} | {"x": []}, "request": 1}
    answer = lab.client.post("/generate/batch", json=body)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) <= 100


async def test_the_digest_of_a_batch_is_that_of_its_json() -> None:
    requests = [{"b": 1, "a": [1.5, "é"]}, 3]
    canonical = json.dumps({"requests": requests}, sort_keys=True, separators=(",", ":"))
    assert await digest_of_all(requests) == sha256(canonical.encode()).hexdigest()
