"""How pictures were made, as AUTOMATIC1111 tells it: by fields, and as a text that is read back."""

from collections.abc import Mapping, Sequence
from typing import Any

from comfyq.domain.submission.spec import Spec
from comfyq.edges.a1111.sampling import SAMPLERS, SCHEDULES

VERSION = "comfyq"
NAMES = {sampler.name: name for name, sampler in SAMPLERS.items()}
LABELS = dict(SCHEDULES.values())


def info_of(
    spec: Spec, *, workflow: str, seeds: Sequence[int | None], comments: Sequence[str]
) -> dict[str, Any]:
    """Describe pictures that are alike but for their ``seeds``."""
    values = spec.parameters
    prompt, negative = _text(values, "prompt"), _text(values, "negative_prompt")
    known = [-1 if seed is None else seed for seed in seeds]
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * len(known),
        "negative_prompt": negative,
        "all_negative_prompts": [negative] * len(known),
        "seed": known[0],
        "all_seeds": known,
        "subseed": -1,
        "all_subseeds": [-1] * len(known),
        "subseed_strength": 0,
        "width": values.get("width", 0),
        "height": values.get("height", 0),
        "sampler_name": _sampler(values) or "",
        "cfg_scale": values.get("cfg", 0),
        "steps": values.get("steps", 0),
        "batch_size": len(known),
        "restore_faces": False,
        "sd_model_name": workflow,
        "sd_model_hash": "",
        "denoising_strength": values.get("denoise"),
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": [_infotext(values, workflow, seed) for seed in known],
        "styles": [],
        "clip_skip": 1,
        "comments": "\n".join(comments),
        "version": VERSION,
    }


def _infotext(values: Mapping[str, Any], workflow: str, seed: int) -> str:
    told = {
        "Steps": values.get("steps"),
        "Sampler": _sampler(values),
        "Schedule type": LABELS.get(values.get("scheduler", ""), values.get("scheduler")),
        "CFG scale": values.get("cfg"),
        "Seed": seed,
        "Size": f"{values['width']}x{values['height']}"
        if {"width", "height"} <= values.keys()
        else None,
        "Model": workflow,
        "Denoising strength": values.get("denoise"),
        "Version": VERSION,
    }
    negative = _text(values, "negative_prompt")
    lines = [_text(values, "prompt"), f"Negative prompt: {negative}" if negative else ""]
    lines.append(", ".join(f"{name}: {value}" for name, value in told.items() if value is not None))
    return "\n".join(filter(None, lines))


def _sampler(values: Mapping[str, Any]) -> str | None:
    name = values.get("sampler")
    return None if name is None else NAMES.get(name, str(name))


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "")
