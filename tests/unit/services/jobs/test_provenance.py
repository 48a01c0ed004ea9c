"""Provenance of outputs: in PNG files, and beside all of them."""

import io
import json
from collections.abc import AsyncIterator

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from comfyq import __version__
from comfyq.domain.submission.provenance import models_of
from comfyq.services.worker.png_text import marked
from tests.api_lab import WORKFLOWS, ApiLab, output

pytestmark = pytest.mark.anyio

TEXT = json.dumps({"parameters": {"prompt": "ein Füchslein"}})


def png() -> bytes:
    metadata = PngInfo()
    metadata.add_text("prompt", "ComfyUI's own")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG", pnginfo=metadata)
    return buffer.getvalue()


async def through(content: bytes, *, chunk_bytes: int) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(content), chunk_bytes):
            yield content[at : at + chunk_bytes]

    return b"".join([chunk async for chunk in marked(chunks(), TEXT)])


@pytest.mark.parametrize("chunk_bytes", [1, 3, 8, 11, 12, 13, 1_000_000])
async def test_a_png_tells_however_it_comes(chunk_bytes: int) -> None:
    metadata = await through(png(), chunk_bytes=chunk_bytes)
    opened = Image.open(io.BytesIO(metadata))
    assert isinstance(opened, PngImageFile)
    opened.load()
    assert opened.text == {"prompt": "ComfyUI's own", "comfyq": TEXT}
    assert opened.tobytes() == Image.open(io.BytesIO(png())).tobytes()
    assert len(metadata) == len(png()) + 12 + len("comfyq\0") + len(TEXT)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\x89PNG\r\n\x1a\n", png()[:-1], png() + b"tail", b"GIF89a" + png()[8:]],
    ids=["empty", "short", "head", "cut", "tail", "other"],
)
@pytest.mark.parametrize("chunk_bytes", [1, 12, 1_000_000])
async def test_whatever_else_stays_as_it_is(content: bytes, chunk_bytes: int) -> None:
    assert await through(content, chunk_bytes=chunk_bytes) == content


def test_models_are_the_files_that_loaders_load() -> None:
    assert set(models_of(WORKFLOWS.get("flux-dev").graph)) == {
        "flux1-dev.safetensors",
        "clip_l.safetensors",
        "t5xxl_fp16.safetensors",
        "ae.safetensors",
    }


async def test_it_stands_beside_the_outputs() -> None:
    lab = ApiLab()
    submitted = lab.submit(steps=7)
    await lab.succeed(submitted["id"], output())
    metadata = lab.client.get(f"/generate/{submitted['id']}/metadata").json()
    assert metadata["job_id"] == submitted["id"]
    assert (metadata["workflow"], metadata["comfyq_version"]) == ("flux-dev", __version__)
    assert metadata["parameters"]["seed"] == submitted["seed"]
    assert metadata["parameters"]["steps"] == 7
    assert "flux1-dev.safetensors" in metadata["models"]
    assert "graph" not in metadata


def test_a_graph_of_ones_own_is_told_itself() -> None:
    lab = ApiLab()
    graph = {"1": {"class_type": "Anything", "inputs": {"x": 1}}}
    job_id = lab.client.post("/generate", json={"graph": graph}).json()["id"]
    assert lab.client.get(f"/generate/{job_id}/metadata").json()["graph"] == graph


def test_who_wants_none_gets_none() -> None:
    lab = ApiLab()
    job_id = lab.submit(metadata=False)["id"]
    assert lab.client.get(f"/generate/{job_id}/metadata").status_code == 404
    body = {"prompt": "a fox", "metadata": False}
    job_id = lab.client.post("/workflows/flux-dev/generate", json=body).json()["id"]
    assert lab.client.get(f"/generate/{job_id}/metadata").status_code == 404


@pytest.mark.parametrize("url", ["/generate", "/workflows/flux-dev/generate"])
def test_metadata_is_true_or_false(url: str) -> None:
    answer = ApiLab().client.post(url, json={"prompt": "a fox", "metadata": "sometimes"})
    assert answer.status_code == 422
