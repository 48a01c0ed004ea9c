"""Does a worker grow? ``python -m tests.bench.memory [JOBS]``: its RSS along a run."""

import asyncio
import sys
from pathlib import Path

from tests.bench import front
from tests.bench.client import all_at_once
from tests.bench.stack import simulated, stack

STEPS = 4


def rss_mb(pid: int) -> float:
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    ]
    return int(line.split()[1]) / 1024


async def main(count: int) -> None:
    with simulated() as simulator, stack([simulator.url]) as servers:
        worker = servers.workers[0].pid
        async with front.front(servers.up.url) as client:
            print("| jobs done | worker's RSS (MB) |\n|---|---|")
            for part in range(STEPS + 1):
                requests = [
                    {"workflow": "trivial", "color": part * count + n}
                    for n in range(count // STEPS if part else 50)
                ]
                await all_at_once(client, requests)
                print(f"| {part * count // STEPS or 50} | {rss_mb(worker):.0f} |")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
