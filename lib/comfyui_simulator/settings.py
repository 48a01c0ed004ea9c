"""Settings of a simulator."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfyui_simulator.faults import Faults


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The differences on the wire between the two simulated versions of ComfyUI."""

    version: str
    has_jobs: bool
    """/api/jobs, and with it the cancel that is atomic."""
    uuid_prompt_ids: bool
    """Another `prompt_id` than a canonical UUID is refused."""
    names_missing_nodes: bool
    """An unknown class is `missing_node_type`, and the members of a cycle are named."""
    checks_combos: bool
    """Lists of the newer node schema are checked, not only the classic ones."""
    throttles_progress: bool
    """Steps that follow too soon are not announced, unless a preview comes with them."""
    previews_by_prompt: bool
    """A prompt may say how its previews are made: `preview_method` of its extra data."""
    operating_system: str
    features: dict[str, Any]
    """What the server answers to a client's feature flags."""


_FEATURES: dict[str, Any] = {"supports_preview_metadata": True, "max_upload_size": 104_857_600}

GENERATIONS = {
    "0.3.75": Generation(
        version="0.3.75",
        has_jobs=False,
        uuid_prompt_ids=False,
        names_missing_nodes=False,
        checks_combos=False,
        throttles_progress=False,
        previews_by_prompt=False,
        operating_system="posix",
        features=_FEATURES,
    ),
    "0.33.0": Generation(
        version="0.33.0",
        has_jobs=True,
        uuid_prompt_ids=True,
        names_missing_nodes=True,
        checks_combos=True,
        throttles_progress=True,
        previews_by_prompt=True,
        operating_system="linux",
        features=_FEATURES
        | {
            "supports_model_type_tags": True,
            "extension": {"manager": {"supports_v4": True}},
            "node_replacements": True,
            "assets": False,
        },
    ),
}


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """Everything that can be set before the start."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one; `Simulator.url` tells which."""
    generation: str = "0.33.0"
    """A key of `GENERATIONS`."""
    data_dir: Path | None = None
    """Holds output/, input/ and temp/; None takes a temporary folder, removed at the end."""
    models_dir: Path | None = None
    """Model files below it are listed beside those of the catalogue, as soon as they are there."""
    step_s: float = 0.01
    """How long one sampling step takes."""
    load_s: float = 0.0
    """How long a loader takes."""
    preview_px: int = 512
    """Longer side of a preview; ComfyUI scales them up to 512."""
    preview_every_steps: int = 1
    """A preview with every so many steps; 0 sends none, as ComfyUI does unless told otherwise."""
    video_bytes: int = 0
    """Saved videos are filled up with zeros to that size, which takes no room on most disks."""
    history_lag_s: float = 0.0005
    """Between `execution_success` and the history: consumers that look at once find nothing."""
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if self.generation not in GENERATIONS:
            known = ", ".join(GENERATIONS)
            raise ValueError(f"no such generation: {self.generation!r}; known: {known}")

    @property
    def wire(self) -> Generation:
        return GENERATIONS[self.generation]
