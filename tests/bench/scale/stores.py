"""Stores to be measured beside each other: an empty one, and those with very many jobs."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.front import front
from tests.job_copies import store_copies
from tests.processes import Process, Processes

ORIGINALS = 8  # jobs that are copied: they spread over the shards of the indexes
WORKFLOW = "trivial"
COLORS = iter(range(1, 10**9))


def request() -> Mapping[str, object]:
    return {"workflow": WORKFLOW, **values()}


def values() -> Mapping[str, object]:
    return {"color": next(COLORS)}


@dataclass
class Scene:
    """A simulator, and servers on stores of their own, each gone after its use."""

    folder: Path
    simulator: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def served(
        self, data_dir: Path, *, workers: int = 1, env: Mapping[str, str] | None = None
    ) -> Iterator[Process]:
        """Run ``comfyq up`` with so many workers in it."""
        with self.processes() as servers:
            yield servers.up(
                workers=workers,
                comfyui=[self.simulator],
                data_dir=data_dir,
                env={**self.environment, **(env or {})},
            )

    @contextmanager
    def processes(self) -> Iterator[Processes]:
        logs = self.folder / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir()
        servers = Processes(logs)
        try:
            yield servers
        finally:
            servers.close()

    def store(
        self,
        name: str,
        copies: int,
        *,
        ended: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Path:
        """Make a store of jobs that have ended, or wait, and of so many copies of them."""
        data_dir = self.folder / name
        with self.served(data_dir, workers=1 if ended else 0, env=env) as up:
            originals = asyncio.run(submitted(up.url, ended=ended))
            assert up.stop() == 0
        store_copies(data_dir, originals, copies)
        return data_dir


async def submitted(url: str, *, ended: bool) -> Sequence[str]:
    async with front(url) as client:
        ids = [await client.submit(request()) for _ in range(ORIGINALS)]
        if ended:
            for job_id in ids:
                await client.follow(job_id)
    return ids


def megabytes(data_dir: Path) -> float:
    return (data_dir / "comfyq.db").stat().st_size / 1e6
