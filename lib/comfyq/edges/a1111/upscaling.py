"""The shipped workflow that makes pictures larger, as AUTOMATIC1111's upscalers."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from comfyq.domain.workflow.workflow import Workflow
from comfyq.edges.a1111.refusals import refused
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.wire.a1111.requests import Upscale

WORKFLOW = "upscale-4x"
MODEL = "model"  # its parameter
FACTOR = 4
NONE = "None"  # an upscaler that makes nothing larger


async def upscaler_of(library: WorkflowLibrary) -> Workflow:
    """Return the workflow. Raises WorkflowNotFound: it was removed."""
    return (await library.show(WORKFLOW)).workflow


def upscaler_names(workflow: Workflow) -> list[str]:
    """Return the models that a worker has, by the names that a request may use."""
    return short_names(workflow.parameters[MODEL].choices or ())


def short_names(files: Sequence[str]) -> list[str]:
    """Return files without their extensions, where that leaves no two with the same name."""
    stems = [PurePosixPath(file).with_suffix("").as_posix() for file in files]
    alike = Counter(stems)
    return [stem if alike[stem] == 1 else file for stem, file in zip(stems, files, strict=True)]


def upscale_values(body: Upscale, workflow: Workflow) -> dict[str, Any]:
    """Return the workflow's values but for the picture.

    Raises:
        InvalidRequest: something else is asked for.
    """
    if body.resize_mode not in (None, 0):
        raise refused("resize_mode", "must be 0: pictures are made larger by a factor")
    if body.upscaling_resize not in (None, FACTOR):
        raise refused("upscaling_resize", f"must be {FACTOR}: {WORKFLOW} makes no other size")
    if body.upscaler_1 == NONE:
        raise refused("upscaler_1", "names none; leave it out, or name one of /sdapi/v1/upscalers")
    if body.upscaler_2 not in (None, "", NONE):
        raise refused("upscaler_2", f"has no effect here; leave it out, or send {NONE!r}")
    for name in ("gfpgan_visibility", "codeformer_visibility"):
        if getattr(body, name):
            raise refused(name, "must be 0: faces are not restored")
    return {} if body.upscaler_1 is None else {MODEL: body.upscaler_1}
