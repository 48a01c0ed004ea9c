"""The execution of one prompt's graph."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from comfyui_simulator import messages
from comfyui_simulator.catalogue import Catalogue, NodeClass
from comfyui_simulator.faults import FaultSwitch
from comfyui_simulator.messages import Event, JsonObject, Preview
from comfyui_simulator.nodes.behaviours import BEHAVIOURS, combine, outside, sample
from comfyui_simulator.nodes.call import Call, NodeContext, NodeResult
from comfyui_simulator.nodes.output_nodes import files_in
from comfyui_simulator.running import failures
from comfyui_simulator.running.failures import ExecutorDied, Interrupted
from comfyui_simulator.running.progress_board import ProgressBoard
from comfyui_simulator.running.prompt_queue import Prompt
from comfyui_simulator.running.schedule import Schedule, Signatures, is_link
from comfyui_simulator.sockets import SocketHub

Cache = dict[str, NodeResult]
"""Results of the last prompt, by signature."""


@dataclass
class Interrupt:
    """The request to stop the running prompt; there is only one such flag."""

    requested: bool = False


@dataclass(frozen=True)
class RunContext:
    """The parts of the simulator that a run uses."""

    nodes: NodeContext
    catalogue: Catalogue
    hub: SocketHub
    faults: FaultSwitch
    interrupt: Interrupt


class Run:
    """Execute one prompt; afterwards `history_item` is its entry in the history."""

    def __init__(self, *, prompt: Prompt, context: RunContext, cache: Cache) -> None:
        self.prompt = prompt
        self.at_node: str | None = None
        self.is_success = False
        self._messages: list[tuple[str, JsonObject]] = []
        self._context = context
        self._executed: list[str] = []
        self._shown: dict[str, JsonObject] = {}
        settings = context.nodes.settings
        self._board = ProgressBoard(
            hub=context.hub,
            prompt_id=prompt.prompt_id,
            client_id=prompt.client_id,
            throttles=settings.wire.throttles_progress,
        )
        self._signatures = Signatures(
            graph=prompt.graph,
            catalogue=context.catalogue,
            outside=lambda node_id: outside(prompt.graph[node_id], context.nodes.storage),
        )
        self._results = self._kept_of(cache)

    @property
    def cache(self) -> Cache:
        """Return the results that the next prompt may use: those of this graph only."""
        signed = ((self._signatures.of(node_id), at) for node_id, at in self._results.items())
        return {signature: outcome for signature, outcome in signed if signature is not None}

    def history_item(self) -> JsonObject:
        """Build the prompt's entry in `/history`."""
        return {
            "prompt": self.prompt.as_json(),
            "outputs": self._shown,
            "status": {
                "status_str": "success" if self.is_success else "error",
                "completed": self.is_success,
                "messages": self._messages,
            },
            "meta": {node_id: messages.node_meta(node_id) for node_id in self._shown},
        }

    async def execute(self) -> None:
        """Run every node that the outputs need. Raises ExecutorDied; all else ends in history."""
        self._tell("execution_start")
        self._tell("execution_cached", nodes=list(self._results))
        schedule = Schedule(
            graph=self.prompt.graph,
            outputs=self.prompt.outputs,
            is_cached=self._results.__contains__,
            is_output=lambda node_id: self._class_of(node_id).is_output,
        )
        while (node_id := schedule.next()) is not None:
            if not await self._survives(node_id):
                return
            schedule.done(node_id)
            await asyncio.sleep(0)  # events leave while the next node runs
        self.is_success = True
        self._tell("execution_success")

    async def _survives(self, node_id: str) -> bool:
        try:
            await self._execute_node(node_id)
        except Interrupted:
            self._context.nodes.stats.interrupts_honoured += 1
            self._tell("execution_interrupted", is_for_all=True, **self._place(node_id))
            return False
        except ExecutorDied:
            raise
        except Exception as error:  # whatever a node raises is the client's to see
            self._tell("execution_error", **self._place(node_id), **self._described(node_id, error))
            return False
        return True

    async def _execute_node(self, node_id: str) -> None:
        outcome = self._results.get(node_id) or self._twin_result(node_id)
        if outcome is not None:
            self._results[node_id] = outcome
            self._show(node_id, outcome, was_cached=True)
            self._board.finish(node_id)
            return
        self._board.start(node_id)
        self.at_node = node_id
        self._send_named(messages.executing(node_id, self.prompt.prompt_id))
        await self._check()
        outcome = await self._call(node_id)
        self._show(node_id, outcome, was_cached=False)
        self._results[node_id] = outcome
        self._board.finish(node_id)
        self._executed.append(node_id)

    async def _call(self, node_id: str) -> NodeResult:
        kind = self._class_of(node_id)

        async def advance(
            value: int, total: int, picture: Callable[[], Awaitable[Preview]] | None = None
        ) -> None:
            await self._check()
            await self._board.advance(node_id, value, total, picture)

        habit = BEHAVIOURS.get(kind.name, combine)
        if habit is sample or kind.is_output:
            self._strike()
        return await habit(
            Call(
                context=self._context.nodes,
                prompt=self.prompt,
                kind=kind,
                inputs=self._resolved(node_id),
                advance=advance,
                check=self._check,
            )
        )

    def _strike(self) -> None:
        # Where a GPU works hardest is where it fails.
        if self._context.faults.now.device_fault:
            raise failures.device_fault()
        if self._context.faults.spend_oom():
            raise failures.out_of_memory("simulated: tried to allocate 99.00 GiB")

    async def _check(self) -> None:
        await self._context.faults.wait_while(lambda faults: faults.hang)
        if self._context.interrupt.requested:
            self._context.interrupt.requested = False
            raise Interrupted

    def _resolved(self, node_id: str) -> dict[str, Any]:
        return {
            name: self._results[value[0]].value.slot(int(value[1])) if is_link(value) else value
            for name, value in self.prompt.graph[node_id]["inputs"].items()
        }

    def _show(self, node_id: str, outcome: NodeResult, *, was_cached: bool) -> None:
        if not outcome.shows and not was_cached:
            return
        if outcome.shows:
            self._shown[node_id] = outcome.shows
        if self._context.faults.now.lose_outputs:
            for shown in files_in(outcome.shows):
                self._context.nodes.storage.lose(shown)
        output = outcome.shows or None
        self._send_named(messages.executed(node_id, output, self.prompt.prompt_id))

    def _kept_of(self, cache: Cache) -> dict[str, NodeResult]:
        signed = {node_id: self._signatures.of(node_id) for node_id in self.prompt.graph}
        return {
            node_id: cache[signature]
            for node_id, signature in signed.items()
            if signature is not None and signature in cache
        }

    def _twin_result(self, node_id: str) -> NodeResult | None:
        """The result of a node of this graph that is made of the same."""
        return self.cache.get(self._signatures.of(node_id) or "")

    def _class_of(self, node_id: str) -> NodeClass:
        return self._context.catalogue[self.prompt.graph[node_id]["class_type"]]

    def _place(self, node_id: str) -> JsonObject:
        return {
            "node_id": node_id,
            "node_type": self._class_of(node_id).name,
            "executed": list(self._executed),
        }

    def _described(self, node_id: str, error: Exception) -> JsonObject:
        failure = failures.named(error)
        inputs = self.prompt.graph[node_id]["inputs"]
        return {
            "exception_message": f"{failure.message}\n{failure.tips}",
            "exception_type": failure.exception_type,
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": {name: [value] for name, value in inputs.items()},
            "current_outputs": list(self._results),
        }

    def _tell(self, type_: str, *, is_for_all: bool = False, **data: Any) -> None:
        """Add an event to the history and send it; without a client id it is not sent."""
        stamped = {"prompt_id": self.prompt.prompt_id} | data | {"timestamp": messages.now_ms()}
        self._messages.append((type_, stamped))
        if is_for_all or self.prompt.client_id is not None:
            self._context.hub.send(Event(type_, stamped), self.prompt.client_id)

    def _send_named(self, event: Event) -> None:
        if self.prompt.client_id is not None:
            self._context.hub.send(event, self.prompt.client_id)
