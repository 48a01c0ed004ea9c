"""The values of a workflow's parameters for a request in OpenAI's words.

Which parameter a field sets is known by the workflow's own names and kinds. What OpenAI's API has
and a workflow has not is refused by name, unless it asks for what is done anyway.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from comfyq.domain.errors import FieldError, InvalidRequest
from comfyq.domain.submission.request import Request
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.parameters import Parameter
from comfyq.domain.workflow.workflow import Workflow
from comfyq.wire.generate.requests import WorkflowValues, unreadable
from comfyq.wire.openai.images import ImageRequest

SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
AUTO = ("auto", "")
USUAL = (*AUTO, "standard")  # quality that a workflow has by itself
QUALITIES: Mapping[str, str] = {  # names of presets for OpenAI's
    "low": "draft",
    "medium": "balanced",
    "high": "high-quality",
    "hd": "high-quality",
}
# Fields of OpenAI's that no workflow heeds, with the values that ask for nothing.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "background": ("auto", "opaque"),
    "input_fidelity": (),
    "moderation": ("auto", "low"),
    "output_compression": (100, "100"),
    "output_format": ("png",),
    "partial_images": (0, "0"),
    "stream": (False, "false"),
    "style": (),
}
MASK_CHANNEL, ALPHA = "mask_channel", "alpha"
SEED = "seed"


def refused(field: str, message: str) -> InvalidRequest:
    """Return the refusal of one field."""
    return InvalidRequest(f"{field}: {message}", [FieldError(field, message)])


def requests_for(
    asked: ImageRequest,
    workflow: Workflow,
    *,
    base_url: str,
    images: Sequence[str] = (),
    mask: str | None = None,
) -> Sequence[Request]:
    """Return the requests whose jobs make the pictures, one for each; ``images`` and ``mask`` are
    sources of files.

    Raises:
        InvalidRequest: the workflow has no parameter for what is asked for.
    """
    values = _others(asked, workflow)
    mapped = {
        **_prompt(asked.prompt, workflow),
        **_size(asked.size, workflow),
        **_quality(asked.quality, workflow),
        **_images(images, workflow),
        **_mask(mask, workflow),
    }
    return [
        _request(_numbered(mapped | values, number), workflow, base_url)
        for number in range(asked.count)
    ]


def _request(values: Mapping[str, Any], workflow: Workflow, base_url: str) -> Request:
    try:
        request = WorkflowValues.model_validate(dict(values)).request(workflow.name)
    except ValidationError as invalid:
        raise unreadable(invalid) from invalid
    return replace(request, base_url=base_url)


def of_kind(workflow: Workflow, kind: str) -> Sequence[Parameter]:
    """Return the parameters of one kind, in the workflow's order."""
    return [each for each in workflow.parameters.values() if each.kind == kind]


def _others(asked: ImageRequest, workflow: Workflow) -> dict[str, Any]:
    """Return the fields that are the workflow's own parameters, or stand beside them."""
    values: dict[str, Any] = {}
    for name, value in asked.others.items():
        if name in workflow.parameters or name not in NEUTRAL:
            values[name] = _typed(workflow.parameters.get(name), value)
        elif value is not None and value not in NEUTRAL[name]:
            raise refused(name, f"workflow {workflow.name} has no parameter for it; leave it out")
    return values


def _typed(parameter: Parameter | None, value: Any) -> Any:
    """Return a form's text as the number, list or switch that a parameter takes."""
    is_text = parameter is None or parameter.kind in ("string", "enum", "ignored")
    if is_text or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # which the workflow refuses, or takes as the source of a file


def _prompt(prompt: str, workflow: Workflow) -> dict[str, Any]:
    if "prompt" in workflow.parameters:
        return {"prompt": prompt}
    if prompt.strip():
        raise refused("prompt", f"workflow {workflow.name} takes none; send an empty one")
    return {}


def _size(size: str | None, workflow: Workflow) -> dict[str, Any]:
    if size is None or size in AUTO:
        return {}
    written = SIZE.fullmatch(size)
    if written is None:
        raise refused("size", "must be WIDTHxHEIGHT in pixels, such as 1024x1024, or `auto`")
    if not {"width", "height"} <= workflow.parameters.keys():
        message = f"workflow {workflow.name} has no width and height; leave it out, or write `auto`"
        raise refused("size", message)
    return {"width": int(written[1]), "height": int(written[2])}


def _quality(quality: str | None, workflow: Workflow) -> dict[str, Any]:
    if quality is None or quality in USUAL:
        return {}
    if "quality" in workflow.parameters:
        return {"quality": quality}
    preset = quality if quality in workflow.presets else QUALITIES.get(quality, quality)
    if preset in workflow.presets:
        return {"preset": preset}
    if not workflow.presets:
        message = f"workflow {workflow.name} has no presets; leave it out, or write `auto`"
        raise refused("quality", message)
    raise refused("quality", f"is no preset of {workflow.name}; {among(quality, workflow.presets)}")


def _images(images: Sequence[str], workflow: Workflow) -> dict[str, Any]:
    takes = of_kind(workflow, "image")
    if len(images) > len(takes):
        most = f"takes {len(takes) or 'no'} picture{'' if len(takes) == 1 else 's'}"
        raise refused("image", f"workflow {workflow.name} {most}, and {len(images)} were sent")
    return {parameter.name: image for parameter, image in zip(takes, images, strict=False)}


def _mask(mask: str | None, workflow: Workflow) -> dict[str, Any]:
    """Return the mask, which is transparent where the picture is to be changed: a workflow that
    lets its requests choose the channel is told so."""
    if mask is None:
        return {}
    takes = of_kind(workflow, "mask")
    if not takes:
        raise refused("mask", f"workflow {workflow.name} takes no mask; leave it out")
    channel = workflow.parameters.get(MASK_CHANNEL)
    has_alpha = channel is not None and ALPHA in (channel.choices or ())
    return {takes[0].name: mask} | ({MASK_CHANNEL: ALPHA} if has_alpha else {})


def _numbered(values: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """Return the values of one of several pictures: a seed that was given is counted up."""
    seed = values.get(SEED)
    if number == 0 or not isinstance(seed, int) or seed < 0:
        return values
    return {**values, SEED: seed + number}
