"""Counters of the simulator's work, for tests that nothing was rendered twice."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stats:
    """Counters since the start, which `GET /simulator/stats` returns."""

    prompts_received: int = 0
    """POST /prompt with valid graphs, refused ones included."""
    prompts_refused: int = 0
    prompts_invalid: int = 0
    executions: Counter[str] = field(default_factory=Counter)
    """Starts, by prompt id."""
    samplings: Counter[str] = field(default_factory=Counter)
    """Sampler nodes that ran to their end, by prompt id; a cached one does not run."""
    images_rendered: int = 0
    """Pictures and frames painted and saved; a cached save paints nothing."""
    images_by_prompt: Counter[str] = field(default_factory=Counter)
    models_unloaded: int = 0
    """POST /free with `unload_models`."""
    interrupts_requested: int = 0
    interrupts_honoured: int = 0

    def rendered(self, prompt_id: str, count: int) -> None:
        self.images_rendered += count
        self.images_by_prompt[prompt_id] += count

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))
