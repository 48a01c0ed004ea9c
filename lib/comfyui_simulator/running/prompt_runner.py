"""The one worker of ComfyUI: takes prompts from the queue, runs them, writes the history."""

import asyncio
import os
import time

from comfyui_simulator import messages
from comfyui_simulator.running.failures import EXIT_STATUS, ExecutorDied
from comfyui_simulator.running.prompt_queue import History, Prompt, PromptQueue
from comfyui_simulator.running.run import Cache, Run, RunContext

LOOP_CLOCK_S = 0.002


class PromptRunner:
    """Run one prompt after another until canceled, or until a prompt kills the worker thread."""

    def __init__(self, *, context: RunContext, queue: PromptQueue, history: History) -> None:
        self._around = context
        self._queue = queue
        self._history = history
        self._cache: Cache = {}
        self._is_to_forget = False
        self._run: Run | None = None

    async def work(self) -> None:
        """Take prompts for ever. Returns only when a node kills the worker thread: its prompt stays
        running, and no other ever starts."""
        try:
            while True:
                await self._execute(await self._queue.take())
        except ExecutorDied:
            return

    def node_at_work_for(self, client_id: str) -> str | None:
        """The node that runs for this client right now."""
        if self._run is None or self._run.prompt.client_id != client_id:
            return None
        return self._run.at_node

    def interrupt(self, prompt_id: str | None = None) -> bool:
        """Request that the running prompt stop, only if it is the given one, if any; return whether
        that was requested."""
        running = self._queue.running
        if prompt_id is not None and (running is None or running.prompt_id != prompt_id):
            return False
        self._around.interrupt.requested = True
        return True

    def forget(self) -> None:
        """Drop all cached results, once what runs has ended."""
        self._is_to_forget = True

    async def _execute(self, prompt: Prompt) -> None:
        if self._around.faults.now.exit:
            os._exit(EXIT_STATUS)
        self._around.interrupt.requested = False
        self._around.nodes.stats.executions[prompt.prompt_id] += 1
        if self._is_to_forget:
            self._cache, self._is_to_forget = {}, False
        run = self._run = Run(prompt=prompt, context=self._around, cache=self._cache)
        await run.execute()
        self._cache = run.cache
        # Consumers that read the history on execution_success come too early in real life too.
        await _linger(self._around.nodes.settings.history_lag_s)
        self._run = None
        self._history.add(prompt.prompt_id, run.history_item())
        self._queue.finish()
        if prompt.client_id is not None:
            self._around.hub.send(messages.executing(None, prompt.prompt_id), prompt.client_id)


async def _linger(lag_s: float) -> None:
    """Let others run for so long; a short sleep would round up to what the selector can do."""
    if lag_s > LOOP_CLOCK_S:
        await asyncio.sleep(lag_s)
        return
    end_s = time.monotonic() + lag_s
    while True:
        await asyncio.sleep(0)
        if time.monotonic() >= end_s:
            return
