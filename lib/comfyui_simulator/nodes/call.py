"""One call of one node: its inputs, the services it may use, and its result."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from comfyui_simulator.catalogue import NodeClass
from comfyui_simulator.messages import JsonObject, Preview
from comfyui_simulator.nodes.values import Value, combined
from comfyui_simulator.running.prompt_queue import Prompt
from comfyui_simulator.settings import SimulatorSettings
from comfyui_simulator.stats import Stats
from comfyui_simulator.storage import Storage


class Advance(Protocol):
    """A callback that reports a node's progress; raises Interrupted."""

    def __call__(
        self, value: int, total: int, picture: Callable[[], Awaitable[Preview]] | None = None
    ) -> Awaitable[None]: ...


@dataclass(frozen=True)
class NodeContext:
    """The simulator's services for nodes: settings, files, counters."""

    settings: SimulatorSettings
    storage: Storage
    stats: Stats


@dataclass(frozen=True)
class Call:
    """A node with all its inputs resolved."""

    context: NodeContext
    prompt: Prompt
    kind: NodeClass
    inputs: dict[str, Any]
    """Constants, or the `Value` that a link brought."""
    advance: Advance
    check: Callable[[], Awaitable[None]]
    """Raises Interrupted if somebody asked to stop."""

    def combined(self) -> Value:
        """Combine the inputs of a node that has no behaviour of its own."""
        return combined(self.kind, self.inputs)

    def value(self, name: str) -> Value:
        """A linked input. Raises TypeError if it is a constant."""
        value = self.inputs[name]
        if not isinstance(value, Value):
            raise TypeError(f"{name} is not linked")
        return value


@dataclass(frozen=True)
class NodeResult:
    """The result of one node: the value of its slots, and its output for clients."""

    value: Value
    shows: JsonObject = field(default_factory=dict)
