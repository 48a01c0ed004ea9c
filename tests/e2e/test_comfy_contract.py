"""Every answer of a full run of the official SDK, held against the description that it carries."""

import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
from comfy_low.errors import ApiError
from comfy_sdk import Comfy, ComfyError, Workflow

from tests.comfy_contract import Contract, fetched
from tests.e2e.test_comfy_sdk import LONG, WAIT_S, Server, graph, picture, running_with
from tests.e2e.test_comfy_sdk import server as server

pytestmark = pytest.mark.verify

EXPECTED = {
    *(("postJobs", status) for status in (201, 422)),
    *(("getJob", status) for status in (200, 404)),
    *(("getJobWorkflow", status) for status in (200, 404)),
    *(("cancelJob", status) for status in (200, 404)),
    ("getJobEvents", 404),
    *(("postAssets", status) for status in (200, 201, 409, 422)),
    *(("assetFromHash", status) for status in (200, 404)),
    *(("headAssetByHash", status) for status in (200, 404)),
    *(("getAsset", status) for status in (200, 404)),
    ("getAssetContent", 404),
    *(("deleteAsset", status) for status in (204, 404, 409)),
}
WITH_KEYS = {("postJobs", 401), ("getJob", 401), ("getAsset", 401), ("postAssets", 401)}
SERVED_HERE = {*(("getAssetContent", status) for status in (200, 206, 416))}
SERVED_ELSEWHERE = {("getAssetContent", 302)}
STREAMED = {("getJobEvents", 200)}


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return fetched(tmp_path_factory.mktemp("spec"))


@pytest.fixture
def client(server: Server, contract: Contract, monkeypatch: pytest.MonkeyPatch) -> Iterator[Comfy]:
    """A client whose answers are all checked."""
    monkeypatch.setenv("COMFY_BASE_URL", server.url)
    contract.seen.clear()
    with Comfy(api_key=server.key) as client:
        watched(client, contract)
        yield client


def watched(client: Comfy, contract: Contract) -> None:
    def check(answer: httpx.Response) -> None:
        if "event-stream" not in answer.headers.get("content-type", ""):
            answer.read()
        contract.check(answer)

    client._low._client.event_hooks["response"].append(check)


def test_a_full_run(client: Comfy, server: Server, contract: Contract) -> None:
    run_jobs(client, server, contract)
    run_assets(client)
    run_into_errors(client, server)
    expected = EXPECTED | (SERVED_ELSEWHERE if server.links else SERVED_HERE)
    if server.streams:
        expected |= STREAMED
    if server.key is not None:
        run_as_stranger(server, contract)
        expected |= WITH_KEYS
    assert contract.seen <= set(contract.documented)
    assert expected - contract.seen == set(), "answers that the run has not met"


def run_jobs(client: Comfy, server: Server, contract: Contract) -> None:
    job = client.submit(graph(steps=30), metadata={"a": "b"})
    if server.streams:
        kinds = set()
        for raw in client._low.get_job_events(job.id):
            contract.check_event(raw.event, raw.data)
            kinds.add(raw.event)
        assert kinds - {"preview"} == {"status", "progress", "output"}
    else:
        refused(lambda: list(client._low.get_job_events(job.id)), 501)
    job.wait(WAIT_S)
    job.get_workflow()
    stopped = client.submit(graph(steps=LONG))
    deadline = time.monotonic() + WAIT_S
    while stopped.refresh().status == "queued":
        assert time.monotonic() < deadline
    stopped.cancel().wait(WAIT_S)
    stopped.cancel()
    output = job.outputs[0]
    output.to_bytes()
    output.to_bytes(range=(0, 3))
    client._low.get_asset(output.id)


def run_assets(client: Comfy) -> None:
    content = picture()
    asset = client.assets.from_bytes(content, filename="a.png")
    job = client.submit(running_with(asset))
    client.assets.from_bytes(content, filename="b.png").commit()
    low = client._low
    assert low.post_assets(io.BytesIO(content), "image/png", "a.png").created_new is False
    low.get_asset(asset.id or "")
    refused(lambda: asset.delete(), 409)
    job.cancel().wait(WAIT_S)
    asset.delete()


def run_into_errors(client: Comfy, server: Server) -> None:
    low, nobody = client._low, str(uuid4())
    for missing in (
        lambda: low.get_job(nobody),
        lambda: low.get_job_workflow(nobody),
        lambda: low.cancel_job(nobody),
        lambda: list(low.get_job_events(nobody)),
        lambda: low.get_asset(nobody),
        lambda: low.delete_asset(nobody),
        lambda: low.asset_from_hash(f"blake3:{'0' * 64}"),
        lambda: low.get_asset_content(nobody).__enter__(),
    ):
        refused(missing, 404)
    assert not low.head_asset_by_hash(f"blake3:{'0' * 64}")
    asset = client.assets.from_bytes(picture(), filename="a.png")
    asset.commit()
    behind = (10**9, 10**9 + 1)
    content = low.get_asset_content(asset.id or "", range=behind)
    if not server.links:  # else the storage answers, which is none of the contract's servers
        refused(content.__enter__, 416)
    short = {"expires_in": "5", "file_path": "a.png", "content_type": "image/png"}
    files = {"file": ("a.png", picture(), "image/png")}
    url = low._p.url("/assets")
    sent = low._client.post(url, files=files, data=short, headers=low._p.headers(url))
    assert sent.status_code == 422
    wrong = f"blake3:{'0' * 64}"
    refused(lambda: low.post_assets(io.BytesIO(b"x"), "a/b", "c", expected_hash=wrong), 409)
    key = str(uuid4())
    broken = {"9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}}
    graphs: list[dict[str, Any]] = [{}, {"nodes": []}, broken]
    for each in graphs:
        refused(partial(client.submit, Workflow(each), idempotency_key=key), 422)
    client.submit(graph(), idempotency_key=key)
    refused(lambda: client.submit(graph(), idempotency_key=key), 422)
    refused(lambda: client.submit(graph(), metadata={"a b": "c"}), 422)
    dangling = {"__type": "core/ASSET", "info": {"id": nobody}}
    workflow = Workflow({"4": {"class_type": "LoadImage", "inputs": {"image": dangling}}})
    refused(lambda: client.submit(workflow), 422)


def run_as_stranger(server: Server, contract: Contract) -> None:
    with Comfy(api_key=(server.key or "")[:-1]) as stranger:
        watched(stranger, contract)
        low = stranger._low
        refused(lambda: low.post_jobs({}), 401)
        refused(lambda: low.get_job(str(uuid4())), 401)
        refused(lambda: low.get_asset(str(uuid4())), 401)
        refused(lambda: low.post_assets(io.BytesIO(b"x"), "a/b", "c"), 401)


def refused(ask: Callable[[], object], status: int) -> None:
    """Raise AssertionError unless a request is refused with this status."""
    with pytest.raises(Exception) as error:  # noqa: PT011 - its type is looked at
        ask()
    assert isinstance(error.value, ApiError | ComfyError), error.value
    assert error.value.http_status == status, error.value
