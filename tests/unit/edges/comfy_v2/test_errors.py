"""Every error below ``/api/v2`` is told in the envelope of its contract."""

from collections.abc import Mapping
from typing import Any

import pytest

from comfyq.domain.caller import Caller
from comfyq.domain.errors import TableUnavailable
from comfyq.edges.api.bodies import MAX_BODY_BYTES, MAX_HEAD_BYTES
from comfyq.ports.access.authenticator import Credentials
from tests.access_lab import AccessLab
from tests.api_lab import ApiLab
from tests.comfy_lab import ASSETS, BODY, JOBS, told_error
from tests.fake_authenticator import FakeAuthenticator, with_scopes

ID = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"
JSON = {"Content-Type": "application/json"}

REQUESTS: Mapping[str, tuple[str, str, dict[str, Any], tuple[int, str]]] = {
    "no route": ("GET", "/api/v2/nowhere", {}, (404, "not_found")),
    "the root": ("GET", "/api/v2", {}, (404, "not_found")),
    "no job": ("GET", f"{JOBS}/{ID}", {}, (404, "not_found")),
    "no id": ("GET", f"{JOBS}/none", {}, (404, "not_found")),
    "no asset": ("GET", f"{ASSETS}/{ID}", {}, (404, "not_found")),
    "no id of an asset": ("GET", f"{ASSETS}/none/content", {}, (404, "not_found")),
    "method": ("PATCH", JOBS, {}, (405, "method_not_allowed")),
    "no JSON": ("POST", JOBS, {"content": b"{", "headers": JSON}, (422, "invalid_json")),
    "no body": ("POST", JOBS, {"headers": JSON}, (422, "invalid_request")),
    "other type": ("POST", JOBS, {"content": b"{}"}, (422, "unsupported_media_type")),
    "no workflow": ("POST", JOBS, {"json": {"workflow": []}}, (422, "invalid_request")),
    "key": (
        "POST",
        JOBS,
        {"json": BODY, "headers": {"Idempotency-Key": "x" * 300}},
        (422, "invalid_request"),
    ),
    "large body": (
        "POST",
        JOBS,
        {"content": b" " * (MAX_BODY_BYTES + 1), "headers": JSON},
        (413, "too_large"),
    ),
    "large head": ("GET", f"{JOBS}?a={'a' * MAX_HEAD_BYTES}", {}, (431, "head_too_large")),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_refusals(name: str) -> None:
    method, path, request, expected = REQUESTS[name]
    answer = ApiLab().client.request(method, path, **request)
    assert told_error(answer) == expected
    assert answer.headers["x-comfy-request-id"] == answer.headers["x-request-id"]


def test_who_is_not_known_or_may_not(tmp_path: object) -> None:
    lab = AccessLab()
    nobody = lab.ask("GET", JOBS, None)
    assert told_error(nobody) == (401, "unauthorized")
    assert nobody.headers["www-authenticate"].startswith("Bearer ")
    poor = ApiLab(authenticator=with_scopes()).client.get(JOBS)
    assert told_error(poor) == (403, "forbidden")


def test_a_part_that_is_away_is_an_upstream_error() -> None:
    class Away(FakeAuthenticator):
        async def of_client(self, credentials: Credentials) -> Caller:
            raise TableUnavailable("the table does not answer")

    answer = ApiLab(authenticator=Away(with_scopes().caller)).client.get(JOBS)
    assert told_error(answer) == (503, "upstream_error")
    assert answer.headers["retry-after"].isdigit()


def test_so_is_a_defect() -> None:
    class Broken(FakeAuthenticator):
        async def of_client(self, credentials: Credentials) -> Caller:
            raise RuntimeError("s3cret")

    answer = ApiLab(authenticator=Broken(with_scopes().caller)).client.get(JOBS)
    assert told_error(answer) == (500, "upstream_error")
    assert "s3cret" not in answer.text


def test_other_paths_keep_their_problems() -> None:
    answer = ApiLab().client.get("/api/v20")
    assert answer.headers["content-type"] == "application/problem+json"
