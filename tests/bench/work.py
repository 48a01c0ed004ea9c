"""The jobs that are measured, each as a graph for ComfyUI and as a request to comfyq."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.config import PROJECT
from comfyq.domain.workflow.workflow import Workflow
from tests.bench.client import Job

TRIVIAL = Path(__file__).parent / "workflows" / "trivial"
SMALL = {"prompt": "a sunset over mountains", "width": 64, "height": 64, "steps": 20}

_numbers = itertools.count(1)  # no two jobs are the same: ComfyUI would answer from its cache


@dataclass(frozen=True, slots=True)
class Work:
    graph: Job
    request: Job


Kind = Callable[[], Work]


def trivial() -> Work:
    """Save an empty picture: what remains is what the way to it costs."""
    color = next(_numbers)
    graph = json.loads((TRIVIAL / "graph.json").read_text())
    graph["1"]["inputs"]["color"] = color
    graph["2"]["inputs"]["filename_prefix"] = f"bench/{color}"
    return Work(graph, {"workflow": "trivial", "color": color})


def sleeping(seconds: float) -> Kind:
    """Return a maker of jobs that occupy ComfyUI for that long and compute next to nothing."""

    def made() -> Work:
        graph = dict(trivial().graph)
        graph["3"] = {
            "class_type": "LabSleep",
            "inputs": {
                "image": ["1", 0],
                "seconds": seconds,
                "ticks": 4,
                "interruptible": True,
                "nonce": 0,
            },
        }
        graph["2"]["inputs"]["images"] = ["3", 0]
        return Work(graph, {"graph": graph})

    return made


def flux() -> Work:
    parameters = {**SMALL, "seed": next(_numbers)}
    workflow = _flux_workflow()
    resolved = workflow.resolve(parameters, draw_seed=lambda: 0)
    return Work(workflow.bind(resolved.parameters), {"workflow": "flux-dev", **parameters})


def many(kind: Kind, count: int) -> Sequence[Work]:
    return [kind() for _ in range(count)]


@cache
def _flux_workflow() -> Workflow:
    return FolderWorkflows(PROJECT / "workflows").get("flux-dev")
