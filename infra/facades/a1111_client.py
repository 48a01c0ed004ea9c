"""A client of AUTOMATIC1111's API, webuiapi, against a server of ours: tests run it in an
environment of its own.

    a1111_client.py HOST PORT WORKFLOW KEY

What the client got is printed as JSON.
"""

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

from pictures import png
from PIL import Image, PngImagePlugin
from webuiapi import WebUIApi

UPSCALER = "4x-UltraSharp"
UNKNOWN = "cq_unknown"  # a key


def picture(content: bytes) -> Any:
    return Image.open(io.BytesIO(content))


def refused(call: Any) -> list[Any]:
    """Return status and answer of a call that was refused."""
    try:
        call()
    except RuntimeError as error:
        status, text = error.args
        return [status, json.loads(text)]
    raise AssertionError("it was not refused")


def told(made: Any) -> dict[str, Any]:
    return {"sizes": [each.size for each in made.images], "info": made.info}


def listings(api: WebUIApi) -> dict[str, Any]:
    return {
        "models": [each["title"] for each in api.get_sd_models()],
        "samplers": [each["name"] for each in api.get_samplers()],
        "schedulers": [each["name"] for each in api.get_schedulers()],
        "upscalers": [each["name"] for each in api.get_upscalers()],
        "options": api.get_options()["sd_model_checkpoint"],
        "empty": [api.get_sd_vae(), api.get_hypernetworks(), api.get_face_restorers()],
        "scripts": api.get_scripts(),
        "embeddings": api.get_embeddings(),
        "memory": api.get_memory(),
        "flags": api.get_cmd_flags(),
        "loras": api.get_loras(),
        "styles": [each["name"] for each in api.get_prompt_styles()],
        "refreshed": api.refresh_checkpoints(),
    }


def main(host: str, port: str, workflow: str, key: str) -> None:
    api = WebUIApi(host=host, port=int(port), steps=2, username=workflow, password=key)
    small = {"width": 64, "height": 64}
    fox = {"prompt": "a fox", "seed": 7, **small}
    tagged = PngImagePlugin.PngInfo()
    tagged.add_text("parameters", "a fox\nSteps: 2")
    stranger = WebUIApi(host=host, port=int(port), username=workflow, password=UNKNOWN)
    photo, mask = picture(png((90, 90, 90))), picture(png((255, 255, 255)))
    answers = {
        "listings": listings(api),
        "several": told(api.txt2img(**fox, batch_size=2, negative_prompt="dark")),
        "other": told(
            api.txt2img(
                prompt="a fox",
                sampler_name="DPM++ 2M",
                override_settings={"sd_model_checkpoint": workflow},
                **small,
            )
        ),
        "edited": told(api.img2img(images=[photo], denoising_strength=0.5, **fox)),
        "masked": told(api.img2img(images=[photo], mask_image=mask, **fox)),
        "larger": told(api.extra_single_image(photo, upscaling_resize=4, upscaler_1=UPSCALER)),
        "progress": api.get_progress(),
        "stopped": [api.interrupt(), api.skip()],
        "same": api.set_options({"sd_model_checkpoint": workflow}),
        "another": chosen(api, "sdxl"),
        "png": api.png_info(_tagged(tagged)).info,
        "refusals": {
            "script": refused(lambda: api.txt2img(**fox, script_name="x/y/z plot")),
            "model": refused(
                lambda: api.txt2img(**fox, override_settings={"sd_model_checkpoint": "none"})
            ),
            "key": refused(lambda: stranger.txt2img(**fox)),
        },
    }
    json.dump(answers, sys.stdout)


def chosen(api: WebUIApi, model: str) -> str:
    """Choose a model; return which one is chosen then."""
    with redirect_stdout(sys.stderr):  # which it tells of it
        api.util_set_model(model)
    current: str = api.util_get_current_model()
    return current


def _tagged(info: PngImagePlugin.PngInfo) -> Any:
    """Return a picture with texts, which are sent along."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return picture(file.getvalue())


if __name__ == "__main__":
    main(*sys.argv[1:])
