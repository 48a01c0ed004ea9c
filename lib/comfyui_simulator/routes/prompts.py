"""Prompts: sending them in, looking at queue and history, stopping them."""

import itertools
import uuid
from typing import Any

from aiohttp import web

from comfyui_simulator import messages
from comfyui_simulator.messages import JsonObject
from comfyui_simulator.parts import Parts
from comfyui_simulator.running.prompt_queue import DuplicatePrompt, Prompt
from comfyui_simulator.validation import problems
from comfyui_simulator.validation.problems import Problem
from comfyui_simulator.validation.validation import validate

SENSITIVE = ("auth_token_comfy_org", "api_key_comfy_org")
"""What ComfyUI hands to nodes that ask for it, and leaves out of its queue and history."""


def routes(parts: Parts) -> list[web.RouteDef]:
    desk = PromptRoutes(parts)
    return [
        web.post("/prompt", desk.submit),
        web.get("/prompt", desk.count),
        web.get("/queue", desk.show_queue),
        web.post("/queue", desk.change_queue),
        web.get("/history", desk.show_history),
        web.get("/history/{prompt_id}", desk.show_ended),
        web.post("/history", desk.change_history),
        web.post("/interrupt", desk.interrupt),
        web.post("/free", desk.free),
    ]


class PromptRoutes:
    """Handlers of one simulator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._numbers = itertools.count()

    async def submit(self, request: web.Request) -> web.Response:
        """POST /prompt."""
        body = await json_object(request)
        number = self._number(body)
        if "prompt" not in body:
            return _rejected(problems.no_prompt())
        prompt_id = self._prompt_id(body)
        if prompt_id is None:
            return _rejected(problems.bad_prompt_id())
        graph = _graph(body["prompt"])
        targets = body.get("partial_execution_targets")
        verdict = validate(graph, rules=self._parts.rules, targets=targets)
        if verdict.error:
            self._parts.stats.prompts_invalid += 1
            return _rejected(verdict.error, verdict.node_errors)
        prompt = Prompt(number, prompt_id, graph, _extra_data(body), verdict.outputs)
        self._accept(prompt)
        answer = {"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors}
        return web.json_response(answer)

    def _accept(self, prompt: Prompt) -> None:
        self._parts.stats.prompts_received += 1
        is_refused = self._parts.faults.spend_refusal()
        if not is_refused or self._parts.faults.now.refuse_queued:
            try:
                self._parts.queue.put(prompt)
            except DuplicatePrompt as duplicate:
                raise server_error() from duplicate
        if is_refused:
            self._parts.stats.prompts_refused += 1
            raise server_error(self._parts.faults.now.refuse_status)

    def _number(self, body: JsonObject) -> float:
        if "number" in body:
            return float(body["number"])
        number = next(self._numbers)
        return -number if body.get("front") else number

    def _prompt_id(self, body: JsonObject) -> str | None:
        """The client's id or a new one; None if this generation refuses it."""
        wanted = body.get("prompt_id", str(uuid.uuid4()))
        if self._parts.settings.wire.uuid_prompt_ids and not is_canonical_uuid(wanted):
            return None
        return str(wanted)

    async def count(self, request: web.Request) -> web.Response:
        return web.json_response(messages.queue_info(self._parts.queue.remaining))

    async def show_queue(self, request: web.Request) -> web.Response:
        queue = self._parts.queue
        running = [] if queue.running is None else [queue.running.as_json()]
        pending = [prompt.as_json() for prompt in queue.pending]
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def change_queue(self, request: web.Request) -> web.Response:
        """Clear or delete what is pending; what runs is left alone."""
        body = await json_object(request)
        if body.get("clear"):
            self._parts.queue.clear()
        for prompt_id in body.get("delete", []):
            self._parts.queue.delete(prompt_id)
        return web.Response()

    async def show_history(self, request: web.Request) -> web.Response:
        items = list(self._parts.history.items())
        limit = int(request.query.get("max_items", len(items)))
        offset = int(request.query.get("offset", -1))
        first = max(0, len(items) - limit) if offset < 0 else offset
        return web.json_response(dict(items[first : first + limit]))

    async def show_ended(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        item = self._parts.history.get(prompt_id)
        return web.json_response({prompt_id: item} if item else {})

    async def change_history(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        if body.get("clear"):
            self._parts.history.clear()
        self._parts.history.delete(body.get("delete", []))
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        """Stop what runs, or only the prompt that is named."""
        body = await json_object(request) if request.can_read_body else {}
        self._parts.stats.interrupts_requested += 1
        self._parts.executor.interrupt(body.get("prompt_id") or None)
        return web.Response()

    async def free(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        if body.get("free_memory"):
            self._parts.executor.forget()
        if body.get("unload_models"):
            self._parts.stats.models_unloaded += 1
        return web.Response()


async def json_object(request: web.Request) -> JsonObject:
    """The body. Anything that is no JSON object is a server error in ComfyUI."""
    try:
        body = await request.json()
    except ValueError as error:
        raise server_error() from error
    if not isinstance(body, dict):
        raise server_error()
    return body


def server_error(status: int = 500) -> web.HTTPException:
    """Build the answer of a ComfyUI whose own code raised."""
    reason = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
    error = web.HTTPInternalServerError()
    error.set_status(status, reason.get(status, "Server Error"))
    error.text = f"{error.status} {error.reason}\n\nServer got itself in trouble"
    return error


def is_canonical_uuid(text: Any) -> bool:
    """Lower case, with hyphens."""
    try:
        return str(uuid.UUID(text)) == str(text)
    except (AttributeError, TypeError, ValueError):
        return False


def _graph(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(node, dict) for node in value.values()):
        raise server_error()
    return value


def _extra_data(body: JsonObject) -> JsonObject:
    given = body.get("extra_data") or {}
    extra: JsonObject = {name: given[name] for name in given if name not in SENSITIVE}
    if "client_id" in body:
        extra["client_id"] = body["client_id"]
    return extra | {"create_time": messages.now_ms()}


def _rejected(error: Problem, node_errors: JsonObject | None = None) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors or {}}, status=400)
