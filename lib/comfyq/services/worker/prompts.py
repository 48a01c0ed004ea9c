"""Prompt ids, and the graph as one attempt submits it."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from comfyq.domain.files.job_paths import FOLDER
from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.saved_names import PREFIX
from comfyq.domain.graph.saving_nodes import saving_in
from comfyq.domain.job import Job, JobId
from comfyq.domain.partner_key import COMFYUI_NAME
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import MARK, Prompt, PromptId

SENDER, SAVER = "SaveImageWebsocket", "SaveImage"
"""The first sends its pictures over the socket and forgets them: they would be lost with the
connection. The second makes the same pictures, and files of them."""
NAMESPACE = uuid5(NAMESPACE_URL, "comfyq:prompt")


def prompt_id(job_id: JobId, attempt: int) -> PromptId:
    """Derive an attempt's prompt id; it is the same in every process, so that a later holder of
    the job can find the prompt."""
    return PromptId(str(uuid5(NAMESPACE, f"{job_id}/{attempt}")))


def prompts_of(job_id: JobId, *, attempts: int) -> Sequence[PromptId]:
    """Return the prompt ids of the first ``attempts``, newest first."""
    return [prompt_id(job_id, attempt) for attempt in range(attempts, 0, -1)]


def prompt_of(job: Job, spec: Spec, *, partner_key: str | None = None) -> Prompt:
    """Build the prompt of the job's attempt.

    Each attempt saves under its own prefix, because a run that ComfyUI has cached would otherwise
    write no files; and the prefix cannot be guessed, because another job's graph may put together
    any path. Nor does the prompt say whose job it is: graphs of others may read ComfyUI's history.
    """
    folder = f"{FOLDER}/{job.id}/{job.attempt}-{secrets.token_hex(8)}"
    graph = {node: _saving_in(folder, node, spec.graph) for node in spec.graph}
    extra: dict[str, Any] = {MARK: {"job_id": job.id, "attempt": job.attempt}}
    if spec.pnginfo:
        extra["extra_pnginfo"] = dict(spec.pnginfo)
    own = {} if partner_key is None else {COMFYUI_NAME: partner_key}
    return Prompt(prompt_id(job.id, job.attempt), graph, extra, secrets=own)


def _saving_in(folder: str, node: str, graph: Graph) -> Mapping[str, Any]:
    body = graph[node]
    if body["class_type"] == SENDER:
        inputs = {**body["inputs"], PREFIX: f"{folder}/output"}
        return {**body, "class_type": SAVER, "inputs": inputs}
    return {**body, "inputs": saving_in(folder, node, graph)}
