"""Errors as ComfyUI's own API tells them: ``{"error": {type, message, details, extra_info},
"node_errors": {…}}``."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from comfyq.domain.submission.field_errors import NO_OUTPUTS
from comfyq.wire.contracts import plain_status
from comfyq.wire.problems import Problem

BASE = r"/(?:comfyui/)?(?:api/)?"  # a pattern: what may stand before each path of ComfyUI's
UPLOADS = rf"{BASE}upload/(?:image|mask)"
NAMES = (
    "embeddings|extensions|features|free|history|interrupt|models|object_info|prompt|queue"
    "|system_stats|upload|view|ws"
)
PATHS = re.compile(rf"{BASE}(?:{NAMES})(?:/.*)?|/comfyui(?:/.*)?", re.DOTALL)
OWN = re.compile(r"/ws/progress(?:/.*)?", re.DOTALL)  # comfyq's own, below a path of ComfyUI's

MISSING_NODE = "missing_node_type"
NODE = re.compile(r"graph\.(?P<node>.+)")
FAILED = "prompt_outputs_failed_validation", "Prompt outputs failed validation"
EMPTY = "prompt_no_outputs", "Prompt has no outputs"
BY_FIELD: Mapping[str, tuple[str, str]] = {  # of the body, where ComfyUI has words of its own
    "prompt": ("no_prompt", "No prompt provided"),
    "prompt_id": ("invalid_prompt_id", "Invalid prompt_id"),
}


class ErrorBody(BaseModel):
    type: str
    message: str
    details: str
    extra_info: dict[str, Any]


class ErrorEnvelope(BaseModel):
    error: ErrorBody
    node_errors: dict[str, Any] = {}


def is_enveloped(path: str) -> bool:
    """Return whether errors of ``path`` are told so."""
    return PATHS.fullmatch(path) is not None and OWN.fullmatch(path) is None


def status_of(problem: Problem) -> int:
    """Return the status of a problem."""
    return plain_status(problem)


def enveloped(problem: Problem) -> ErrorEnvelope:
    """Tell a problem as ComfyUI would, and one that it does not know by our own code."""
    if problem.node_errors:
        return _of_nodes(problem, problem.node_errors)
    first = problem.errors[0] if problem.errors else None
    if first is not None and first.message == NO_OUTPUTS:
        return _told(*EMPTY, details="")
    node = NODE.fullmatch(first.field) if first is not None else None
    if first is not None and node is not None and "`class_type`" in first.message:
        extra = {"node_id": node["node"], "class_type": None}
        message = "Node has no class_type. The workflow may be corrupted."
        return _told(MISSING_NODE, message, details=f"Node ID '#{node['node']}'", **extra)
    if first is not None and first.field in BY_FIELD:
        return _told(*BY_FIELD[first.field], details=first.message)
    return _told(problem.code.replace("-", "_"), problem.detail, details="")


def _of_nodes(problem: Problem, node_errors: Mapping[str, Any]) -> ErrorEnvelope:
    """ComfyUI tells the first class that it does not have, and no others with it."""
    errors = [error for node in node_errors.values() for error in node["errors"]]
    missing = next((error for error in errors if error["type"] == MISSING_NODE), None)
    if missing is not None:
        return ErrorEnvelope(error=ErrorBody(**missing))
    kind, message = FAILED
    error = ErrorBody(type=kind, message=message, details=problem.detail, extra_info={})
    return ErrorEnvelope(error=error, node_errors=dict(node_errors))


def _told(kind: str, message: str, *, details: str, **extra: Any) -> ErrorEnvelope:
    return ErrorEnvelope(
        error=ErrorBody(type=kind, message=message, details=details, extra_info=extra)
    )
