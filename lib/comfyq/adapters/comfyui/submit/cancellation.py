"""Stopping one prompt and no other."""

import asyncio
import re

from comfyq.adapters.comfyui.answers import mapping
from comfyq.adapters.comfyui.client import ComfyClient
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.ports.engine import EngineError, PromptId, PromptState

Version = tuple[int, ...]

TARGETED_INTERRUPT: Version = (0, 3, 56)


async def cancel(prompt_id: PromptId, *, client: ComfyClient, timing: EngineTiming) -> bool:
    """Delete a pending prompt or interrupt a running one; does nothing for any other.

    Returns True when the prompt is out of the queue, False after several requests: a node may not
    check for interrupts for minutes, and the prompt's follower sees the end. The request is
    repeated because ComfyUI drops an interrupt that arrives just before the prompt's first node,
    and because a pending prompt may start between the check and the deletion.

    The atomic route is requested first, without a look: a ComfyUI that is slow to answer has the
    request at once, even if the caller does not wait for the answer.

    Raises:
        EngineError: this ComfyUI is too old to interrupt one prompt only.
    """
    for pause_s in timing.cancel_looks_s:
        if not await client.cancel_job(prompt_id):
            await _cancel_by_state(prompt_id, client)
        if await client.queued(prompt_id) is None:
            return True
        await asyncio.sleep(pause_s)
    return False


async def _cancel_by_state(prompt_id: PromptId, client: ComfyClient) -> None:
    """Cancel in a ComfyUI before 0.25, which has no atomic route."""
    state = await client.queued(prompt_id)
    if state is PromptState.PENDING:
        await client.delete(prompt_id)
    elif state is PromptState.RUNNING:
        await _interrupt(prompt_id, client)


async def _interrupt(prompt_id: PromptId, client: ComfyClient) -> None:
    """Interrupt one prompt.

    This is not atomic: if the prompt ends between ComfyUI's check and the interrupt, the next
    prompt is interrupted instead, and its job is run again.
    """
    version = await _version(client)
    if version is None or version < TARGETED_INTERRUPT:
        raise EngineError(
            "this ComfyUI cannot interrupt one prompt only; update it to 0.3.56 or newer"
        )
    await client.interrupt(prompt_id)


async def _version(client: ComfyClient) -> Version | None:
    """Return ComfyUI's version; None if it is not numeric. It is read each time, because ComfyUI
    may have been updated meanwhile."""
    system = mapping((await client.system_stats()).get("system"))
    numbers = re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)", str(system.get("comfyui_version", "")))
    return tuple(int(n) for n in numbers.group(1).split(".")) if numbers else None
