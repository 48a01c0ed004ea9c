"""Provenance of a job's outputs: enough to make them again."""

import re
from collections.abc import Sequence
from typing import Any

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.model_names import EXTENSIONS
from comfyq.domain.job import Job
from comfyq.domain.submission.spec import Spec

LOADER_INPUT = re.compile(r"(ckpt|unet|clip|vae|lora|control_net|style_model|model|gguf)_name\d?")


def describe(job: Job, spec: Spec, *, version: str) -> dict[str, Any]:
    """Describe how a job's outputs are made, by parameters or, for a client's own graph, the graph
    itself. ``version`` is comfyq's."""
    description: dict[str, Any] = {
        "job_id": job.id,
        "workflow": job.workflow,
        "parameters": dict(spec.parameters),
        "models": list(models_of(spec.graph)),
        "comfyq_version": version,
        "simulated": job.simulated,
    }
    if job.retry_of is not None:
        description["retry_of"] = job.retry_of
    return description if spec.parameters else description | {"graph": spec.graph}


def models_of(graph: Graph) -> Sequence[str]:
    """The files that the graph's loaders load, each once, in the order of its nodes."""
    names = (
        value
        for body in graph.values()
        for name, value in body["inputs"].items()
        if LOADER_INPUT.fullmatch(name) and isinstance(value, str)
    )
    return list(dict.fromkeys(each for each in names if each.lower().endswith(EXTENSIONS)))
