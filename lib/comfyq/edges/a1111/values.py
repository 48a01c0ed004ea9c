"""The values of a workflow's parameters for a request in AUTOMATIC1111's words.

Its clients send every field that they have, each with what it is there by itself. So a number that
a workflow has no parameter for is without effect, which the answer tells; what would change the
picture otherwise, such as a script, is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from comfyq.domain.submission.request import Request
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.workflow import Workflow
from comfyq.edges.a1111.models import CHECKPOINT, IMAGE, MASK, of_kind
from comfyq.edges.a1111.prompts import prompt_of
from comfyq.edges.a1111.refusals import refused
from comfyq.edges.a1111.sampling import sampler_of, schedule_of
from comfyq.wire.a1111.requests import MOST_PICTURES, UNREPEATED, ImageToImage, TextToImage
from comfyq.wire.generate.requests import WorkflowValues, unreadable

LABELS = "labels"
OURS = {LABELS: {"api": "a1111"}}  # of every job, by which progress and interruption find it
NUMBERS: Mapping[str, str] = {"cfg_scale": "cfg", "steps": "steps", "width": "width"} | {
    "height": "height"
}
BESIDE = frozenset({"preset", "negative_preset", "priority", "reuse", "webhook_url"})
# Fields and options that no workflow heeds by themselves, with the values that ask for nothing.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "inpainting_mask_invert": (0, False),
    "refiner_checkpoint": ("", "None"),
    "restore_faces": (False,),
    "script_name": ("", "None"),
    "seed_resize_from_h": (0, -1),
    "seed_resize_from_w": (0, -1),
    "subseed_strength": (0,),
    "tiling": (False,),
}
OPTIONS: Mapping[str, tuple[str, tuple[Any, ...]]] = {  # with the parameter that takes it
    "sd_vae": ("vae", ("", "Automatic", "None")),
    "CLIP_stop_at_last_layers": ("clip_skip", (1, 0)),
}
FITS: Mapping[int, str | None] = {0: None, 1: "cover", 2: "contain"}  # None: as the workflow does


@dataclass(slots=True)
class Making:
    """Values of one request as they are found, and what had no effect."""

    workflow: Workflow
    values: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    def set(self, name: str, value: Any, *, sent_as: str) -> None:
        """Set a parameter to a value; None stands for what was left out."""
        if value is None:
            return
        if name in self.workflow.parameters:
            self.values[name] = value
        else:
            self.comments.append(f"{sent_as} has no effect on workflow {self.workflow.name}")


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests whose jobs make the pictures, one for each, and what has no effect on them."""

    requests: Sequence[Request]
    comments: Sequence[str]


def asked_of(
    body: TextToImage,
    workflow: Workflow,
    *,
    base_url: str,
    images: Sequence[str] = (),
    mask: str | None = None,
) -> Asked:
    """Read a request; ``images`` and ``mask`` are sources of files.

    Raises:
        InvalidRequest: the workflow has no parameter for what is asked for, or a field has text
            that is not Unicode.
    """
    _check_text(body)
    if body.count > MOST_PICTURES:
        message = f"{body.count} pictures with `batch_size`; one request makes {MOST_PICTURES}"
        raise refused("n_iter", message)
    making = Making(workflow)
    _texts(body, making)
    for name, parameter in NUMBERS.items():
        making.set(parameter, getattr(body, name), sent_as=name)
    _sampling(body, making)
    _second_pass(body, making)
    if isinstance(body, ImageToImage):
        _pictures(body, making, images, mask)
    _options(body.overrides, making)
    _scripts(body.alwayson_scripts or {})
    _others(body.others, making)
    values = [_numbered(making, body.seed, number) for number in range(body.count)]
    return Asked([request_of(each, workflow, base_url) for each in values], making.comments)


def request_of(values: Mapping[str, Any], workflow: Workflow, base_url: str) -> Request:
    """Return a request for a workflow; raises InvalidRequest."""
    try:
        request = WorkflowValues.model_validate({**OURS, **values}).request(workflow.name)
    except ValidationError as invalid:
        raise unreadable(invalid) from invalid
    return replace(request, base_url=base_url)


def _check_text(body: TextToImage) -> None:
    """Refuse what the answer, which repeats the request, could not tell once its jobs are made."""
    for name, value in body.model_dump(exclude_unset=True, exclude=set(UNREPEATED)).items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            message = "has half a surrogate pair; it must be valid Unicode"
            raise refused(name[:60], message) from None


def _texts(body: TextToImage, making: Making) -> None:
    workflow = making.workflow
    takes = workflow.parameters.get("prompt")
    prompt = prompt_of(body.prompt or "", max_chars=takes.max_length if takes else 0)
    if "prompt" in workflow.parameters or prompt.text:
        making.set("prompt", prompt.text, sent_as="prompt")
    if prompt.loras:
        if not of_kind(workflow, "loras"):
            raise refused("prompt", f"workflow {workflow.name} takes no LoRAs; remove <lora:…>")
        making.set(of_kind(workflow, "loras")[0], list(prompt.loras), sent_as="prompt")
    negative = [body.negative_prompt] if body.negative_prompt else []
    for style in filter(None, body.styles or ()):
        if style in workflow.presets:
            making.values["preset"] = style
        elif style in workflow.negative_prompts:
            negative.append(workflow.negative_prompts[style])
        else:
            names = [*workflow.presets, *workflow.negative_prompts]
            raise refused(
                "styles", f"{style[:60]!r} is none of {workflow.name}'s; " + among(style, names)
            )
    takes_negative = "negative_prompt" in workflow.parameters
    if negative or (takes_negative and body.negative_prompt is not None):
        making.set("negative_prompt", ", ".join(negative), sent_as="negative_prompt")


def _sampling(body: TextToImage, making: Making) -> None:
    name, schedule = body.sampler_name or body.sampler_index, schedule_of(body.scheduler or "")
    if name:
        sampler = sampler_of(name)
        making.set("sampler", sampler.name, sent_as="sampler_name")
        if "sampler" in making.workflow.parameters:
            schedule = schedule or sampler.schedule
    making.set("scheduler", schedule, sent_as="scheduler")


def _second_pass(body: TextToImage, making: Making) -> None:
    """Set what enlarges a picture that was made: only workflows that always do so have it."""
    has_pass = "scale" in making.workflow.parameters
    if body.enable_hr and not has_pass:
        message = f"workflow {making.workflow.name} has no second pass; flux-hires has"
        raise refused("enable_hr", message)
    for name in ("hr_resize_x", "hr_resize_y"):
        if body.enable_hr and body.others.get(name):
            raise refused(name, "is not taken; send `hr_scale`")
    if body.enable_hr:
        making.set("scale", body.hr_scale, sent_as="hr_scale")
        steps = body.hr_second_pass_steps or None
        making.set("hires_steps", steps, sent_as="hr_second_pass_steps")
    if body.enable_hr or isinstance(body, ImageToImage):
        making.set("denoise", body.denoising_strength, sent_as="denoising_strength")


def _pictures(body: ImageToImage, making: Making, images: Sequence[str], mask: str | None) -> None:
    workflow, takes = making.workflow, of_kind(making.workflow, IMAGE)
    if len(images) > len(takes):
        most = f"takes {len(takes) or 'no'} picture{'' if len(takes) == 1 else 's'}"
        raise refused("init_images", f"workflow {workflow.name} {most}; {len(images)} were sent")
    if body.resize_mode not in (None, *FITS):
        raise refused("resize_mode", "must be 0, 1 (crop) or 2 (fill); no other is known here")
    fit = FITS.get(body.resize_mode or 0)
    for name, source in zip(takes, images, strict=False):
        making.values[name] = source if fit is None else {"source": source, "fit": fit}
    if mask is not None:
        name = of_kind(workflow, MASK)[0]
        making.values[name] = mask if fit is None else {"source": mask, "fit": fit}


def _options(options: Mapping[str, Any], making: Making) -> None:
    for name, value in options.items():
        parameter, neutral = OPTIONS.get(name, (name, ()))
        if parameter in making.workflow.parameters and value not in neutral:
            making.values[parameter] = value
        elif name == CHECKPOINT or value is None or value in neutral:
            continue
        elif name in OPTIONS:
            place, workflow = f"override_settings.{name}", making.workflow.name
            raise refused(place, f"workflow {workflow} has no parameter for it; leave it out")
        else:
            making.comments.append(f"override_settings.{name[:60]} has no effect")


def _scripts(scripts: Mapping[str, Any]) -> None:
    """Refuse scripts that would do something."""
    for name, script in scripts.items():
        given = script.get("args") if isinstance(script, Mapping) else script
        if any(given) if isinstance(given, list) else given:
            place = f"alwayson_scripts.{name[:60]}"
            raise refused(place, "no script runs here; a workflow has nodes for what it does")


def _others(others: Mapping[str, Any], making: Making) -> None:
    """Take what is a parameter of the workflow, and refuse what no workflow heeds."""
    for name, value in others.items():
        if name in making.workflow.parameters or name in BESIDE:
            making.values[name] = value
        elif name == LABELS:
            making.values[name] = {**value, **OURS[LABELS]} if isinstance(value, dict) else value
        elif name in NEUTRAL and value is not None and value not in NEUTRAL[name]:
            workflow = making.workflow.name
            raise refused(name, f"workflow {workflow} has no parameter for it; leave it out")


def _numbered(making: Making, seed: int | None, number: int) -> dict[str, Any]:
    """Return the values of one of several pictures: a seed that was given is counted up."""
    if seed is None or seed < 0:
        return dict(making.values)
    if "seed" not in making.workflow.parameters:
        return dict(making.values)
    return {**making.values, "seed": seed + number}
