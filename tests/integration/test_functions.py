"""Every deployable through its real entry point, with golden events, over the embedded backend."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comfyq.bootstrap.access import opened_keys
from comfyq.config import Settings, read_settings
from comfyq.domain.caller import Scope, TenantId

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"

DRIVER = """
import importlib, json, sys
handler = importlib.import_module(sys.argv[1]).handler
for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), None)), flush=True)
"""

# What no cold start needs: libraries of workers and of AWS, and routes beside /generate.
ABSENT = (
    *("boto3", "botocore", "aiohttp", "PIL", "minio", "pydantic.v1", "jwt", "cryptography"),
    *(
        "comfyq.edges.api.routes.assets",
        "comfyq.edges.api.routes.batches",
        "comfyq.edges.api.routes.events",
        "comfyq.edges.api.routes.workflows",
        "comfyq.edges.comfy_v2.routes.jobs",
    ),
)

Answer = dict[str, Any]
Invoke = Callable[[str, Answer], Answer]


@pytest.fixture
def environment() -> dict[str, str]:
    return {"COMFYQ_BACKEND": "embedded", "COMFYQ_AUTH": "none"}


@pytest.fixture
def invoke(tmp_path: Path, environment: dict[str, str]) -> Invoke:
    """Calls an entry point in a fresh process, as a cold start does."""

    def call(module: str, event: Answer) -> Answer:
        done = subprocess.run(
            [sys.executable, "-W", "error::DeprecationWarning", "-c", DRIVER, module],
            check=False,
            input=json.dumps(event),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment | {"COMFYQ_DATA_DIR": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        answer: Answer = json.loads(done.stdout.splitlines()[-1])  # metrics are printed before
        return answer

    return call


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / name).read_text())
    return loaded


def test_a_job_is_submitted_shown_and_canceled_by_the_api_function(invoke: Invoke) -> None:
    accepted = invoke("functions.api.handler", event("apigw/generate.json"))
    assert accepted["statusCode"] == 202
    job_id = json.loads(accepted["body"])["id"]
    assert accepted["headers"]["location"].endswith(f"/generate/{job_id}")

    shown = invoke("functions.api.handler", _of_job("apigw/show.json", job_id))
    assert json.loads(shown["body"])["status"] == "queued"
    waiting = _of_job("apigw/show.json", job_id)
    waiting["headers"]["prefer"] = "wait=1"
    waited = invoke("functions.api.handler", waiting)
    assert (waited["statusCode"], waited["headers"]["preference-applied"]) == (200, "wait=1")

    canceled = invoke("functions.api.handler", _of_job("apigw/cancel.json", job_id))
    assert json.loads(canceled["body"])["status"] == "canceled"


def test_a_problem_is_text_and_not_base64(invoke: Invoke) -> None:
    answer = invoke("functions.api.handler", event("apigw/generate-invalid.json"))
    assert answer["statusCode"] == 422
    assert answer["isBase64Encoded"] is False
    assert json.loads(answer["body"])["errors"]


def test_the_websocket_function_connects_and_forgets(invoke: Invoke) -> None:
    for name in ("connect", "disconnect"):
        golden = event(f"websocket/{name}.json") | {"queryStringParameters": None}
        assert invoke("functions.websocket.handler", golden)["statusCode"] == 200


def test_a_handshake_for_an_unknown_job_is_refused(invoke: Invoke) -> None:
    connect = event("websocket/connect.json")
    connect["queryStringParameters"] = {"job_id": "3f0f6a9e-0000-4000-8000-000000000000"}
    assert invoke("functions.websocket.handler", connect)["statusCode"] == 404


def test_the_reaper_function_looks_at_an_empty_table(invoke: Invoke) -> None:
    assert invoke("functions.reaper.handler", {"source": "aws.scheduler"}) == {}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/workflows", 200),
        ("/workers", 200),
        ("/openapi.json", 200),
        ("/assets/none", 404),
        ("/generate/batch/none", 404),
        ("/generate/none/events", 404),
        ("/nowhere", 404),
        ("/api/v2/jobs", 200),
        ("/api/v2/jobs/none/events", 404),
        ("/api/v2/nowhere", 404),
    ],
)
def test_the_api_function_serves_what_it_imports_on_first_use(
    invoke: Invoke, path: str, status: int
) -> None:
    golden = event("apigw/show.json")
    golden["rawPath"] = golden["requestContext"]["http"]["path"] = path
    answer = invoke("functions.api.handler", golden)
    assert answer["statusCode"] == status
    if path == "/openapi.json":
        assert {"/generate", "/generate/batch", "/assets"} <= json.loads(answer["body"])[
            "paths"
        ].keys()


def test_importing_the_api_function_imports_what_every_request_needs(tmp_path: Path) -> None:
    """boto3 and its service models cost more than everything else of a cold start together."""
    program = (
        "import gc, sys, functions.api.handler; "
        f"print([m for m in {ABSENT} if sys.modules.get(m)], gc.isenabled())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"COMFYQ_DATA_DIR": str(tmp_path), "PATH": ""},
    )
    assert done.stdout.strip() == "[] True"


def test_without_a_setting_functions_ask_for_keys(
    invoke: Invoke, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["COMFYQ_AUTH"]
    settings = read_settings({**environment, "COMFYQ_DATA_DIR": str(tmp_path)})
    texts = {tenant: asyncio.run(_new_key(settings, tenant)) for tenant in ("default", "other")}
    keys = {tenant: {"x-api-key": text} for tenant, text in texts.items()}

    submitting = event("apigw/generate.json")
    assert invoke("functions.api.handler", submitting)["statusCode"] == 401
    submitting["headers"] |= keys["default"]
    job_id = json.loads(invoke("functions.api.handler", submitting)["body"])["id"]
    for tenant, status in (("default", 200), ("other", 404)):
        showing = _of_job("apigw/show.json", job_id)
        showing["headers"] |= keys[tenant]
        assert invoke("functions.api.handler", showing)["statusCode"] == status

        connect = event("websocket/connect.json") | {"queryStringParameters": {"job_id": job_id}}
        connect["headers"] |= keys[tenant]
        assert invoke("functions.websocket.handler", connect)["statusCode"] == status
    anyone = event("websocket/connect.json") | {"queryStringParameters": None}
    assert invoke("functions.websocket.handler", anyone)["statusCode"] == 401


async def _new_key(settings: Settings, tenant: str) -> str:
    async with opened_keys(settings) as keys:
        made = await keys.create(TenantId(tenant), "a key", frozenset(Scope), lives=None)
        return made[1]


def _of_job(name: str, job_id: str) -> dict[str, Any]:
    """A golden event, for a job of ours."""
    golden = event(name)
    path = f"/generate/{job_id}"
    golden["rawPath"] = golden["requestContext"]["http"]["path"] = path
    return golden
