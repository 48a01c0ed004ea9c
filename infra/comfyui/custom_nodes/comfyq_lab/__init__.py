"""Lets ComfyUI load the tiny models of `tiny_models.py`, and adds nodes that misbehave on demand.

ComfyUI derives most sizes from the weights, but reads those of text encoders from files of its
own and knows SD1.5, SDXL and Flux by their real widths. The three hooks below supply ours
instead; `sizes.json` is what both this node and the maker of the models read. A ComfyUI with this
node is for the tiny models only: it can no longer load real text encoders.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

import comfy.model_detection
import comfy.model_management
import comfy.sd1_clip
import comfy.supported_models
import comfy.utils

SIZES = json.loads(Path(__file__).with_name("sizes.json").read_text())


class TinySD15(comfy.supported_models.SD15):
    """SD1.5 as it is, but narrow."""

    unet_config = comfy.supported_models.SD15.unet_config | SIZES["unets"]["sd15"]


class TinySDXL(comfy.supported_models.SDXL):
    """SDXL as it is, but narrow and with one level."""

    unet_config = comfy.supported_models.SDXL.unet_config | SIZES["unets"]["sdxl"]


def shrink_text_encoders() -> None:
    """Pass our sizes through the option with which a text encoder's configuration is overridden."""
    real_init = comfy.sd1_clip.SDClipModel.__init__
    overrides = {f"{name}_model_config": size for name, size in SIZES["text_encoders"].items()}

    def init(self: Any, *args: Any, model_options: dict[str, Any] | None = None, **kw: Any) -> None:
        real_init(self, *args, model_options={**(model_options or {}), **overrides}, **kw)

    comfy.sd1_clip.SDClipModel.__init__ = init


def derive_flux_heads() -> None:
    """Derive the number of heads from the width; ComfyUI 0.3.75 takes it to be 24."""
    real_detect = comfy.model_detection.detect_unet_config

    def detect(*args: Any, **kw: Any) -> dict[str, Any] | None:
        config = real_detect(*args, **kw)
        if config and config.get("image_model") == "flux":
            config["num_heads"] = config["hidden_size"] // sum(config["axes_dim"])
        return config

    comfy.model_detection.detect_unet_config = detect


class LabSleep:
    """Passes an image on after `seconds`, in `ticks` steps of progress."""

    CATEGORY = "comfyq_lab"
    FUNCTION = "sleep"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE",),
                "seconds": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 600.0}),
                "ticks": ("INT", {"default": 10, "min": 1, "max": 1000}),
                "interruptible": ("BOOLEAN", {"default": True}),
                # Another value makes another graph, so that the cache does not answer for us.
                "nonce": ("INT", {"default": 0, "min": 0, "max": 2**62}),
            }
        }

    def sleep(
        self, image: Any, seconds: float, ticks: int, interruptible: bool, nonce: int
    ) -> tuple[Any]:
        progress = comfy.utils.ProgressBar(ticks)
        for _ in range(ticks):
            if interruptible:
                comfy.model_management.throw_exception_if_processing_interrupted()
            time.sleep(seconds / ticks)
            progress.update(1)
        return (image,)


class LabRaise:
    """Fails in one of the ways in which real nodes fail.

    `runtime` and `oom` end the prompt with `execution_error`. `sysexit` and `keyboard` are no
    `Exception`: they kill ComfyUI's worker thread, after which the prompt stays running for ever,
    HTTP goes on answering, and only a restart helps.
    """

    CATEGORY = "comfyq_lab"
    FUNCTION = "fail"
    RETURN_TYPES = ("IMAGE",)
    FAILURES: ClassVar[dict[str, tuple[type[BaseException], str]]] = {
        "runtime": (RuntimeError, "lab: deliberate failure"),
        "oom": (comfy.model_management.OOM_EXCEPTION, "fake OOM: tried to allocate 99.00 GiB"),
        "sysexit": (SystemExit, "lab: deliberate exit"),
        "keyboard": (KeyboardInterrupt, "lab: deliberate interrupt"),
    }

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "kind": (list(cls.FAILURES),)}}

    @classmethod
    def IS_CHANGED(cls, **_inputs: Any) -> float:
        """Not a number differs from itself, so the node is never taken from the cache."""
        return float("nan")

    def fail(self, image: Any, kind: str) -> tuple[Any]:
        failure, message = self.FAILURES[kind]
        raise failure(message)


class LabShow:
    """Shows what no client can have.

    `nested` makes every request for the prompt's history fail. So does `endless`, a number of too
    many digits, which also ends ComfyUI's process if the prompt's client listens. `crash` ends it
    as a fault in native code does. The others name files: one that does not exist, one that is
    refused for its dots, and one whose name is not Unicode.
    """

    CATEGORY = "comfyq_lab"
    FUNCTION = "show"
    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FILES: ClassVar[dict[str, str]] = {
        "missing": "nobody.png",
        "refused": "two..dots.png",
        "unnameable": "half\ud800.png",
    }

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "kind": (["nested", "endless", "crash", *cls.FILES],)}}

    @classmethod
    def IS_CHANGED(cls, **_inputs: Any) -> float:
        """Not a number differs from itself, so the node is never taken from the cache."""
        return float("nan")

    def show(self, image: Any, kind: str) -> dict[str, Any]:
        if kind == "crash":
            os._exit(70)
        if kind == "endless":
            return {"ui": {"value": [10**5000]}}
        if kind == "nested":
            text: Any = "deep"
            for _ in range(600):
                text = [text]
            return {"ui": {"text": [text]}}
        shown = {"filename": self.FILES[kind], "subfolder": "", "type": "output"}
        return {"ui": {"images": [shown]}}


NODE_CLASS_MAPPINGS = {"LabSleep": LabSleep, "LabRaise": LabRaise, "LabShow": LabShow}

comfy.supported_models.models += [TinySD15, TinySDXL]
shrink_text_encoders()
derive_flux_heads()
