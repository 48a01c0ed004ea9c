"""Requests in OpenAI's words as values of a workflow's own parameters."""

from typing import Any

import pytest

from comfyq.domain.errors import InvalidRequest
from comfyq.edges.openai.values import requests_for
from comfyq.wire.openai.images import ImageRequest
from tests.api_lab import WORKFLOWS
from tests.cells import Cells

PICTURE, MASK = "asset:picture", "asset:mask"


def values(
    name: str, *, images: tuple[str, ...] = (), mask: str | None = None, **asked: Any
) -> list[dict[str, Any]]:
    request = ImageRequest.model_validate({"prompt": "a fox", **asked})
    made = requests_for(request, WORKFLOWS.get(name), base_url="http://x", images=images, mask=mask)
    assert {(each.workflow, each.base_url) for each in made} == {(name, "http://x")}
    return [dict(each.values) for each in made]


def test_each_field_sets_the_parameter_that_is_meant() -> None:
    fox = {"prompt": "a fox"}
    same: dict[str, dict[str, Any]] = {
        "nothing": {},
        "what workflows have by themselves": {"size": "auto", "quality": "standard", "n": None},
        "what asks for nothing": {
            "user": "me",
            "background": "auto",
            "moderation": "low",
            "output_format": "png",
            "stream": False,
            "style": None,
        },
    }
    with Cells() as cells:
        for name, asked in same.items():
            with cells.cell(name):
                assert values("sdxl", **asked) == [fox]
        with cells.cell("size"):
            assert values("sdxl", size="1536x1024") == [fox | {"width": 1536, "height": 1024}]
        with cells.cell("quality of OpenAI"):
            assert values("sdxl", quality="hd") == [fox | {"preset": "high-quality"}]
        with cells.cell("quality by a preset's name"):
            assert values("sdxl", quality="draft") == [fox | {"preset": "draft"}]
        with cells.cell("quality of the workflow's own"):
            assert values("stable-audio", quality="V0") == [fox | {"quality": "V0"}]
        with cells.cell("others are parameters, and win"):
            own: dict[str, Any] = {"steps": 4, "width": 512, "height": 512}
            assert values("sdxl", size="64x64", **own) == [fox | own]
        with cells.cell("a seed is counted up"):
            assert [each["seed"] for each in values("sdxl", n=3, seed=7)] == [7, 8, 9]
            assert [each["seed"] for each in values("sdxl", n=2, seed=-1)] == [-1, -1]
        with cells.cell("numbers of forms"):
            made = values("sdxl", steps="4", cfg="2.5", loras='["a:1"]', sampler="euler")
            assert made == [fox | {"steps": 4, "cfg": 2.5, "loras": ["a:1"], "sampler": "euler"}]
        with cells.cell("a picture and a mask that is transparent"):
            files = {"image": PICTURE, "mask": MASK, "mask_channel": "alpha"}
            assert values("sd15-inpaint", images=(PICTURE,), mask=MASK) == [fox | files]
            own = {"mask_channel": "red"}
            made = values("sd15-inpaint", images=(PICTURE,), mask=MASK, **own)
            assert made == [fox | files | own]
        with cells.cell("a workflow without a prompt"):
            made = values("upscale-4x", images=(PICTURE,), prompt="", model="upscale-4x")
            assert made == [{"image": PICTURE}]


REFUSALS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "size that is none": ("sdxl", {"size": "big"}, "size", "WIDTHxHEIGHT"),
    "size of none": ("upscale-4x", {"prompt": "", "size": "64x64"}, "size", "has no width"),
    "quality": ("sdxl", {"quality": "ultra"}, "quality", "one of draft, balanced, high-quality"),
    "no presets": ("upscale-4x", {"prompt": "", "quality": "hd"}, "quality", "has no presets"),
    "no prompt": ("upscale-4x", {}, "prompt", "takes none; send an empty one"),
    "a picture": ("sdxl", {"images": (PICTURE,)}, "image", "takes no pictures, and 1 were sent"),
    "two": ("sd15-img2img", {"images": (PICTURE,) * 2}, "image", "takes 1 picture, and 2 were"),
    "mask": ("sd15-img2img", {"images": (PICTURE,), "mask": MASK}, "mask", "takes no mask"),
    "stream": ("sdxl", {"stream": True}, "stream", "leave it out"),
    "format": ("sdxl", {"output_format": "webp"}, "output_format", "leave it out"),
    "transparent": ("sdxl", {"background": "transparent"}, "background", "leave it out"),
    "label": ("sdxl", {"labels": {"": "x"}}, "", "no name of a label"),
}


def test_what_a_workflow_has_not_is_refused_by_name() -> None:
    with Cells() as cells:
        for name, (workflow, asked, field, reason) in REFUSALS.items():
            with cells.cell(name):
                with pytest.raises(InvalidRequest, match=reason) as raised:
                    values(workflow, **asked)
                assert [each.field for each in raised.value.fields] == [field]
