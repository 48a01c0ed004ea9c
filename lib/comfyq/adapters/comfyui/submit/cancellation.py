"""Stopping one prompt and no other."""

import asyncio
import re

from comfyq.adapters.comfyui.answers import mapping
from comfyq.adapters.comfyui.client import ComfyClient
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.ports.engine import EngineError, PromptId, PromptState

Version = tuple[int, ...]

TARGETED_INTERRUPT: Version = (0, 3, 56)
ATOMIC_CANCEL: Version = (0, 25)


async def cancel(prompt_id: PromptId, *, client: ComfyClient, timing: EngineTiming) -> None:
    """Delete a pending prompt, interrupt a running one; nothing to do for any other.

    Returns when the prompt is gone from the queue, or has been told several times: a node may not
    listen for minutes, and its follower will hear the end. It is told again because ComfyUI forgets
    an interrupt that comes in the instant before the prompt's first node, and because a pending
    prompt may start to run between the look and the stroke.

    Raises:
        EngineError: this ComfyUI is too old to interrupt one prompt only.
    """
    for pause_s in timing.cancel_looks_s:
        state = (await client.look(prompt_id)).state
        match state:
            case PromptState.PENDING:
                await client.delete(prompt_id)
            case PromptState.RUNNING:
                await _interrupt(prompt_id, client)
            case PromptState.ENDED | PromptState.ABSENT:
                return
        if (await client.look(prompt_id)).state in _GONE:
            return
        await asyncio.sleep(pause_s)


async def _interrupt(prompt_id: PromptId, client: ComfyClient) -> None:
    """The atomic cancel where there is one.

    The targeted interrupt looks and then strikes: a prompt that ends in between leaves the stroke
    to the next one, which then ends as interrupted by nobody and is run again.
    """
    version = await _version(client)
    if (version is None or version >= ATOMIC_CANCEL) and await client.cancel_job(prompt_id):
        return
    if version is None or version < TARGETED_INTERRUPT:
        raise EngineError(
            "this ComfyUI can only interrupt whatever runs; 0.3.56 or newer is needed"
        )
    await client.interrupt(prompt_id)


async def _version(client: ComfyClient) -> Version | None:
    """None where it is not told in numbers. Asked each time: ComfyUI may have been exchanged."""
    system = mapping((await client.system_stats()).get("system"))
    numbers = re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)", str(system.get("comfyui_version", "")))
    return tuple(int(n) for n in numbers.group(1).split(".")) if numbers else None


_GONE = (PromptState.ENDED, PromptState.ABSENT)
