"""Show jobs to clients of ComfyUI's API: in its queue while they go on, and then in its history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.files.sources import shown_source
from comfyq.domain.graph.graph import Input, copied, set_input
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.job.client_text import for_clients
from comfyq.domain.job.output_id import WHOLE
from comfyq.domain.submission.spec import Spec
from comfyq.edges.comfyui.jobs import CLIENT, prompt_id_of
from comfyq.edges.comfyui.output_names import TYPE, output_name
from comfyq.records.times import to_ms
from comfyq.services.jobs.queries import JobQueries

KINDS: Mapping[OutputKind, str] = {  # under which ComfyUI's own nodes list their files
    OutputKind.IMAGE: "images",
    OutputKind.VIDEO: "images",
    OutputKind.AUDIO: "audio",
    OutputKind.TEXT: "text",
    OutputKind.FILE: "files",
}
Shown = dict[str, Any]


class ViewServices(Protocol):
    """The services that showing a job needs."""

    @property
    def queries(self) -> JobQueries: ...


def number_of(job: Job) -> int:
    """Return a number that grows with the time of submission, as ComfyUI's does."""
    return to_ms(job.created_at)


@dataclass(frozen=True, slots=True)
class ComfyUIViews:
    services: ViewServices

    async def queued(self, job: Job, spec: Spec) -> Sequence[Any]:
        """Show a job that goes on."""
        return _prompt(job, spec, outputs=())

    async def entry(self, job: Job, spec: Spec) -> Shown:
        """Show a job that has ended, and what it has made."""
        outputs = await self.outputs(job)
        ends = dict.fromkeys(outputs)
        return {
            "prompt": _prompt(job, spec, outputs=tuple(ends)),
            "outputs": outputs,
            "status": {
                "status_str": "success" if job.status is JobStatus.SUCCEEDED else "error",
                "completed": job.status is JobStatus.SUCCEEDED,
                "messages": [list(each) for each in messages(job)],
            },
            "meta": {node: _meta(node) for node in outputs},
        }

    async def outputs(self, job: Job) -> dict[str, Shown]:
        """Return what each node of a job has made."""
        if job.status is not JobStatus.SUCCEEDED:
            return {}
        _, page = await self.services.queries.asked_and_outputs(job)
        return outputs_by_node(job, page.outputs)


def outputs_by_node(job: Job, outputs: Sequence[Output]) -> dict[str, Shown]:
    nodes: dict[str, Shown] = {}
    for index, output in enumerate(outputs):
        shown = nodes.setdefault(output.node, {})
        if output.text is not None:
            shown.setdefault("text", []).append(output.text)
            continue
        kind = "files" if output.kind is OutputKind.TEXT else KINDS[output.kind]
        shown.setdefault(kind, []).append(_file(job, index, output))
        if output.kind is OutputKind.VIDEO:
            shown["animated"] = [True]
    return nodes


def messages(job: Job) -> Sequence[tuple[str, Shown]]:
    """Return what ComfyUI would have told of a job that has ended."""
    told: list[tuple[str, Shown]] = []
    if job.started_at is not None:
        told.append(("execution_start", _told(job, job.started_at)))
        told.append(("execution_cached", {"nodes": [], **_told(job, job.started_at)}))
    kind, data = end_of(job)
    return [*told, (kind, data)]


def end_of(job: Job) -> tuple[str, Shown]:
    """Return the message of a job's end."""
    told = _told(job, job.ended_at or job.created_at)
    if job.status is JobStatus.SUCCEEDED:
        return "execution_success", told
    node = job.error.node if job.error and job.error.node else job.progress.node
    place: Shown = {"node_id": node, "node_type": job.progress.message, "executed": []}
    if job.status is JobStatus.CANCELED:
        return "execution_interrupted", told | place
    code = job.error.code if job.error else "expired"
    text = failure_text(job)
    return "execution_error", told | place | {
        "exception_message": text,
        "exception_type": code,
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
    }


def failure_text(job: Job) -> str:
    if job.error is None:
        return "no worker has begun it in time"
    return for_clients("\n".join((job.error.message, *job.error.details)))


def _prompt(job: Job, spec: Spec, *, outputs: Sequence[str]) -> Sequence[Any]:
    extra: Shown = {"create_time": to_ms(job.created_at)}
    if CLIENT in job.labels:
        extra["client_id"] = job.labels[CLIENT]
    if spec.pnginfo:
        extra["extra_pnginfo"] = dict(spec.pnginfo)
    return [number_of(job), prompt_id_of(job), _graph(spec), extra, list(outputs)]


def _graph(spec: Spec) -> Shown:
    """Return a graph as it may be sent again, with its files by where they come from."""
    graph = copied(spec.graph)
    for file in spec.inputs:
        set_input(graph, Input(file.node, file.input), shown_source(file.source))
    return graph


def _file(job: Job, index: int, output: Output) -> Shown:
    if WHOLE.fullmatch(job.id):
        return {"filename": output_name(job.id, index, output), "subfolder": "", "type": TYPE}
    return {"filename": output.filename, "subfolder": f"{job.id}/{index}", "type": TYPE}


def _told(job: Job, when: datetime) -> Shown:
    return {"prompt_id": prompt_id_of(job), "timestamp": to_ms(when)}


def _meta(node: str) -> Shown:
    return {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}
