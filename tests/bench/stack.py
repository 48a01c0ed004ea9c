"""comfyq as it is benchmarked: real processes, a ComfyUI that is given."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from comfyq.config import PROJECT
from tests.bench.work import TRIVIAL
from tests.processes import Process, Processes


@dataclass(frozen=True, slots=True)
class Stack:
    up: Process
    workers: Sequence[Process]


@contextmanager
def simulated(*options: object) -> Iterator[Process]:
    """A simulator whose steps take no time."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Processes(Path(folder))
        try:
            fast = ("--step-s", "0", "--preview-every-steps", "0")
            yield servers.simulator(options=[*fast, *options])
        finally:
            servers.close()


@contextmanager
def stack(
    comfyui: Sequence[str], *, backend: str = "embedded", workers: int = 1, depth: int = 2
) -> Iterator[Stack]:
    """A front door, and workers in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Processes(Path(folder))
        env = {"COMFYQ_WORKFLOWS_DIR": str(workflows_in(Path(folder))), "COMFYQ_DEPTH": str(depth)}
        try:
            up = servers.up(workers=0, backend=backend, env=env)
            started = [servers.worker(comfyui=comfyui, up=up, env=env) for _ in range(workers)]
            yield Stack(up, started)
        finally:
            servers.close()


@contextmanager
def one_process(comfyui_url: str) -> Iterator[Process]:
    """Run ``comfyq up`` with its worker in it, as one machine has it."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Processes(Path(folder))
        env = {"COMFYQ_WORKFLOWS_DIR": str(workflows_in(Path(folder)))}
        try:
            yield servers.up(comfyui=[comfyui_url], env=env)
        finally:
            servers.close()


def workflows_in(folder: Path) -> Path:
    """Those that are shipped, and one that does next to nothing."""
    workflows = folder / "workflows"
    workflows.mkdir()
    for source in (*(PROJECT / "workflows").iterdir(), TRIVIAL):
        (workflows / source.name).symlink_to(source)
    return workflows
