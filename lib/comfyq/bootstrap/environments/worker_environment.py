"""The environment of a worker's ComfyUI."""

from pathlib import Path

from comfyq.adapters.filesystem.environment import described
from comfyq.aio.logs import log
from comfyq.config import Settings


def environment_of(settings: Settings, comfyui_dir: Path | None) -> str | None:
    """Return a description; None: nothing tells, or it cannot be read, which is no reason to run
    no jobs."""
    file = settings.worker.environment_file
    try:
        return described(file=file, comfyui_dir=comfyui_dir)
    except OSError as wrong:
        name = "COMFYQ_ENVIRONMENT_FILE" if file else "custom_nodes of --comfyui-dir"
        log.warning("environment_unknown", what=name, reason=str(wrong))
        return None
