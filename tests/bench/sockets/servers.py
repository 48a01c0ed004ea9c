"""comfyq as its sockets are measured: its worker in the server's process, or in one of its own."""

import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.client import Job
from tests.bench.sockets.delays import POSTS
from tests.bench.stack import workflows_in
from tests.bench.work import flux
from tests.processes import Process, Processes

MAX_SOCKETS = 2_000
FILES = 16_384  # that a process may open: a server takes half of them for clients
ENDLESS_STEPS = 10_000  # the most that ComfyUI takes
STEP_S = 0.1  # of a simulator: more often than progress is pushed
SAMPLER_STEPS = "17"  # the node of the Flux graph that has them


@dataclass(frozen=True, slots=True)
class Served:
    up: Process
    posts: Path  # the folder with what its processes have posted, and when

    def rss_kb(self) -> float:
        """Return the memory of the process that holds the sockets."""
        return float(psutil.Process(self.up.pid).memory_info().rss) / 1024


@contextmanager
def served(comfyui: Sequence[str], *, apart: bool) -> Iterator[Served]:
    """Serve with a worker for each ComfyUI; ``apart``: they have a process of their own.

    A ComfyUI is given one prompt at a time, so that no job waits behind one that goes on.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        posts = folder / "posts"
        posts.mkdir()
        env = {
            "COMFYQ_WORKFLOWS_DIR": str(workflows_in(folder)),
            "COMFYQ_DEPTH": "1",
            "COMFYQ_SOCKETS": str(MAX_SOCKETS),
            "COMFYQ_SOCKETS_PER_CLIENT": str(MAX_SOCKETS),
            POSTS: str(posts),
        }
        servers = Processes(folder)
        try:
            up = servers.up(workers=0 if apart else 1, comfyui=() if apart else comfyui, env=env)
            if apart:
                servers.worker(comfyui=comfyui, up=up, env=env)
            yield Served(up, posts)
        finally:
            servers.close()


def endless() -> Job:
    """Return a job that makes progress until it is canceled."""
    graph = dict(flux().graph)
    node = graph[SAMPLER_STEPS]
    graph[SAMPLER_STEPS] = {**node, "inputs": {**node["inputs"], "steps": ENDLESS_STEPS}}
    return {"graph": graph}


def allow_many_files() -> None:
    """Let this process and those that it starts open as many files as so many sockets need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
