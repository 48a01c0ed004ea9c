"""Well-known inputs of ComfyUI's nodes, from which an import proposes parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The parameter that an input of this name becomes."""

    parameter: str
    kind: str
    title: str
    help: str
    group: str
    source: str = ""
    low: float | None = None  # where the catalogue says nothing
    high: float | None = None  # and at most so much, whatever the catalogue says
    beside: tuple[str, ...] = ()  # inputs that the node must have too

    @property
    def is_sampling(self) -> bool:
        """Return whether other classes have lists of their own under this name."""
        return self.source in ("samplers", "schedulers")


SEED = re.compile(r"(?:\w+_)?seed(?:_num|\d)?")
_SAMPLING = "sampling"
_PICTURE = "picture"
_MODEL = "model"

_SEED = Known(
    parameter="seed",
    kind="seed",
    title="Seed",
    help="The same seed gives the same result; -1 draws one, which the job then tells.",
    group=_SAMPLING,
)
_FPS = Known(
    parameter="fps",
    kind="number",
    title="Frame rate",
    help="Frames a second.",
    group="video",
    low=1.0,
    high=120.0,
)
KNOWN: Mapping[str, Known] = {
    "width": Known(
        parameter="width",
        kind="size",
        title="Width",
        help="Width in pixels.",
        group=_PICTURE,
        low=16,
        high=4096,
        beside=("height",),
    ),
    "height": Known(
        parameter="height",
        kind="size",
        title="Height",
        help="Height in pixels.",
        group=_PICTURE,
        low=16,
        high=4096,
        beside=("width",),
    ),
    "length": Known(
        parameter="frames",
        kind="integer",
        title="Frames",
        help="Length of the video in frames.",
        group="video",
        low=1,
        high=1_000,
        beside=("width", "height"),
    ),
    "batch_size": Known(
        parameter="batch_size",
        kind="integer",
        title="Pictures",
        help="How many are made at once.",
        group=_PICTURE,
        low=1,
        high=16,
    ),
    "steps": Known(
        parameter="steps",
        kind="integer",
        title="Steps",
        help="Sampling steps; more take longer in proportion.",
        group=_SAMPLING,
        low=1,
        high=150,
    ),
    "cfg": Known(
        parameter="cfg",
        kind="number",
        title="CFG scale",
        help="How hard the prompt is followed.",
        group=_SAMPLING,
        low=0.0,
        high=30.0,
    ),
    "guidance": Known(
        parameter="guidance",
        kind="number",
        title="Guidance",
        help="How hard the prompt is followed.",
        group=_SAMPLING,
        low=0.0,
        high=100.0,
    ),
    "denoise": Known(
        parameter="denoise",
        kind="number",
        title="Denoise",
        help="How much is changed: 0 nothing, 1 everything.",
        group=_SAMPLING,
        low=0.0,
        high=1.0,
    ),
    "seed": _SEED,
    "noise_seed": _SEED,
    "sampler_name": Known(
        parameter="sampler",
        kind="enum",
        title="Sampler",
        help="One of ComfyUI's samplers.",
        group=_SAMPLING,
        source="samplers",
    ),
    "scheduler": Known(
        parameter="scheduler",
        kind="enum",
        title="Scheduler",
        help="One of ComfyUI's noise schedules.",
        group=_SAMPLING,
        source="schedulers",
    ),
    "ckpt_name": Known(
        parameter="checkpoint",
        kind="enum",
        title="Checkpoint",
        help="The extension may be left out.",
        group=_MODEL,
        source="checkpoints",
    ),
    "unet_name": Known(
        parameter="model",
        kind="enum",
        title="Diffusion model",
        help="The extension may be left out.",
        group=_MODEL,
        source="diffusion_models",
    ),
    "aspect_ratio": Known(
        parameter="aspect_ratio",
        kind="enum",
        title="Aspect ratio",
        help="Width to height.",
        group=_PICTURE,
    ),
    "resolution": Known(
        parameter="resolution",
        kind="enum",
        title="Resolution",
        help="The size of what is made.",
        group=_PICTURE,
    ),
    "seconds": Known(
        parameter="seconds",
        kind="number",
        title="Length",
        help="Length in seconds.",
        group="sound",
        low=1.0,
        high=1_000.0,
    ),
    "fps": _FPS,
    "frame_rate": _FPS,
}


def known_input(name: str) -> Known | None:
    """Return the parameter that an input of this name becomes; seeds have many names."""
    return KNOWN.get(name) or (_SEED if SEED.fullmatch(name) else None)
