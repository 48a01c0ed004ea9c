"""Jobs that succeed without all of their results say so."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from PIL import Image

from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.job.model import MAX_WARNING_CHARS, MAX_WARNINGS
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import Ended, Rendered, RenderedFileGone, Started
from comfyq.services.worker.prompts import prompt_of
from tests.farm import GRAPH, Farm
from tests.scripted_engine import IMAGE, ScriptedEngine

pytestmark = pytest.mark.anyio


def _pages() -> bytes:
    first, *others = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 90, 180)]
    content = io.BytesIO()
    first.save(content, "TIFF", save_all=True, append_images=others)
    return content.getvalue()


PAGES = _pages()
MESH = Rendered("1", "m.glb", "mesh", guessed=True)


class Forgetful(ScriptedEngine):
    """A ComfyUI that has no file at a bare path."""

    async def fetch(self, rendered: Rendered) -> AsyncIterator[bytes]:
        if rendered.guessed:
            raise RenderedFileGone(rendered.filename)
        async for chunk in super().fetch(rendered):
            yield chunk


async def done(farm: Farm, engine: ScriptedEngine) -> tuple[Job, list[str]]:
    job = await farm.submit()
    await farm.worker("w1", engine).run_once()
    job = await farm.records.get(job.id)
    assert job.status is JobStatus.SUCCEEDED
    return job, [output.filename for output in await farm.records.outputs(job.id)]


async def test_a_job_with_all_of_its_results_warns_of_nothing(farm: Farm) -> None:
    job, files = await done(farm, ScriptedEngine())
    assert (job.warnings, files) == ((), [IMAGE.filename])


async def test_a_job_without_an_output_always_warns(farm: Farm) -> None:
    job, files = await done(farm, ScriptedEngine(Started(), Ended([])))
    assert not files
    [warning] = job.warnings
    assert "no output" in warning


async def test_what_comfyui_showed_and_nobody_can_collect_is_named(farm: Farm) -> None:
    engine = ScriptedEngine(Started(), Ended([IMAGE], ["node 1 shows `x`"]))
    job, files = await done(farm, engine)
    assert (job.warnings, files) == (("node 1 shows `x`",), [IMAGE.filename])


class Pages(ScriptedEngine):
    """A ComfyUI that has saved a picture of three pages."""

    async def fetch(self, rendered: Rendered) -> AsyncIterator[bytes]:
        for start in range(0, len(PAGES), 100):
            yield PAGES[start : start + 100]


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF"])
async def test_a_picture_of_many_pages_is_stored_whole(farm: Farm, name: str) -> None:
    job, _ = await done(farm, Pages(Started(), Ended([replace(IMAGE, filename=name)])))
    [output] = await farm.records.outputs(job.id)
    assert (output.kind, output.content_type) == (OutputKind.IMAGE, "image/tiff")
    assert farm.assets.stored[output.key].body == PAGES
    assert Image.open(io.BytesIO(PAGES)).n_frames == 3  # type: ignore[attr-defined]


async def test_a_node_that_tells_of_no_file_is_named(farm: Farm) -> None:
    savers = {node: {"class_type": "CheckpointSave", "inputs": {}} for node in ("1", "2")}
    job = await farm.submit(spec=Spec(graph=savers, parameters={}))
    engine = ScriptedEngine(Started(), Ended([replace(IMAGE, node="1")]))
    engine.catalogue = {"CheckpointSave": {"input": {}, "output": [], "output_node": True}}
    await farm.worker("w1", engine).run_once()
    [warning] = (await farm.records.get(job.id)).warnings
    assert "node 2 (CheckpointSave) does not tell ComfyUI which files it saves" in warning


async def test_a_bare_path_is_an_output_if_there_is_a_file(farm: Farm) -> None:
    job, files = await done(farm, ScriptedEngine(Started(), Ended([MESH])))
    assert (job.warnings, files) == ((), ["m.glb"])


async def test_and_otherwise_a_warning(farm: Farm) -> None:
    job, files = await done(farm, Forgetful(Started(), Ended([IMAGE, MESH])))
    assert files == [IMAGE.filename]
    assert job.warnings == ("node 1 names m.glb, which ComfyUI does not have",)


@pytest.mark.parametrize(
    "folder",
    [
        "comfyq/another/1-ab",
        "/comfyq\\another\\1",
        "./comfyq/another",
        "x/../comfyq/another",
        "COMFYQ/another",
        "comfyq//another",
        "../temp",
    ],
)
async def test_no_node_hands_out_another_jobs_files(farm: Farm, folder: str) -> None:
    stolen = replace(MESH, subfolder=folder)
    job, files = await done(farm, ScriptedEngine(Started(), Ended([stolen, IMAGE])))
    assert files == [IMAGE.filename]
    assert job.warnings == ("node 1 names a file of another job",)


class Losing(ScriptedEngine):
    """A ComfyUI that does not serve the second of two pictures, whatever its name."""

    for_good = False
    losing = 99  # times

    async def fetch(self, rendered: Rendered) -> AsyncIterator[bytes]:
        if rendered.filename == "lost.png" and self.losing:
            self.losing -= 1
            raise RenderedFileGone("lost.png is not in output", for_good=self.for_good)
        async for chunk in super().fetch(rendered):
            yield chunk


LOST = replace(IMAGE, node="9", filename="lost.png")


@pytest.mark.parametrize(
    ("for_good", "losing", "max_attempts", "renders", "files"),
    [
        (True, 99, 3, 1, [IMAGE.filename]),
        (False, 99, 3, 2, [IMAGE.filename]),
        (False, 99, 1, 1, [IMAGE.filename]),
        (False, 1, 3, 2, [IMAGE.filename, "lost.png"]),
    ],
)
async def test_a_file_that_stays_gone_costs_the_others_nothing(
    farm: Farm, *, for_good: bool, losing: int, max_attempts: int, renders: int, files: list[str]
) -> None:
    engine = Losing(Started(), Ended([IMAGE, LOST]))
    engine.for_good, engine.losing = for_good, losing
    job = await farm.submit(max_attempts=max_attempts)
    worker = farm.worker("w1", engine)
    while not (job := await farm.records.get(job.id)).status.terminal:
        await worker.run_once()
        farm.clock.advance(60)
        await farm.reaper.reap()
    assert (job.status, len(engine.submitted)) == (JobStatus.SUCCEEDED, renders)
    assert [output.filename for output in await farm.records.outputs(job.id)] == files
    lost = "an output of node 9 is lost: lost.png is not in output"
    assert job.warnings == (() if "lost.png" in files else (lost,))
    stored = {output.key for output in await farm.records.outputs(job.id)}
    assert farm.assets.stored.keys() == stored


@pytest.mark.parametrize("lost", [[], ["node 9 is lost"]])
async def test_results_with_losses_are_not_reused(farm: Farm, lost: list[str]) -> None:
    spec = Spec(graph=GRAPH, parameters={}, reuse_key="k")
    job = await farm.submit(spec=spec)
    await farm.worker("w1", ScriptedEngine(Started(), Ended([IMAGE], lost))).run_once()
    found = await farm.reuse.find(replace(job, id=JobId("later")), spec)
    assert (found is None) == bool(lost)


async def test_a_job_without_any_of_its_files_has_not_succeeded(farm: Farm) -> None:
    engine = Losing(Started(), Ended([LOST]))
    engine.for_good = True
    job = await farm.submit()
    await farm.worker("w1", engine).run_once()
    job = await farm.records.get(job.id)
    assert job.error is not None
    assert (job.status, job.error.code) == (JobStatus.FAILED, "output-gone")
    assert job.error.message == "lost.png is not in output"


async def test_warnings_are_bounded(farm: Farm) -> None:
    lost = [f"{number} {'x' * 1_000}" for number in range(500)]
    job, _ = await done(farm, ScriptedEngine(Started(), Ended([IMAGE], lost)))
    assert len(job.warnings) == MAX_WARNINGS + 1
    assert max(map(len, job.warnings)) <= MAX_WARNING_CHARS
    assert job.warnings[-1] == "and 480 more like these"


async def test_pictures_for_a_socket_are_saved_instead(farm: Farm) -> None:
    node = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
    job = await farm.submit()
    sent = prompt_of(job, Spec(graph={"2": node}, parameters={})).graph["2"]
    assert sent["class_type"] == "SaveImage"
    assert sent["inputs"]["images"] == ["1", 0]
    assert sent["inputs"]["filename_prefix"].startswith(f"comfyq/{job.id}/")
