"""Submitting a prompt to ComfyUI: as a whole or not at all, and never twice."""

import asyncio
import random
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from comfyq.adapters.comfyui.answers import mapping, sequence
from comfyq.adapters.comfyui.client import ComfyClient, Sighting
from comfyq.adapters.comfyui.replies import Reply
from comfyq.adapters.comfyui.submit.cancellation import cancel
from comfyq.adapters.comfyui.submit.refusal import classes_without_names, graph_refused
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.aio.logs import log
from comfyq.ports.engine import (
    EngineError,
    EngineUnavailable,
    GraphRefused,
    Prompt,
    PromptId,
    PromptState,
)

REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
CRASHES = 2  # 5xx answers to the same graph; then the graph is refused


class PromptSubmission:
    """The submission of one prompt."""

    def __init__(
        self, prompt: Prompt, *, client_id: str, client: ComfyClient, timing: EngineTiming
    ) -> None:
        self._prompt = prompt
        self._client = client
        self._timing = timing
        self._crashes = 0
        self._body = {
            "prompt": dict(prompt.graph),
            "prompt_id": prompt.id,
            "client_id": client_id,
            "extra_data": {**prompt.extra_data, **prompt.secrets},
        }

    async def run(self) -> None:
        """Submit the prompt; raises GraphRefused or, if ComfyUI may have it, EngineUnavailable."""
        pauses_s = iter(self._timing.submit_pauses_s)
        is_posted = False
        while True:
            try:
                # A POST whose answer got lost, or was a 5xx, may have queued it: look before the
                # next one. If that look fails, nothing is posted.
                if is_posted and await self._is_there():
                    return None
                is_posted = True
                return await self._post()
            except EngineUnavailable:
                pause_s = next(pauses_s, None)
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))

    async def _post(self) -> None:
        reply = await self._client.post_prompt(self._body)
        if reply.status == HTTPStatus.OK:
            return await self._check_accepted(mapping(reply.json()))
        if reply.status in REFUSALS:
            raise await self._refused(_body_of(reply))
        if reply.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            await self._note_crash(reply)
        raise EngineUnavailable(f"ComfyUI answers {reply.status} to prompt: {reply.text[:200]}")

    async def _check_accepted(self, body: Mapping[str, Any]) -> None:
        given = PromptId(str(body.get("prompt_id")))
        if given != self._prompt.id:
            await cancel(given, client=self._client, timing=self._timing)
            raise EngineError(
                "this ComfyUI takes no prompt ids of clients; update it to 0.3.44 or newer"
            )
        if body.get("node_errors"):
            # ComfyUI runs the part that is valid.
            refused = await self._refused(body)
            await self._withdraw()
            raise refused

    async def _refused(self, body: Mapping[str, Any]) -> GraphRefused:
        catalogue: dict[str, Any] = {}
        for class_type in classes_without_names(body):
            catalogue |= await self._client.object_info(class_type)
        return graph_refused(body, self._prompt.graph, catalogue)

    async def _note_crash(self, reply: Reply) -> None:
        """Raise GraphRefused if an otherwise sound ComfyUI fails repeatedly on this graph."""
        sighting = await self._client.look(self._prompt.id)
        if sighting.state is not PromptState.ABSENT:
            return
        self._crashes += 1
        if self._crashes >= CRASHES:
            await self._client.system_stats()
            raise GraphRefused(f"ComfyUI fails on this graph: {reply.text[:200]}")

    async def _is_there(self) -> bool:
        """Return whether a POST without an answer did queue the prompt.

        One read decides: ComfyUI serves requests one after another, so a prompt from a broken
        connection is queued before it answers the next request.
        """
        sighting = await self._client.look(self._prompt.id)
        if sighting.state is PromptState.ABSENT:
            return False
        await self._check_whole(sighting)
        return True

    async def _check_whole(self, sighting: Sighting) -> None:
        """Raise GraphRefused if ComfyUI runs only a part of the prompt, as its queue entry shows:
        the answer that said so was lost."""
        if sighting.entry is None or len(sighting.entry) < 5:
            return
        catalogue = await self._client.object_info()
        graph = self._prompt.graph
        outputs = {
            node
            for node, body in graph.items()
            if mapping(catalogue.get(body["class_type"])).get("output_node")
        }
        kept = sequence(sighting.entry[4])
        left_out = sorted(node for node in outputs if node not in kept)
        if left_out:
            await self._withdraw()
            raise GraphRefused(f"ComfyUI leaves out the output nodes {', '.join(left_out)}")

    async def _withdraw(self) -> None:
        try:
            await cancel(self._prompt.id, client=self._client, timing=self._timing)
        except EngineError as error:
            # The graph is refused even if its valid part cannot be stopped.
            log.warning("refused_prompt_may_run", reason=str(error))


def _body_of(reply: Reply) -> Mapping[str, Any]:
    try:
        body = reply.json()
    except EngineUnavailable:
        body = None
    if isinstance(body, dict):
        return body
    return {"error": {"message": reply.text[:200]}}
