"""Masks that are painted over pictures and sent to ComfyUI's own API."""

import io
import json
from dataclasses import replace
from typing import Any

import anyio
import pytest
from PIL import Image, PngImagePlugin

from comfyq.aio.chunks import once
from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope, TenantId
from comfyq.domain.errors import RateLimited
from comfyq.domain.files.asset import taken
from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import JobId
from comfyq.services.files.masked_files import MOST_WAITING
from tests.access_lab import FACADES
from tests.api_lab import ApiLab, output
from tests.cells import Cells
from tests.native_lab import got, loading, sent, told_error
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

MINE = Caller(DEFAULT_TENANT, frozenset(Scope))
BROKEN = b"\x89PNG\r\n\x1a\n a fox"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab(COMFYQ_FACADES=FACADES)


def picture(color: tuple[int, ...], size: tuple[int, int] = (8, 8), **texts: str) -> bytes:
    """Return a PNG; of four numbers the last one is its alpha channel."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    file = io.BytesIO()
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def masked(lab: ApiLab, original: Any, mask: bytes, field: str = "image", **texts: str) -> Any:
    ref = original if isinstance(original, str) else json.dumps(original)
    files = {field: ("clipspace.png", mask, "image/png")}
    return lab.client.post("/upload/mask", files=files, data={"original_ref": ref, **texts})


async def test_a_mask_is_the_alpha_channel_of_its_picture(lab: ApiLab) -> None:
    """Of one that was uploaded, and of one that a job has made."""
    red = picture((255, 0, 0), prompt="a fox")
    lab.client.post("/upload/image", files={"image": ("fox.png", red, "image/png")})
    lab.store(output(), red)
    job_id = sent(lab)
    await lab.succeed(job_id, output())
    [made] = got(lab, f"/history/{job_id}")[job_id]["outputs"]["9"]["images"]
    for original in ({"filename": "fox.png", "type": "input"}, made):
        answer = masked(lab, original, picture((0, 0, 9, 77)), subfolder="clipspace")
        assert answer.status_code == 200, answer.text
        named = answer.json()
        assert (named["subfolder"], named["type"]) == ("clipspace", "input")
        query = f"filename={named['name']}&subfolder=clipspace&type=input"
        with Image.open(io.BytesIO(lab.client.get(f"/view?{query}").content)) as shown:
            assert shown.getpixel((3, 3)) == (255, 0, 0, 77)
            assert shown.info["prompt"] == "a fox"
        loaded = sent(lab, loading(f"clipspace/{named['name']} [input]"))
        assert len((await lab.records.spec(JobId(loaded))).inputs) == 1


async def test_masks_that_belong_to_no_picture_are_refused(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("fox.png", picture((255, 0, 0))), ("broken.png", BROKEN)):
        lab.client.post("/upload/image", files={"image": (name, content, "image/png")})
    fox, mask = {"filename": "fox.png", "type": "input"}, picture((0, 0, 0, 77))
    said = replace(output("d.txt", kind=OutputKind.TEXT), text="hello", key="")
    await lab.succeed(spoken := sent(lab), said)
    text = {"filename": f"d{spoken[:-4]}0001.txt", "type": "output"}
    small = ApiLab(COMFYQ_FACADES=FACADES, COMFYQ_INPUT_MAX_BYTES=10)
    monkeypatch.setattr(small.services.masked_files, "_masks", lab.services.masked_files._masks)
    with Cells() as cells:
        for name, answer, told, reason in (
            ("nothing", masked(lab, "", mask), (400, "invalid_request"), "original_ref"),
            ("no object", masked(lab, [1], mask), (400, "invalid_request"), "original_ref"),
            (
                "absent",
                masked(lab, {"filename": "no.png"}, mask),
                (404, "output_not_found"),
                "kept",
            ),
            ("outside", masked(lab, {"filename": "../a"}, mask), (400, "bad_request"), ".."),
            ("field", masked(lab, fox, mask, "file"), (400, "invalid_request"), "image"),
            (
                "a text",
                masked(lab, text, mask),
                (400, "bad_request"),
                "a text that a job has made",
            ),
            ("no mask", masked(lab, fox, b"-" * 50), (400, "bad_request"), "no picture"),
            (
                "no original",
                masked(lab, {"filename": "broken.png", "type": "input"}, mask),
                (400, "bad_request"),
                "no picture",
            ),
            (
                "another size",
                masked(lab, fox, picture((0, 0, 0, 7), (9, 8))),
                (400, "bad_request"),
                "the mask has 9 x 8 pixels, and its picture 8 x 8",
            ),
            ("large", masked(small, fox, mask), (413, "too_large"), "COMFYQ_INPUT_MAX_BYTES"),
        ):
            with cells.cell(name):
                assert told_error(answer) == told, answer.text
                assert reason in answer.text
    monkeypatch.setattr(lab.services.masked_files, "_masks", None)  # as in a function
    undone = masked(lab, fox, mask)
    assert told_error(undone) == (501, "streams_not_served")
    assert "alpha channel" in undone.text


async def test_masks_of_a_tenant_wait_in_a_line_of_their_own(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is not in memory, and another tenant's mask is next."""
    files, uploads = lab.services.masked_files, lab.services.uploads
    original = await uploads.add(
        MINE, once(picture((255, 0, 0))), filename="a.png", content_type="image/png"
    )
    begun, free, put_in = [], anyio.Event(), files._masks.put_in  # type: ignore[union-attr]

    async def slow(content: bytes, mask: bytes) -> bytes:
        begun.append(mask)
        await free.wait()
        return await put_in(content, mask)

    monkeypatch.setattr(files._masks, "put_in", slow)
    ended: list[str] = []

    async def store(caller: Caller, alpha: int) -> None:
        async with uploads.received(once(picture((0, 0, 0, alpha)))) as mask:
            await files.store(caller, original, mask, filename=f"{alpha}.png")
        ended.append(caller.tenant)

    other = replace(MINE, tenant=TenantId("acme"))
    async with anyio.create_task_group() as tasks:
        for alpha in range(MOST_WAITING):
            tasks.start_soon(store, MINE, alpha)
        await until(lambda: len(begun) == 1)
        with pytest.raises(RateLimited, match="8 masks of your tenant wait"):
            await store(MINE, 99)
        tasks.start_soon(store, other, 200)
        await anyio.wait_all_tasks_blocked()
        assert len(begun) == 1
        free.set()
    assert ended.index("acme") <= 1
    assert len(ended) == MOST_WAITING + 1
    await store(MINE, 100)


async def test_a_mask_that_gets_no_name_or_is_too_much_leaves_nothing(lab: ApiLab) -> None:
    fox, mask = {"filename": "fox.png", "type": "input"}, picture((0, 0, 0, 77))
    image = {"image": ("fox.png", picture((255, 0, 0)), "image/png")}
    lab.client.post("/upload/image", files=image)
    before = lab.client.get("/quota").json()["stored_bytes"]
    assert told_error(masked(lab, fox, mask, type="nope")) == (400, "bad_request")
    texts = dict.fromkeys(("a", "b"), "x" * 2_100_000)
    bomb = picture((255, 0, 0), (8, 8), **texts)
    assert len(bomb) < 5_000_000
    lab.client.post("/upload/image", files={"image": ("bomb.png", bomb, "image/png")})
    stored = lab.client.get("/quota").json()["stored_bytes"]
    refused = masked(lab, {"filename": "bomb.png", "type": "input"}, mask)
    assert told_error(refused) == (400, "bad_request")
    assert "more than 4000000 characters" in refused.text
    assert lab.client.get("/quota").json()["stored_bytes"] == stored
    assert stored["used"] - before["used"] == taken(len(bomb))
