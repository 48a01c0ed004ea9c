"""The Comfy API v2 by its official Python SDK, unchanged but for COMFY_BASE_URL."""

import asyncio
import io
import json
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from comfy_low.errors import ApiError
from comfy_sdk import (
    AsyncComfy,
    Comfy,
    ComfyError,
    IdempotencyKeyReuse,
    InvalidWorkflow,
    JobFailed,
    MissingAsset,
    NotFound,
    Unauthorized,
    Workflow,
)
from comfy_sdk.events import OutputReady, Preview, Progress, StatusChange
from PIL import Image

from comfyq.bootstrap.access import opened_keys
from comfyq.config import Settings, read_settings
from comfyq.domain.caller import DEFAULT_TENANT, Scope
from tests.fixtures.emulator import ENVIRONMENT
from tests.lambda_front import lambda_front
from tests.processes import ROOT, Processes, clean_env

SCOPES = frozenset({Scope.SUBMIT, Scope.GRAPH, Scope.READ, Scope.CANCEL})
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
WAIT_S = 60
LONG = 3_000  # steps, which take longer than any test
COMFYUI = os.environ.get("COMFYQ_TEST_COMFYUI_URL", "")  # noqa: TID251 - a setting of the tests
SLOW = ("emulator", "lambda on the emulator")  # `make verify` has them
SERVERS = (
    "keys",
    "lambda",
    *(pytest.param(each, marks=pytest.mark.verify) for each in SLOW),
)


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    key: str | None = None
    streams: bool = True  # whether answers can be held open
    links: bool = False  # whether the storage has URLs


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sdk")
    is_emulated = "emulator" in request.param
    if is_emulated and not ENVIRONMENT.exists():
        pytest.skip("the emulator is not installed: run make emulator")
    with ExitStack() as stack:
        processes = stack.enter_context(closing(Processes(folder)))
        if request.param == "keys":
            settings = read_settings({"COMFYQ_DATA_DIR": str(folder / "data")})
            key = asyncio.run(_new_key(settings))
            up = processes.up(data_dir=settings.data_dir, options=("--auth", "keys"))
            yield Server(up.url, key)
            return
        up = processes.up(backend="emulator" if is_emulated else "embedded")
        if "lambda" not in request.param:
            yield Server(up.url, links=is_emulated)
            return
        # Where the storage has URLs, clients are led away from the server that knows their key.
        known = asyncio.run(_new_key(read_settings(up.exports))) if is_emulated else None
        auth = {"COMFYQ_AUTH": "none" if known is None else "keys"}
        front = stack.enter_context(lambda_front(clean_env(folder, {**up.exports, **auth})))
        yield Server(front.url, known, streams=False, links=is_emulated)


async def _new_key(settings: Settings) -> str:
    async with opened_keys(settings) as keys:
        return (await keys.create(DEFAULT_TENANT, "sdk", SCOPES, lives=None))[1]


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Comfy]:
    monkeypatch.setenv("COMFY_BASE_URL", server.url)
    with Comfy(api_key=server.key) as client:
        yield client


def graph(*, steps: int = 4) -> Workflow:
    """Return a graph that nobody has run: ComfyUI remembers results."""
    loaded: dict[str, Any] = json.loads((ROOT / "workflows/sd15/graph.json").read_text())
    loaded["3"]["inputs"] |= {"steps": steps, "seed": uuid4().int % 2**32}
    loaded["5"]["inputs"] |= {"width": 64, "height": 64}
    return Workflow(loaded)


def test_a_graph_is_run_and_its_output_fetched(client: Comfy, server: Server) -> None:
    job = client.run(graph(), timeout=WAIT_S)
    assert job.status == "succeeded"
    [made] = job.outputs
    assert [each.id for each in job.get_outputs("9")] == [made.id]
    assert (made.type, made.content_type, made.job_id) == ("image", "image/png", job.id)
    content = made.to_bytes()
    assert content.startswith(PNG)
    assert len(content) == made.size_bytes
    assert made.to_bytes(range=(1, 3)) == content[1:4]
    link = made.get_download_url()
    assert (link.url == f"{server.url}/api/v2/assets/{made.id}/content") is not server.links


def test_a_job_is_followed_to_its_end(client: Comfy, server: Server) -> None:
    job = client.submit(graph(steps=40))
    told = list(job.events())
    if not server.streams:
        assert told == [], "the SDK is told to poll"
        assert job.wait(WAIT_S).status == "succeeded"
        return
    *before, end = told
    assert end == StatusChange(status="succeeded")
    assert any(isinstance(each, StatusChange) and each.status == "running" for each in before)
    values = [each.value for each in before if isinstance(each, Progress)]
    assert values == sorted(values)
    assert values[-1] == 1
    [ready] = [each for each in before if isinstance(each, OutputReady)]
    assert ready.output.id == job.refresh().outputs[0].id


def test_a_job_shows_pictures_of_what_it_makes(client: Comfy, server: Server) -> None:
    if not server.streams:
        pytest.skip("it holds no answer open")
    job = client.submit(graph(steps=LONG))
    told = []
    for each in job.events():
        told.append(each)
        if isinstance(each, Preview) and each.data.startswith(JPEG):
            job.cancel()
    assert any(isinstance(each, Preview) for each in told)
    assert told[-1] == StatusChange(status="canceled")


def test_a_job_that_runs_is_canceled(client: Comfy) -> None:
    job = client.submit(graph(steps=LONG))
    while job.status == "queued":
        job.refresh()
    assert job.cancel().status in ("canceling", "canceled")
    with pytest.raises(JobFailed, match="canceled"):
        job.result()
    assert job.cancel().status == "canceled"


def test_a_job_is_found_by_its_id(client: Comfy) -> None:
    asked = graph()
    job = client.jobs.get(client.submit(asked).id)
    shown = job.get_workflow()
    assert (shown.graph, shown.format) == (asked.json, "api")
    with pytest.raises(NotFound):
        client.jobs.get(str(uuid4()))


def test_jobs_are_found_by_their_labels(client: Comfy) -> None:
    run = uuid4().hex
    sent = [client.submit(graph(), metadata={"run": run, "no": str(no)}) for no in range(3)]
    assert sent[0].metadata == {"run": run, "no": "0"}
    listed = list(client.list_jobs(metadata={"run": run}, limit=2))
    assert [each.id for each in listed] == [job.id for job in reversed(sent)]
    assert all(each.create_time and each.update_time for each in listed)
    assert [each.id for each in client.list_jobs(metadata={"run": run, "no": "1"})] == [sent[1].id]
    with pytest.raises(ComfyError) as refused:
        client.submit(graph(), metadata={"a b": "c"})
    assert refused.value.code == "metadata_invalid"


def picture() -> bytes:
    """Return a picture that nobody has stored."""
    content = io.BytesIO()
    Image.frombytes("RGB", (8, 8), random.randbytes(192)).save(content, "PNG")
    return content.getvalue()


def with_picture(handle: object) -> Workflow:
    """Return a graph that saves a picture of the client's own."""
    return Workflow(
        {
            "4": {"class_type": "LoadImage", "inputs": {"image": handle}},
            "9": {
                "class_type": "SaveImage",
                "inputs": {"filename_prefix": "a", "images": ["4", 0]},
            },
        }
    )


def test_a_picture_is_stored_once_and_used_by_jobs(client: Comfy, server: Server) -> None:
    content = picture()
    first = client.assets.from_bytes(content, filename="photo.png")
    job = client.run(with_picture(first), timeout=WAIT_S)
    assert job.outputs[0].to_bytes().startswith(PNG)
    assert first.created_new
    assert job.get_workflow().graph["4"]["inputs"]["image"]["info"]["id"] == first.id
    again = client.assets.from_bytes(content, filename="other.png")
    again.commit()
    assert (again.id, again.created_new) == (first.id, False)
    link = first.get_download_url().url
    assert link.startswith(server.url) is not server.links
    low = client._low
    with low.get_asset_content(first.id or "") as answer:
        assert answer.read() == content


def test_a_file_that_was_sent_past_the_api_is_not_sent_again(client: Comfy, server: Server) -> None:
    """The same way on every backend; through Lambda it is the only one for a large file."""
    content = picture() + bytes(5_000_000)  # which readers of PNG leave alone
    keyed = {} if server.key is None else {"Authorization": f"Bearer {server.key}"}
    if not server.streams:
        with pytest.raises(ApiError) as refused:
            client._low.post_assets(io.BytesIO(content), "image/png", "a.png")
        assert refused.value.http_status == 413
        assert "POST /assets/uploads" in str(refused.value)
        if not server.links:
            return  # nothing but this function takes files here
    told = {"name": "a.png", "content_type": "image/png", "size_bytes": len(content)}
    offer = httpx.post(f"{server.url}/assets/uploads", json=told, headers=keyed).json()
    put = httpx.put(offer["url"], content=content, headers=offer["headers"])
    assert put.is_success, put.text
    done = httpx.post(offer["urls"]["complete"], headers=keyed)
    assert done.status_code == 201, done.text
    asset = client.assets.from_bytes(content, filename="b.png")
    asset.commit()
    assert (asset.id, asset.created_new) == (done.json()["id"], False)


def test_a_picture_that_a_job_needs_is_not_deleted(client: Comfy) -> None:
    asset = client.assets.from_bytes(picture(), filename="photo.png")
    job = client.submit(running_with(asset))
    with pytest.raises(ComfyError) as refused:
        asset.delete()
    assert refused.value.code == "asset_in_use"
    job.cancel().wait(WAIT_S)
    asset_id = asset.id
    asset.delete()
    with pytest.raises(MissingAsset):
        client.submit(with_picture({"__type": "core/ASSET", "info": {"id": asset_id}}))


def test_an_output_is_the_next_jobs_input(client: Comfy, server: Server) -> None:
    """As the SDK has it: by its id, without its bytes being sent."""
    made = client.run(graph(), timeout=WAIT_S).outputs[0]
    handle = client.assets.get(made.id)
    job = client.run(with_picture(handle), timeout=WAIT_S)
    assert job.outputs[0].to_bytes().startswith(PNG)
    assert job.get_workflow().graph["4"]["inputs"]["image"]["info"]["id"] == made.id
    waiting = client.submit(running_with(handle))
    keyed = {} if server.key is None else {"Authorization": f"Bearer {server.key}"}
    purge = f"{server.url}/generate/{made.job_id}?purge=true"
    refused = httpx.delete(purge, headers=keyed)
    assert (refused.status_code, waiting.id in refused.text) == (409, True), refused.text
    waiting.cancel().wait(WAIT_S)
    assert httpx.delete(purge, headers=keyed).status_code == 200
    with pytest.raises(MissingAsset):
        client.submit(with_picture(handle))


def running_with(asset: object) -> Workflow:
    """Return a graph that takes a picture, and longer than any test."""
    long = graph(steps=LONG)
    long.json |= {"20": with_picture(asset).json["4"], "21": with_picture(asset).json["9"]}
    long.json["21"]["inputs"]["images"] = ["20", 0]
    return long


def test_a_file_that_is_not_the_announced_one_is_refused(client: Comfy) -> None:
    with pytest.raises(ApiError) as refused:
        client._low.post_assets(
            io.BytesIO(picture()), "image/png", "a.png", expected_hash=f"blake3:{'0' * 64}"
        )
    assert refused.value.code == "hash_mismatch"
    with pytest.raises(ApiError) as missing:
        client._low.asset_from_hash(f"blake3:{'0' * 64}")
    assert missing.value.code == "blob_not_found"


def test_a_key_makes_one_job(client: Comfy) -> None:
    key = str(uuid4())
    with pytest.raises(InvalidWorkflow):
        client.submit(Workflow({}), idempotency_key=key)
    client.submit(graph(), idempotency_key=key)
    with pytest.raises(IdempotencyKeyReuse) as reused:
        client.submit(graph(), idempotency_key=key)
    assert reused.value.request_id


def test_who_has_another_key_is_not_let_in(client: Comfy, server: Server) -> None:
    if server.key is None:
        pytest.skip("it asks for no key")
    with Comfy(api_key=server.key[:-1]) as stranger, pytest.raises(Unauthorized):
        stranger.submit(graph())


@pytest.mark.comfyui
@pytest.mark.skipif(not COMFYUI, reason="COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make comfyui`")
def test_all_that_concerns_comfyui_on_a_real_one(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(processes.up(comfyui=[COMFYUI]).url)
    monkeypatch.setenv("COMFY_BASE_URL", server.url)
    with Comfy() as client:
        test_a_graph_is_run_and_its_output_fetched(client, server)
        test_a_job_is_followed_to_its_end(client, server)
        test_a_job_shows_pictures_of_what_it_makes(client, server)
        test_a_job_that_runs_is_canceled(client)
        test_a_picture_is_stored_once_and_used_by_jobs(client, server)
        test_a_picture_that_a_job_needs_is_not_deleted(client)
        broken = graph()
        broken.json["3"]["inputs"]["sampler_name"] = "none"
        with pytest.raises(InvalidWorkflow, match="sampler_name"):
            client.submit(broken)


def test_all_of_it_without_blocking(
    client: Comfy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with AsyncComfy(api_key=server.key) as client:
            job = await client.submit(graph(steps=20), metadata={"by": "async"})
            told = [each async for each in job.events()]
            assert bool(told) == server.streams
            await job.result()
            assert (await job.outputs[0].to_bytes()).startswith(PNG)
            shown = await client.jobs.get(job.id)
            assert shown.metadata == {"by": "async"}
            stopped = await client.submit(graph(steps=LONG))
            await stopped.cancel()
            assert (await stopped.wait(WAIT_S)).status == "canceled"
            listed = [each.id async for each in client.list_jobs(limit=5)]
            assert listed[0] == stopped.id
            asset = client.assets.from_bytes(picture(), filename="photo.png")
            used = await client.run(with_picture(asset), timeout=WAIT_S)
            assert (await used.outputs[0].to_bytes()).startswith(PNG)
            await asset.delete()

    asyncio.run(run())
