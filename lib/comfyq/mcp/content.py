"""A job's outputs as the content of a tool's result."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from mcp import types

from comfyq.mcp.api import Api, ApiError, Json

Blocks = list[types.ContentBlock]

JOB_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "job_id": {"type": "string"},
        "status": {"enum": ["queued", "running", "completed", "failed", "canceled"]},
        "workflow": {"type": "string"},
        "title": {"type": ["string", "null"]},  # how its prompt begins
        "progress": {"type": "number"},
        "seed": {"type": ["integer", "null"]},
        "simulated": {"type": "boolean"},
        "error": {"type": ["string", "null"]},
        "error_code": {"type": ["string", "null"]},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "filename": {"type": "string"},
                    "kind": {"enum": ["image", "video", "audio", "text", "file"]},
                    "content_type": {"type": "string"},
                    "size": {"type": "integer"},
                    "url": {"type": "string"},
                },
                "required": ["filename", "kind", "content_type", "size", "url"],
            },
        },
    },
    "required": ["job_id", "status", "workflow", "outputs"],
}
OF_OUTPUTS = ("filename", "kind", "content_type", "size", "url")
SAME = (
    *("status", "workflow", "title", "progress", "seed", "simulated"),
    *("error", "error_code", "warnings"),
)


def structured(job: Json) -> dict[str, Any]:
    """Return a job as an object of ``JOB_SCHEMA``."""
    outputs = [{name: each[name] for name in OF_OUTPUTS} for each in _outputs(job)]
    same = {name: job[name] for name in SAME if name in job}
    return {"job_id": job["id"], **same, "outputs": outputs}


def _outputs(job: Json) -> Sequence[Json]:
    """Return what a job lists of its outputs; a server may leave out what is empty, or null."""
    outputs: Sequence[Json] = job.get("outputs") or ()
    return outputs


def told(job: Json) -> str:
    """Say in words how a job is."""
    lines = [f"Job {job['id']} of {job['workflow']}: {job['status']}."]
    if job["status"] in ("queued", "running"):
        lines.append(f"{doing(job)}. `job_status` with this id tells how it goes on.")
    if job.get("error"):
        lines.append(f"Error {job.get('error_code')}: {job['error']}")
    if job.get("seed") is not None:
        lines.append(f"Seed: {job['seed']}.")
    if job.get("simulated"):
        lines.append("A simulator made this: no picture is real.")
    lines += [f"Warning: {each}" for each in job.get("warnings") or ()]
    lines += [
        f"Output {each['filename']}: {each['content_type']}, {each['size']} bytes, {each['url']}"
        for each in _outputs(job)
    ]
    if job.get("more_outputs"):
        lines.append(f"More outputs are listed at {job['more_outputs']}")
    return "\n".join(lines)


def doing(job: Json) -> str:
    """Say in a few words what a job waits for, or does."""
    if job["status"] == "queued":
        place, above = job.get("queue_position"), job.get("queue_position_above")
        if at := job.get("provisioning"):
            left = f", about {at['eta_s']} s left" if at.get("eta_s") else ""
            here = f"{at['bytes']} of {at['total']} bytes are there"
            return f"Its worker fetches its models: {here}{left}"
        if job.get("waits_for"):
            return f"It waits for {job['waits_for']}"
        if place:
            return f"It waits as number {place}"
        return f"It waits behind {above} others" if above else "It is about to begin"
    if job["status"] != "running":
        return "It has ended"
    steps = f", step {job['step']} of {job['max_steps']}" if job.get("max_steps") else ""
    nodes = f", {job['nodes_done']} of {job['nodes_total']} nodes" if job.get("nodes_total") else ""
    left = f", about {job['eta_s']} s left" if job.get("eta_s") else ""
    return f"It runs {job.get('node_class') or ''}".rstrip() + steps + nodes + left


async def content_of(job: Json, api: Api, *, inline_bytes: int) -> Blocks:
    """Return what a job made: text, pictures and sounds as they are while all of them together have
    at most ``inline_bytes``, everything else as links."""
    blocks: Blocks = [_text(told(job))]
    left = inline_bytes
    for output in _outputs(job):
        shown = await _inline(job["id"], output, api, left)
        if shown is not None:
            left -= output["size"]
        blocks.append(shown or _link(output))
    return blocks


async def _inline(job_id: str, output: Json, api: Api, most: int) -> types.ContentBlock | None:
    """Return an output itself; None: it is too large for that, or of another kind."""
    if output.get("text") is not None:
        return _text(output["text"])
    if output["kind"] not in ("image", "audio") or output["size"] > most:
        return None
    try:
        data = b64encode(await api.read(job_id, output)).decode()
    except ApiError:  # the link may be of use elsewhere
        return None
    if output["kind"] == "image":
        return types.ImageContent(data=data, mime_type=output["content_type"])
    return types.AudioContent(data=data, mime_type=output["content_type"])


def _link(output: Json) -> types.ResourceLink:
    return types.ResourceLink(
        name=output["filename"],
        uri=output["url"],
        mime_type=output["content_type"],
        size=output["size"],
        description=f"A file of the kind {output['kind']}; the link expires.",
    )


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def refused(error: ApiError) -> types.CallToolResult:
    """Return what a tool says that cannot do its work: the model may read it and do better."""
    return types.CallToolResult(content=[_text(str(error))], is_error=True)


def listed(lines: Sequence[str], **structured: Any) -> types.CallToolResult:
    """Return a list, both for reading and as an object."""
    text = "\n".join(lines) or "None."
    return types.CallToolResult(content=[_text(text)], structured_content=structured)
