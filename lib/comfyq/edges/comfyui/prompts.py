"""Requests to run a graph, as programs send them to ComfyUI: JSON under any content type."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request as HTTPRequest

from comfyq.domain.errors import FieldError, InvalidGraph, InvalidRequest
from comfyq.domain.graph.documents.encoding import MAX_DEPTH, depth_exceeds
from comfyq.domain.graph.graph import faults
from comfyq.domain.graph.traversal import reached
from comfyq.domain.job.model import HIGHEST_PRIORITY, NORMAL_PRIORITY
from comfyq.domain.submission.field_errors import NO_OUTPUTS
from comfyq.edges.comfyui.jobs import PROMPT, canonical, client_label

MAX_CLIENT_CHARS = 1_000
PNGINFO = "extra_pnginfo"
PARTNER = "api_key_comfy_org"
TARGETS = "partial_execution_targets"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request that could be read; ``graph`` is not checked yet."""

    graph: Mapping[str, Any]
    client: str | None  # the id that the client gave itself
    prompt_id: str | None  # that it gave the job
    priority: int
    pnginfo: Any
    partner_key: str | None

    @property
    def labels(self) -> dict[str, str]:
        labels = {} if self.client is None else dict(client_label(self.client))
        return labels if self.prompt_id is None else {**labels, PROMPT: self.prompt_id}

    @property
    def extra_data(self) -> Mapping[str, Any] | None:
        """Return what goes to ComfyUI beside the graph. All else is for servers, and not kept."""
        return None if self.pnginfo is None else {PNGINFO: self.pnginfo}


async def json_of(request: HTTPRequest) -> Mapping[str, Any]:
    """Return the object that a request has as its body; an empty one for none.

    Raises:
        InvalidRequest: it is none.
    """
    content = await request.body()
    if not content:
        return {}
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as wrong:  # of UTF-8 and of long numbers, too
        raise refused("body", f"is no JSON: {wrong}"[:200]) from None
    if not isinstance(body, Mapping):
        raise refused("body", "is no JSON object; write {...}")
    if depth_exceeds(body, MAX_DEPTH):
        raise refused("body", f"is nested more than {MAX_DEPTH} levels deep")
    return body


def prompt_of(body: Mapping[str, Any]) -> Prompt:
    """Read a request.

    Raises:
        InvalidGraph: there is no node in it.
        InvalidRequest: a field of it is missing, or cannot be what it is.
    """
    graph = body.get("prompt")
    if graph is None:
        raise refused("prompt", "No prompt provided")
    if not isinstance(graph, Mapping):
        raise refused("prompt", "is no JSON object of nodes by id, as “Export (API)” saves it")
    if not graph:
        raise InvalidGraph(f"graph: {NO_OUTPUTS}", [FieldError("graph", NO_OUTPUTS)])
    extra = body.get("extra_data") or {}
    if not isinstance(extra, Mapping):
        raise refused("extra_data", "is no JSON object; write {...}")
    return Prompt(
        graph=_needed_by(body.get(TARGETS), graph),
        client=_client_in(body, extra),
        prompt_id=_prompt_id_in(body),
        priority=HIGHEST_PRIORITY if _goes_first(body) else NORMAL_PRIORITY,
        pnginfo=extra.get(PNGINFO),
        partner_key=_partner_key_in(extra),
    )


def refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {message}", [FieldError(field, message)])


def _needed_by(targets: Any, graph: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what of a graph the nodes need that are to run; None: all are."""
    if targets is None:
        return graph
    if not isinstance(targets, list) or not all(isinstance(each, str) for each in targets):
        raise refused(TARGETS, "is no list of ids of nodes")
    there = [each for each in targets if each in graph]
    if not there:
        raise refused(TARGETS, "names no node of the graph; leave it out to run all outputs")
    if faults(graph):
        return graph  # whoever checks it says what is wrong
    needed = reached(graph, there)
    return {node: body for node, body in graph.items() if node in needed}


def _client_in(body: Mapping[str, Any], extra: Mapping[str, Any]) -> str | None:
    client = body.get("client_id", extra.get("client_id"))
    if not isinstance(client, str) or not client:  # nobody could open a socket under another one
        return None
    if len(client) > MAX_CLIENT_CHARS:
        raise refused("client_id", f"has over {MAX_CLIENT_CHARS} characters")
    return client


def _prompt_id_in(body: Mapping[str, Any]) -> str | None:
    given = body.get("prompt_id")
    if given is None:
        return None
    prompt_id = canonical(given) if isinstance(given, str) else None
    if prompt_id is None:
        raise refused("prompt_id", "is no UUID; leave it out, to be given one")
    return prompt_id


def _goes_first(body: Mapping[str, Any]) -> bool:
    """Return whether a job is to be run before the client's others: ComfyUI counts its prompts from
    0 on, and runs the one with the least number first."""
    number = body.get("number")
    is_below = isinstance(number, int | float) and number < 0
    return body.get("front") is True or is_below


def _partner_key_in(extra: Mapping[str, Any]) -> str | None:
    key = extra.get(PARTNER)
    if key is None or key == "":
        return None
    if not isinstance(key, str) or len(key) > MAX_CLIENT_CHARS or not key.isascii():
        raise refused(f"extra_data.{PARTNER}", "is no key")  # it is not repeated
    return key
