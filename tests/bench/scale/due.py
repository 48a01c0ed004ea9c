"""How soon urgent repairs are done while very many jobs are due for their deletion."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.front import front
from tests.bench.scale.stores import WORKFLOW, Scene, values
from tests.bench.scale.tables import Row
from tests.job_copies import count_ended
from tests.urgent_jobs import store_urgent


def due(scene: Scene, few: Path, many: Path) -> Sequence[Row]:
    """Measure the seconds from a start to the ends of urgent jobs, and then the deletions."""
    taken = [_taken(scene, each) for each in (few, many)]
    return [
        Row("a job without a doorbell ends after (s)", [each[0] for each in taken], 1),
        Row("a job whose lease has lapsed ends after (s)", [each[1] for each in taken], 1),
        Row("deletions a second", [each[2] for each in taken], 0, ratio=False),
    ]


def _taken(scene: Scene, data_dir: Path) -> tuple[float, float, float]:
    workflows = Path(scene.environment["COMFYQ_WORKFLOWS_DIR"])
    unrung, lapsed = asyncio.run(store_urgent(data_dir, workflows, WORKFLOW, values(), values()))
    before, began = count_ended(data_dir), time.monotonic()
    with scene.served(data_dir) as up:
        ready = time.monotonic()
        first, second = asyncio.run(_ends(up.url, unrung, lapsed, ready))
        rate = _deletions(data_dir, before, began) if before > 1_000 else float("nan")
    return first, second, rate


async def _ends(url: str, unrung: str, lapsed: str, ready: float) -> tuple[float, float]:
    async def end(job_id: str) -> float:
        await client.follow(job_id)
        return time.monotonic() - ready

    async with front(url) as client:
        first, second = await asyncio.gather(end(unrung), end(lapsed))
    return first, second


def _deletions(data_dir: Path, before: int, began: float) -> float:
    """Return the deletions a second, until a tenth is left or a minute has passed."""
    while (left := count_ended(data_dir)) > before / 10 and time.monotonic() < began + 60:
        time.sleep(0.2)
    return (before - left) / (time.monotonic() - began)
