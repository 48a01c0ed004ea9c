"""The client on the real application, in this process."""

import inspect
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from blake3 import blake3

from comfyq import client as client_package
from comfyq.client import (
    AsyncBatch,
    AsyncClient,
    AsyncJob,
    BadValue,
    Batch,
    Client,
    Forbidden,
    InvalidRequest,
    Job,
    JobFailed,
    NotFound,
    NotReached,
    Output,
    Patience,
    TimedOut,
    Unauthenticated,
    calls,
)
from comfyq.client.drivers.blocking import Driver
from comfyq.client.drivers.http import as_not_reached
from comfyq.domain.caller import Scope
from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import JobError
from tests.access_lab import AccessLab
from tests.api_lab import ApiLab, output
from tests.fake_api import fake_api

pytestmark = pytest.mark.anyio

URL = "http://lab:8000"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


@pytest.fixture
async def client(lab: ApiLab) -> AsyncIterator[AsyncClient]:
    async with client_of(lab.app) as http, AsyncClient(URL, http=http) as client:
        yield client


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), follow_redirects=True)


async def test_a_job_from_its_submission_to_its_files(
    lab: ApiLab, client: AsyncClient, tmp_path: Path
) -> None:
    job = await client.generate("flux-dev", prompt="a fox", steps=3, labels={"project": "x"})
    assert (job.status, job.ended, job.succeeded, job.images) == ("queued", False, False, [])
    content = b"some picture"
    stored = replace(output(size=len(content)), blake3=blake3(content).hexdigest())
    lab.store(stored, content)
    await lab.succeed(job.id, stored)
    assert (await job.wait()).succeeded
    [file] = await job.download(tmp_path, name="fox")
    assert (file.name, file.read_bytes()) == ("fox-0.png", content)
    assert await job.read(job.images[0]) == content
    assert [each.filename for each in await job.all_outputs()] == ["a.png"]
    assert (await job.story()).parameters["steps"] == 3
    assert await job.deliveries() == []
    assert [each.id async for each in client.jobs(labels={"project": "x"})] == [job.id]
    assert [each.id async for each in client.jobs(labels={"project": "y"})] == []


async def test_files_that_are_stored_or_were_made_are_values_of_parameters(
    lab: ApiLab, client: AsyncClient, tmp_path: Path
) -> None:
    made = await client.generate("flux-dev", prompt="a fox")
    pixels, told = b"\x89PNG of a fox", "a prompt that a node made"
    picture = replace(output(size=len(pixels)), blake3=blake3(pixels).hexdigest())
    lab.store(picture, pixels)
    text = replace(output("t.txt"), kind=OutputKind.TEXT, text=told, key="")
    await lab.succeed(made.id, picture, text)
    await made.wait()
    asset = await client.upload(pixels, filename="fox.png")
    path = tmp_path / "fox.png"
    path.write_bytes(pixels)
    for file in (asset, path, made.outputs[0], {"source": asset, "fit": "cover"}):
        painted = await client.generate("sd15-img2img", image=file, prompt=made.outputs[1])
        values = (await painted.story()).parameters
        assert values["prompt"] == told
        sent = values["image"]
        assert (sent["source"] if isinstance(sent, dict) else sent) == asset.source
    batch = await client.generate_batch(
        [{"workflow": "sd15-img2img", "prompt": "a", "image": each} for each in (asset, path)]
    )
    assert batch.counts.queued == 2
    for wrong, named in ((pixels, "image: a bytes"), ([object()], "image.0: a object")):
        with pytest.raises(BadValue, match=f"{named} cannot be written as JSON"):
            await client.generate("sd15-img2img", image=wrong, prompt="a")
    expired = Output.read({**made.outputs[0].raw, "url": f"{made.outputs[0].url}x"})
    with pytest.raises(BadValue, match=r"image: the link of a\.png has expired"):
        await client.generate("sd15-img2img", image=expired, prompt="a")


async def test_every_bad_parameter_is_named(client: AsyncClient) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await client.generate("flux-dev", {"steps": -1}, prompt="a fox", size=3)
    assert {each.field for each in refused.value.fields} == {"steps", "size"}
    assert refused.value.code == "invalid-parameters"
    assert refused.value.request_id


async def test_a_job_without_results_is_an_exception(lab: ApiLab, client: AsyncClient) -> None:
    job = await client.generate(prompt="a fox")
    await lab.fail(job.id, JobError("node-failed", "out of memory"))
    with pytest.raises(JobFailed, match="out of memory") as failed:
        await job.wait()
    assert (failed.value.code, failed.value.status) == ("node-failed", "failed")
    assert (await job.retry()).data.retry_of == job.id


async def test_one_key_is_one_job(client: AsyncClient) -> None:
    jobs = [await client.generate(prompt="a fox", idempotency_key="once") for _ in range(2)]
    assert jobs[0].id == jobs[1].id


async def test_waiting_ends_when_its_time_is_over(client: AsyncClient) -> None:
    job = await client.generate(prompt="a fox")
    with pytest.raises(TimedOut, match=rf"job {job.id} has not ended within 0\.01 s"):
        await job.wait(timeout_s=0.01)
    assert (await job.refresh()).status == "queued"
    await job.cancel()
    with pytest.raises(JobFailed) as canceled:
        await job.wait()
    assert str(canceled.value) == f"job {job.id} was canceled"


async def test_batches_and_pages(client: AsyncClient) -> None:
    batch = await client.generate_batch(
        request={"workflow": "flux-dev"}, product={"prompt": ["a", "b"], "seed": list(range(60))}
    )
    assert (batch.size, batch.counts.queued, batch.done) == (120, 120, False)
    assert len([job async for job in client.jobs(batch=batch.id)]) == 120
    assert len([job async for job in client.jobs(limit=103)]) == 103
    assert [each.id async for each in client.batches()] == [batch.id]
    assert (await batch.cancel()).data.canceled
    assert (await batch.wait(timeout_s=10)).counts.canceled == 120
    assert (await batch.retry()).size == 120


async def test_what_else_a_server_has(client: AsyncClient) -> None:
    assert "flux-dev" in {each.name for each in await client.workflows()}
    assert (await client.workflow("flux-dev")).sample["prompt"]
    assert (await client.health()).status == "degraded"
    assert await client.workers() == []
    assert (await client.quota()).tenant == "default"
    asset = await client.upload(b"GIF89a", filename="a.gif")
    assert (asset.content_type, asset.source) == ("image/gif", f"asset:{asset.id}")
    assert [each async for each in client.assets(limit=5)] == [asset]
    await client.delete_asset(asset.source)
    assert [each async for each in client.assets()] == []
    with pytest.raises(NotFound):
        await client.delete_asset(asset.id)
    with pytest.raises(NotFound) as missing:
        await client.batch("none")
    assert missing.value.code == "batch-not-found"


async def test_a_key_is_shown_to_the_server_alone() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.url.host, request.headers.get("authorization")))
        if request.url.host == "storage":
            return httpx2.Response(200, content=b"")
        return httpx2.Response(
            200,
            json={
                "id": "u",
                "method": "PUT",
                "url": "https://storage/put",
                "headers": {},
                "source": "asset:a",
            },
        )

    drawn = iter(["first", "second", "third"])
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        client = AsyncClient("server/", lambda: next(drawn), http=http)
        await client.upload(bytes(5_000_000))
    assert seen == [
        ("server", "Bearer first"),
        ("storage", None),
        ("server", "Bearer third"),
    ]


async def test_keys_are_made_shown_and_revoked() -> None:
    lab = AccessLab()
    admin, reader = await lab.key(), await lab.key(frozenset({Scope.READ}))
    async with client_of(lab.app) as http:
        with pytest.raises(Unauthenticated):
            await AsyncClient(URL, http=http).generate(prompt="a fox")
        with pytest.raises(Forbidden):
            await AsyncClient(URL, reader, http=http).generate(prompt="a fox")
        client = AsyncClient(URL, admin, http=http)
        made = await client.create_key("a program", scopes=["read"], expires_in_s=60)
        assert made.key not in repr(made)
        assert made.id in {each.id for each in await client.keys()}
        assert (await AsyncClient(URL, made.key, http=http).quota()).tenant == "default"
        assert (await client.revoke_key(made.id)).id == made.id
        with pytest.raises(Unauthenticated):
            await AsyncClient(URL, made.key, http=http).quota()


async def test_nobody_at_a_url_is_said_so() -> None:
    async with AsyncClient("http://127.0.0.1:1", patience=Patience(give_up_s=0)) as client:
        with pytest.raises(NotReached, match=r"cannot reach http://127\.0\.0\.1:1/health") as away:
            await client.health()
    assert away.value.unsent
    assert "nobody listens there" in str(away.value)
    with (
        Client("http://127.0.0.1:1", patience=Patience(give_up_s=0)) as same,
        pytest.raises(NotReached, match="nobody listens there"),
    ):
        same.health()
    with pytest.raises(NotReached, match="host's name cannot be looked up"), as_not_reached(URL):
        raise httpx2.ConnectError("[Errno -2] a number") from socket.gaierror(-2, "a number")
    with (
        Client("http://[bad", patience=Patience(give_up_s=0)) as blocking,
        pytest.raises(NotReached, match="cannot reach"),
    ):
        blocking.health()


PAIRS: list[tuple[type, type]] = [(Client, AsyncClient), (Job, AsyncJob), (Batch, AsyncBatch)]


@pytest.mark.parametrize(("blocking", "waiting"), PAIRS)
def test_both_clients_have_the_same_methods(blocking: type, waiting: type) -> None:
    def methods(kind: type) -> dict[str, Callable[..., Any]]:
        return {n: m for n, m in inspect.getmembers(kind, callable) if not n.startswith("_")}

    def shape(method: Callable[..., Any]) -> list[tuple[str, Any]]:
        found = inspect.signature(method).parameters.values()
        return [(each.name, each.default) for each in found]

    ours, theirs = methods(blocking), methods(waiting)
    assert {n: shape(m) for n, m in ours.items()} == {n: shape(m) for n, m in theirs.items()}
    assert {n: m.__doc__ and m.__doc__.split("\n")[0] for n, m in ours.items()} == {
        n: m.__doc__ and m.__doc__.split("\n")[0] for n, m in theirs.items()
    }


def test_every_name_is_where_the_package_says_and_nothing_is_imported_before() -> None:
    assert {each for each in client_package.__all__ if not hasattr(client_package, each)} == set()
    assert set(client_package.__all__) == set(client_package._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        client_package.Cleint  # noqa: B018
    program = "import comfyq.cli.client, sys; print('comfyq.client.models.jobs' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout == b"False\n"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://127.0.0.1:9", "cq_se\ncret"),
        ("http://127.0.0.1:9", "cq_sécret"),
        ("htp://host", None),
    ],
    ids=["line break", "no ASCII", "no scheme of HTTP"],
)
def test_what_cannot_be_sent_is_refused_at_once_and_shows_no_key(url: str, key: str | None) -> None:
    with Client(url, key) as client, pytest.raises(NotReached) as refused:
        client.health()
    assert refused.value.is_hopeless
    assert "cret" not in str(refused.value)


def test_any_number_of_streams_leaves_connections_for_what_else_is_asked() -> None:
    """The pool of httpx2 has 100, where nobody says anything else."""
    with fake_api() as api, ExitStack() as stack:
        api.answer("/health", {"status": "healthy"})
        driver = Driver(api.url, None, verify=True, http=None)
        stack.callback(driver.close)
        for _ in range(101):
            stack.enter_context(closing(driver.opened(calls.health(), 0.5)))
