"""A job's input files on their way to ComfyUI, over in-memory ports."""

import asyncio
import io
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from PIL import Image

from comfyq.adapters.pictures.pillow import PillowPictures
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import (
    AssetsUnavailable,
    InputForbidden,
    InputUnavailable,
    OutputNotFound,
)
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.files.inputs import InputFile
from comfyq.domain.files.media_types import suffix_of
from comfyq.domain.job import Job, JobStatus, WorkerId
from comfyq.domain.job.output_id import output_id
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import EngineUnavailable
from comfyui_simulator.nodes.media import flac_tone, mp4_placeholder, webm_placeholder
from tests.api_lab import ApiLab, output
from tests.farm import INPUT_LIMITS, Farm, FarmWorker
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio

COLORS = ("red", "blue", "green")
URL = "https://example.com/a.png"
ASSET = AssetId("5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34")


def png(color: str, size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def spec(source: str = URL, *, kind: str = "image", nodes: tuple[str, ...] = ("1",)) -> Spec:
    graph = {
        node: {"class_type": "LoadImage", "inputs": {"image": "comfyq-input/x"}} for node in nodes
    }
    files = [
        InputFile(parameter="picture", node=node, input="image", kind=kind, source=source)
        for node in nodes
    ]
    return Spec(graph=graph, parameters={}, inputs=tuple(files))


async def run(farm: Farm, spec: Spec, **fields: Any) -> tuple[Job, FarmWorker]:
    job = await farm.submit(spec=spec, **fields)
    worker = farm.worker("w1")
    await worker.run_once()
    return await farm.records.get(job.id), worker


def named(worker: FarmWorker, node: str = "1") -> str:
    name: str = worker.engine.submitted[-1].graph[node]["inputs"]["image"]
    return name


async def test_a_file_is_called_by_what_is_in_it(farm: Farm) -> None:
    farm.fetcher.pages[URL] = [png("red"), png("blue"), png("red")]
    names = []
    for _ in range(3):
        job, worker = await run(farm, spec())
        assert job.status is JobStatus.SUCCEEDED
        [(name, content)] = worker.engine.uploaded.items()
        assert name == f"comfyq-{blake3(content).hexdigest()[:32]}.png"
        assert named(worker) == name
        names.append(name)
    assert names[0] == names[2] != names[1]


async def test_a_source_in_two_places_is_fetched_once(farm: Farm) -> None:
    farm.fetcher.pages[URL] = [png("red")]
    job, worker = await run(farm, spec(nodes=("1", "2")))
    assert job.status is JobStatus.SUCCEEDED
    assert named(worker, "1") == named(worker, "2")
    assert len(worker.engine.uploaded) == 1


async def test_what_passes_is_tried_once_more(farm: Farm) -> None:
    away = InputUnavailable("its server answers 503", passing=True)
    farm.fetcher.pages[URL] = [away, png("red")]
    job, _ = await run(farm, spec())
    assert job.status is JobStatus.SUCCEEDED
    farm.fetcher.pages[URL] = [away, away, png("red")]
    job, _ = await run(farm, spec())
    assert job.error is not None
    assert job.error.code == "input-unavailable"


@pytest.mark.parametrize(
    ("fetched", "code"),
    [
        (InputForbidden("not there"), "input-forbidden"),
        (InputUnavailable("its server answers 404"), "input-unavailable"),
        (b"<html>", "input-invalid"),
    ],
    ids=["forbidden", "unavailable", "invalid"],
)
async def test_a_bad_file_is_the_jobs_failure_at_once(
    farm: Farm, fetched: bytes | Exception, code: str
) -> None:
    farm.fetcher.pages[URL] = [fetched]
    job, worker = await run(farm, spec())
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.node, job.attempt) == (code, "1", 1)
    assert job.error.message.startswith("picture: ")
    assert not worker.engine.submitted
    assert not farm.queue.messages


async def store(farm: Farm, content: bytes, tenant: TenantId, path: Path) -> None:
    path.write_bytes(content)
    now = farm.clock.now()
    await farm.assets.put(f"assets/{ASSET}", path, content_type="image/png")
    asset = Asset(
        id=ASSET,
        tenant=tenant,
        filename="a.png",
        content_type="image/png",
        size=len(content),
        blake3=blake3(content).hexdigest(),
        key=f"assets/{ASSET}",
        created_at=now,
        expires_at=now + timedelta(days=1),
    )
    await farm.files.add(asset, most_bytes=2 * INPUT_LIMITS.max_bytes)


async def test_an_asset_is_taken_from_storage(farm: Farm, tmp_path: Path) -> None:
    await store(farm, png("red"), DEFAULT_TENANT, tmp_path / "a")
    for source in (ASSET, f"asset:{ASSET}"):
        job, worker = await run(farm, spec(source))
        assert job.status is JobStatus.SUCCEEDED
        assert list(worker.engine.uploaded) == [named(worker)]


async def test_another_tenants_asset_is_not_there(farm: Farm, tmp_path: Path) -> None:
    await store(farm, png("red"), TenantId("other"), tmp_path / "a")
    job, _ = await run(farm, spec(ASSET))
    assert job.error is not None
    assert (job.error.code, str(ASSET) in job.error.message) == ("input-unavailable", True)


@pytest.mark.parametrize("tenant", [DEFAULT_TENANT, TenantId("other")])
@pytest.mark.parametrize("kind", ["image", "audio"])
async def test_an_earlier_jobs_output_is_taken_from_storage(
    farm: Farm, tenant: TenantId, kind: str, tmp_path: Path
) -> None:
    content = png("red") if kind == "image" else flac_tone(0.1, "abcd")
    (tmp_path / "a").write_bytes(content)
    await farm.assets.put("outputs/a", tmp_path / "a", content_type="x/y")
    made = replace(output(size=len(content)), key="outputs/a", blake3=blake3(content).hexdigest())
    earlier = await farm.submit(tenant=tenant)
    farm.queue.messages.clear()
    for change in (
        partial(jobs.claim, worker=WorkerId("w0"), ttl=timedelta(minutes=1)),
        partial(jobs.start, token=1),
    ):
        earlier = await farm.records.update(earlier, change)
    await farm.records.update(earlier, partial(jobs.succeed, token=1), outputs=[made])
    source = f"asset:{output_id(earlier.id, 0)}"
    job, worker = await run(farm, spec(source, kind=kind))
    if tenant == DEFAULT_TENANT:
        assert job.status is JobStatus.SUCCEEDED
        assert list(worker.engine.uploaded) == [named(worker)]
    else:
        assert job.error is not None
        assert job.error.code == "input-unavailable"
        assert not worker.engine.uploaded


@pytest.mark.parametrize(
    ("kind", "content", "suffix"),
    [
        ("video", mp4_placeholder(), ".mp4"),
        ("video", webm_placeholder(), ".webm"),
        ("video", b"RIFF\x00\x00\x00\x00AVI LIST", ".avi"),
        ("audio", flac_tone(0.1, "abcd"), ".flac"),
        ("audio", b"RIFF\x00\x00\x00\x00WAVEfmt ", ".wav"),
        ("audio", b"OggS\x00\x02", ".ogg"),
        ("audio", b"\xff\xfb\x90\x64", ".mp3"),
        ("audio", b"ID3\x04", ".mp3"),
        ("audio", b"<html>", None),
        ("video", flac_tone(0.1, "abcd"), None),
        ("video", b"", None),
    ],
)
async def test_sound_and_video_go_by_their_first_bytes(
    farm: Farm, kind: str, content: bytes, suffix: str | None
) -> None:
    assert suffix_of(kind, content[:16]) == suffix
    farm.fetcher.pages[URL] = [content]
    job, worker = await run(farm, spec(kind=kind))
    if suffix is None:
        assert job.error is not None
        assert job.error.code == "input-invalid"
    else:
        assert named(worker).endswith(suffix)
        assert worker.engine.uploaded == {named(worker): content}


async def test_storage_that_is_away_is_not_the_jobs_fault(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(key: str, **_: Any) -> AsyncIterator[bytes]:
        raise AssetsUnavailable("away")
        yield b""

    await store(farm, png("red"), DEFAULT_TENANT, tmp_path / "a")
    monkeypatch.setattr(farm.assets, "read", away)
    job, _ = await run(farm, spec(ASSET))
    assert (job.status, job.failures) == (JobStatus.QUEUED, 0)


def many(*sources: str) -> Spec:
    one_each = spec(nodes=tuple(str(number) for number, _ in enumerate(sources)))
    files = zip(one_each.inputs, sources, strict=True)
    return replace(one_each, inputs=tuple(replace(file, source=source) for file, source in files))


async def test_files_that_are_too_large_together_fail_the_job_at_once(farm: Farm) -> None:
    urls = [f"{URL}?{number}" for number in range(2)]
    buffer = io.BytesIO()
    Image.effect_noise((900, 1_000), 100).save(buffer, "PNG")
    assert INPUT_LIMITS.max_total_bytes < 2 * buffer.tell() < 2 * INPUT_LIMITS.max_bytes
    farm.fetcher.pages = {url: [buffer.getvalue()] for url in urls}
    job, worker = await run(farm, many(*urls))
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert job.error is not None
    assert f"over {INPUT_LIMITS.max_total_bytes} bytes together" in job.error.message
    assert worker.engine.submitted == []


async def test_files_that_take_too_long_together_fail_the_job_at_once(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(url: str, *, tenant: TenantId, kind: str, max_bytes: int) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(farm.fetcher, "fetch", never)
    monkeypatch.setattr("tests.farm.INPUT_LIMITS", replace(INPUT_LIMITS, max_s=0.05))
    job, _ = await run(farm, spec())
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert job.error is not None
    assert "not fetched within 0.05 s" in job.error.message


@pytest.mark.parametrize("is_begun", [False, True])
async def test_time_that_other_jobs_pictures_take_is_not_counted(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, is_begun: bool
) -> None:
    most_s = 0.05

    async def late(
        self: PillowPictures, content: bytes, file: InputFile, *, begins: Callable[[], None]
    ) -> bytes:
        if is_begun:
            begins()
        await asyncio.sleep(2 * most_s)
        return content

    farm.fetcher.pages[URL] = [png("red")]
    monkeypatch.setattr(PillowPictures, "prepare", late)
    monkeypatch.setattr("tests.farm.INPUT_LIMITS", replace(INPUT_LIMITS, max_s=most_s))
    job, _ = await run(farm, spec())
    assert job.status is (JobStatus.FAILED if is_begun else JobStatus.SUCCEEDED)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"COMFYQ_INPUT_MAX_FILES": 2}, "the job has 3 of them, the most is 2"),
        ({"COMFYQ_INPUT_MAX_TOTAL_BYTES": 100}, "the most is 100 bytes"),
    ],
    ids=["number", "bytes"],
)
def test_too_many_files_are_refused_before_there_is_a_job(
    settings: dict[str, Any], problem: str
) -> None:
    lab = ApiLab(**settings)
    sources = [f"data:image/png;base64,{b64encode(png(name)).decode()}" for name in COLORS]
    graph: dict[str, Any] = {
        str(number): {"class_type": "LoadImage", "inputs": {"image": source}}
        for number, source in enumerate(sources)
    }
    answer = lab.client.post("/generate", json={"graph": graph})
    assert answer.status_code == 422, answer.text
    assert problem in answer.json()["detail"]
    assert lab.client.get("/generate").json()["jobs"] == []


def test_a_picture_that_is_too_large_is_refused_before_there_is_a_job() -> None:
    lab = ApiLab(COMFYQ_INPUT_MAX_BYTES=60)
    stored = lab.client.post("/assets", content=png("red"), headers={"Content-Type": "image/png"})
    image = f"asset:{stored.json()['id']}"
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": image}}}
    answer = lab.client.post("/generate", json={"graph": graph})
    assert answer.status_code == 422, answer.text
    assert "the most is 60 (COMFYQ_INPUT_MAX_BYTES)" in answer.json()["detail"]


class Watching(ScriptedEngine):
    """Notes when it takes each piece of a file."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self.events = events

    async def upload(
        self, name: str, content: bytes | AsyncIterator[bytes], *, subfolder: str = ""
    ) -> str:
        assert not isinstance(content, bytes)
        pieces = []
        async for piece in content:
            pieces.append(piece)
            self.events.append("taken")
        return await super().upload(name, b"".join(pieces), subfolder=subfolder)


async def test_a_stored_video_is_passed_on_while_it_is_read(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be larger than what is held in memory: that bounds pictures and fetched files."""
    content = mp4_placeholder() + bytes(INPUT_LIMITS.max_bytes)
    await store(farm, content, DEFAULT_TENANT, tmp_path / "a")
    events: list[str] = []
    read = farm.assets.read

    async def noted(key: str, **bounds: Any) -> AsyncIterator[bytes]:
        async for piece in read(key, **bounds):
            events.append("read")
            yield piece

    monkeypatch.setattr(farm.assets, "read", noted)
    job = await farm.submit(spec=spec(ASSET, kind="video"))
    worker = farm.worker("w1", Watching(events))
    await worker.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert worker.engine.uploaded == {named(worker): content}
    assert named(worker) == f"comfyq-{blake3(content).hexdigest()[:32]}.mp4"
    assert len(events) > 10
    assert events == ["read", "taken"] * (len(events) // 2)


class Breaking(ScriptedEngine):
    """Breaks off where a file cannot be read on, as aiohttp does, whatever the reason was."""

    async def upload(
        self, name: str, content: bytes | AsyncIterator[bytes], *, subfolder: str = ""
    ) -> str:
        try:
            return await super().upload(name, content, subfolder=subfolder)
        except Exception as wrapped:
            raise EngineUnavailable("ComfyUI does not answer to upload/image") from wrapped


@pytest.mark.parametrize(
    ("failure", "status", "reason"),
    [
        (AssetsUnavailable("S3 does not answer"), JobStatus.QUEUED, "S3 does not answer"),
        (OutputNotFound("it is gone"), JobStatus.FAILED, f"there is no asset {ASSET}"),
        (None, JobStatus.QUEUED, "ComfyUI does not answer to upload/image"),
    ],
    ids=["storage", "file", "comfyui"],
)
async def test_what_breaks_a_stored_video_on_its_way_is_named(
    farm: Farm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception | None,
    status: JobStatus,
    reason: str,
) -> None:
    """ComfyUI is not to blame for what cannot be read, nor storage for what ComfyUI does."""
    content = mp4_placeholder() + bytes(INPUT_LIMITS.max_bytes)
    await store(farm, content, DEFAULT_TENANT, tmp_path / "a")

    async def broken(key: str, **_: Any) -> AsyncIterator[bytes]:
        yield content[:1_000]
        if failure is not None:
            raise failure
        yield content[1_000:]

    async def away(self: ScriptedEngine, name: str, *_: Any, **__: Any) -> str:
        raise OSError("reset")

    monkeypatch.setattr(farm.assets, "read", broken)
    if failure is None:
        monkeypatch.setattr(ScriptedEngine, "upload", away)
    job = await farm.submit(spec=spec(ASSET, kind="video"))
    worker = farm.worker("w1", Breaking())
    await worker.run_once()
    job = await farm.records.get(job.id)
    assert (job.status, job.failures) == (status, int(status is JobStatus.FAILED))
    said = job.note if job.error is None else job.error.message
    assert said is not None
    assert reason in said
    assert worker.engine.submitted == []


async def test_a_stored_file_of_another_kind_fails_the_job_and_is_closed(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(farm, b"<html>", DEFAULT_TENANT, tmp_path / "a")
    read, is_open = farm.assets.read, [False]
    opened = []  # kept, so that the collector of garbage closes none of them

    async def noted(key: str, **bounds: Any) -> AsyncIterator[bytes]:
        is_open[0] = True
        try:
            async for piece in read(key, **bounds):
                yield piece
        finally:
            is_open[0] = False

    def kept(key: str, **bounds: Any) -> AsyncIterator[bytes]:
        opened.append(noted(key, **bounds))
        return opened[-1]

    monkeypatch.setattr(farm.assets, "read", kept)
    job, worker = await run(farm, spec(ASSET, kind="video"))
    assert job.error is not None
    assert (job.error.code, worker.engine.uploaded) == ("input-invalid", {})
    assert (len(opened), is_open) == (1, [False])
