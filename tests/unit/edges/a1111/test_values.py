"""Requests in AUTOMATIC1111's words as values of a workflow's own parameters."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from comfyq.domain.errors import InvalidRequest
from comfyq.edges.a1111 import prompts
from comfyq.edges.a1111.prompts import NETWORK
from comfyq.edges.a1111.sampling import sampler_of, sampler_views, schedule_of, schedule_views
from comfyq.edges.a1111.values import OURS, Asked, asked_of
from comfyq.wire.a1111.requests import ImageToImage, TextToImage
from tests.api_lab import WORKFLOWS
from tests.cells import Cells

FOX: dict[str, Any] = {"prompt": "a fox"}
# what webuiapi sends by itself, of what no workflow has
SENT: dict[str, Any] = {
    "alwayson_scripts": {"ADetailer": {"args": [False]}, "ControlNet": {"args": []}},
    "enable_hr": False,
    "hr_scale": 2,
    "denoising_strength": 0.7,
    "eta": 1.0,
    "override_settings": {"sd_model_checkpoint": "sdxl", "sd_vae": "Automatic"},
    "restore_faces": False,
    "script_name": None,
    "seed": -1,
    "styles": [],
    "subseed": -1,
    "subseed_strength": 0.0,
    "tiling": False,
}


def asked(name: str, **fields: Any) -> Asked:
    kind = ImageToImage if "init_images" in fields else TextToImage
    body = kind.model_validate(FOX | fields)
    images = ["asset:picture"] * len(fields.get("init_images", ()))
    mask = "asset:mask" if "mask" in fields else None
    made = asked_of(body, WORKFLOWS.get(name), base_url="http://x", images=images, mask=mask)
    assert {(each.workflow, each.base_url) for each in made.requests} == {(name, "http://x")}
    assert all(each.labels == OURS["labels"] for each in made.requests)
    return made


def values(name: str, **fields: Any) -> list[dict[str, Any]]:
    return [dict(each.values) for each in asked(name, **fields).requests]


def test_a_prompt_that_is_too_long_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    class Network:
        def finditer(self, text: str) -> Iterator[re.Match[str]]:
            looked.append(text)
            return NETWORK.finditer(text)

        def sub(self, by: str, text: str) -> str:
            looked.append(text)
            return NETWORK.sub(by, text)

    monkeypatch.setattr(prompts, "NETWORK", Network())
    long = "<lora:a>" * 780_000
    with pytest.raises(InvalidRequest, match=r"prompt: has 6240000 characters; the most is 20000"):
        asked("sdxl", prompt=long)
    assert not looked
    assert values("sdxl", prompt="a fox" + "<lora:a>" * 8)[0]["loras"] == ["a"] * 8
    assert looked


def test_each_field_sets_the_parameter_that_is_meant() -> None:
    cells: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "what asks for nothing": ("sdxl", SENT, {}),
        "numbers": (
            "sdxl",
            {"steps": 4, "cfg_scale": 2.5, "width": 64, "height": 128},
            {"steps": 4, "cfg": 2.5, "width": 64, "height": 128},
        ),
        "sampler": ("sdxl", {"sampler_name": "Euler a"}, {"sampler": "euler_ancestral"}),
        "sampler with its schedule": (
            "sdxl",
            {"sampler_index": "DPM++ 2M", "scheduler": "Automatic"},
            {"sampler": "dpmpp_2m", "scheduler": "karras"},
        ),
        "sampler with another schedule": (
            "sdxl",
            {"sampler_name": "DPM++ 2M", "scheduler": "SGM Uniform"},
            {"sampler": "dpmpp_2m", "scheduler": "sgm_uniform"},
        ),
        "LoRAs": (
            "sdxl",
            {"prompt": "a fox <lora:one:0.8><lora:two:0.5:1> <lora:three>"},
            {"loras": ["one:0.8", "two:1:0.5", "three"]},
        ),
        "a preset as style": ("sdxl", {"styles": ["draft"]}, {"preset": "draft"}),
        "parameters of the workflow's own": ("sdxl", {"checkpoint": "a"}, {"checkpoint": "a"}),
        "a second pass": (
            "flux-hires",
            {"enable_hr": True, "hr_scale": 1.5, "hr_second_pass_steps": 9},
            {"scale": 1.5, "hires_steps": 9},
        ),
        "a picture and its mask": (
            "sd15-inpaint",
            {"init_images": ["-"], "mask": "-", "denoising_strength": 0.5, "resize_mode": 1},
            {
                "image": {"source": "asset:picture", "fit": "cover"},
                "mask": {"source": "asset:mask", "fit": "cover"},
                "denoise": 0.5,
            },
        ),
    }
    with Cells() as each:
        for place, (name, fields, wanted) in cells.items():
            with each.cell(place):
                assert values(name, **fields) == [FOX | wanted]
        with each.cell("a negative prompt as style"):
            style, text = next(iter(WORKFLOWS.get("sdxl").negative_prompts.items()))
            [made] = values("sdxl", styles=[style], negative_prompt="dark")
            assert made["negative_prompt"] == f"dark, {text}"
        with each.cell("several, whose seed is counted up"):
            made_all = values("sdxl", batch_size=2, n_iter=2, seed=7)
            assert [one["seed"] for one in made_all] == [7, 8, 9, 10]
        with each.cell("what has no effect is told"):
            made_asked = asked("upscale-4x", prompt="", steps=4, sampler_name="Euler")
            assert dict(made_asked.requests[0].values) == {}
            assert [text.partition(" ")[0] for text in made_asked.comments] == [
                "steps",
                "sampler_name",
            ]


def test_what_no_workflow_heeds_is_refused_by_its_name() -> None:
    cells: dict[str, tuple[str, dict[str, Any]]] = {
        "n_iter": ("sdxl", {"n_iter": 9, "batch_size": 9}),
        "styles": ("sdxl", {"styles": ["none"]}),
        "script_name": ("sdxl", {"script_name": "x/y/z plot"}),
        "alwayson_scripts.ControlNet": (
            "sdxl",
            {"alwayson_scripts": {"ControlNet": {"args": [{"model": "a"}]}}},
        ),
        "enable_hr": ("sdxl", {"enable_hr": True}),
        "hr_resize_x": ("flux-hires", {"enable_hr": True, "hr_resize_x": 64}),
        "restore_faces": ("sdxl", {"restore_faces": True}),
        "override_settings.sd_vae": ("sdxl", {"override_settings": {"sd_vae": "a.pt"}}),
        "override_settings.CLIP_stop_at_last_layers": (
            "sdxl",
            {"override_settings": {"CLIP_stop_at_last_layers": 2}},
        ),
        "init_images": ("sd15-img2img", {"init_images": ["-", "-"]}),
        "resize_mode": ("sd15-img2img", {"init_images": ["-"], "resize_mode": 3}),
        "inpainting_mask_invert": (
            "sd15-inpaint",
            {"init_images": ["-"], "mask": "-", "inpainting_mask_invert": 1},
        ),
        "prompt": ("sdxl", {"prompt": "a fox <lora:style:much>"}),
    }
    with Cells() as each:
        for place, (name, fields) in cells.items():
            with each.cell(place):
                with pytest.raises(InvalidRequest) as refusal:
                    asked(name, **fields)
                assert [one.field for one in refusal.value.fields] == [place]
        with each.cell("another network"), pytest.raises(InvalidRequest, match="hypernet"):
            asked("sdxl", prompt="a fox <hypernet:a:1>")


def test_names_of_samplers_and_schedules_lead_there_and_back() -> None:
    for view in sampler_views(None):
        assert sampler_of(view.name).name == view.aliases[0] == sampler_of(view.aliases[0]).name
    for schedule in schedule_views(None):
        own = schedule.aliases and schedule.aliases[0]
        assert schedule_of(schedule.name) == schedule_of(schedule.label) == own
    old = sampler_of("DPM++ 2M Karras")
    assert (old.name, old.schedule) == ("dpmpp_2m", "karras")
    assert [view.name for view in sampler_views(["euler", "custom"])] == ["Euler", "custom"]
