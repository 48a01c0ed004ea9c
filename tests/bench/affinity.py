"""Two model families in turn, with and without affinity, on a real ComfyUI.

COMFYQ_TEST_COMFYUI_URL=http://127.0.0.1:8188 python -m tests.bench.affinity [JOBS]
"""

import asyncio
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import aiohttp

from tests.bench import front
from tests.bench.client import ended
from tests.processes import Processes

SMALL = {"prompt": "a sunset over mountains", "width": 64, "height": 64, "steps": 4}


async def run(url: str, *, affinity: bool, count: int) -> tuple[int, float]:
    """(switches of the family, seconds); all jobs wait before the worker comes."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Processes(Path(folder))
        env = {"COMFYQ_AFFINITY": str(affinity), "COMFYQ_AFFINITY_MAX_WAIT_S": "600"}
        try:
            up = servers.up(workers=0)
            async with front.front(up.url) as client:
                ids = [
                    await client.submit({**SMALL, "workflow": name, "seed": seed})
                    for seed in range(count // 2)
                    for name in ("flux-dev", "sd15")
                ]
                began = perf_counter()
                servers.worker(comfyui=[url], up=up, env=env)
                seconds = await ended(client, ids) - began
            order = await families(up.url, ids)
        finally:
            servers.close()
    return sum(one != other for one, other in pairwise(order)), seconds


async def families(url: str, ids: list[str]) -> list[str]:
    """The workflows of jobs, in the order in which they were started."""
    started = []
    async with aiohttp.ClientSession() as session:
        for job_id in ids:
            async with session.get(f"{url}/generate/{job_id}") as answer:
                job = await answer.json()
                started.append((job["started_at"], job["workflow"]))
    return [workflow for _, workflow in sorted(started)]


async def main(count: int) -> None:
    url = os.environ.get("COMFYQ_TEST_COMFYUI_URL")  # noqa: TID251 - a setting of the tests
    if not url:
        sys.exit("COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make bench` starts one")
    await run(url, affinity=False, count=4)  # both families' models are read once
    print(f"| {count} jobs, two families in turn | switches | wall (s) |\n|---|---|---|")
    for affinity in (False, True):
        switches, seconds = await run(url, affinity=affinity, count=count)
        print(f"| {'with' if affinity else 'without'} affinity | {switches} | {seconds:.1f} |")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40))
