"""``make bench``: comfyq beside a client that speaks to ComfyUI itself, in one run.

    COMFYQ_TEST_COMFYUI_URL=http://127.0.0.1:8188 python -m tests.bench

Prints a Markdown table. Timings of a busy machine are those of a busy machine: compare columns, not
runs.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from comfyq.config import PROJECT
from tests.bench import direct, front
from tests.bench.series import Series
from tests.bench.stack import TRIVIAL, simulated, stack

LATENCY_JOBS = 50
BURST_JOBS = 200
FLUX_JOBS = 30
FLUX = {"prompt": "a sunset over mountains", "width": 64, "height": 64, "steps": 20}

Row = tuple[str, str]


def trivial_graph(color: int) -> Any:
    graph = json.loads((TRIVIAL / "graph.json").read_text())
    graph["1"]["inputs"]["color"] = color
    graph["2"]["inputs"]["filename_prefix"] = f"bench/{color}"
    return graph


def flux_graph(seed: int) -> Any:
    from comfyq.adapters.filesystem.workflows import FolderWorkflows

    workflow = FolderWorkflows(PROJECT / "workflows").get("flux-dev")
    return workflow.bind(workflow.resolve({**FLUX, "seed": seed}, draw_seed=lambda: 0).parameters)


async def floor(url: str) -> dict[str, str]:
    async with direct.direct(url) as client:
        await direct.one_by_one(client, [trivial_graph(color) for color in range(5)])
        latency = await direct.one_by_one(
            client, [trivial_graph(100 + n) for n in range(LATENCY_JOBS)]
        )
        burst_s = await direct.all_at_once(
            client, [trivial_graph(1000 + n) for n in range(BURST_JOBS)]
        )
        await client.image(flux_graph(0))
        flux_s = await direct.all_at_once(client, [flux_graph(1 + n) for n in range(FLUX_JOBS)])
    return {
        "submission to image, p50 / p95 (ms)": str(Series(latency)),
        f"{BURST_JOBS} trivial jobs (jobs/s)": f"{BURST_JOBS / burst_s:.0f}",
        f"{FLUX_JOBS} Flux jobs (s)": f"{flux_s:.2f}",
    }


async def through(url: str, backend: str) -> dict[str, str]:
    with stack([url], backend=backend) as servers:
        async with front.front(servers.up.url) as client:
            await front.one_by_one(client, [_trivial(20_000 + n) for n in range(5)])
            latency = await front.one_by_one(
                client, [_trivial(30_000 + n) for n in range(LATENCY_JOBS)]
            )
            burst_s = await front.all_at_once(
                client, [_trivial(40_000 + n) for n in range(BURST_JOBS)]
            )
            submit = await front.submitted_one_by_one(
                client, [_trivial(50_000 + n) for n in range(LATENCY_JOBS)]
            )
            await client.image({**FLUX, "seed": 1000})
            flux_s = await front.all_at_once(
                client, [{**FLUX, "seed": 1001 + n} for n in range(FLUX_JOBS)]
            )
    return {
        "submit, p50 / p95 (ms)": str(Series(submit)),
        "submission to image, p50 / p95 (ms)": str(Series(latency)),
        f"{BURST_JOBS} trivial jobs (jobs/s)": f"{BURST_JOBS / burst_s:.0f}",
        f"{FLUX_JOBS} Flux jobs (s)": f"{flux_s:.2f}",
    }


async def four_workers() -> str:
    """Jobs a second with four workers on a simulator that costs next to nothing."""
    with simulated() as simulator, stack([simulator.url], workers=4) as servers:
        async with front.front(servers.up.url) as client:
            await front.all_at_once(client, [_trivial(n) for n in range(20)])
            seconds = await front.all_at_once(client, [_trivial(100 + n) for n in range(400)])
    return f"{400 / seconds:.0f}"


def cold_import() -> str:
    """The API function's import, beside that of fastapi and boto3 alone."""
    handler = _import_s("functions.api.handler")
    alone = _import_s("fastapi, boto3")
    return f"{handler * 1e3:.0f} / {alone * 1e3:.0f} ms, ratio {handler / alone:.2f}"


def _import_s(modules: str) -> float:
    """The best of five, in processes of their own."""
    import subprocess

    program = (
        f"import time; b = time.perf_counter(); import {modules}; print(time.perf_counter() - b)"
    )
    return min(
        float(
            subprocess.run(
                [sys.executable, "-c", program],
                check=True,
                capture_output=True,
                text=True,
                cwd=PROJECT,
            ).stdout
        )
        for _ in range(5)
    )


def _trivial(color: int) -> dict[str, Any]:
    return {"workflow": "trivial", "color": color}


async def main() -> None:
    url = os.environ.get("COMFYQ_TEST_COMFYUI_URL")  # noqa: TID251 - a setting of the tests
    if not url:
        sys.exit("COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make bench` starts one")
    began = perf_counter()
    columns = {
        "direct": await floor(url),
        "comfyq, embedded": await through(url, "embedded"),
        "comfyq, emulator": await through(url, "emulator"),
    }
    rows = list(columns["comfyq, embedded"])
    print(f"| | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {row} | {' | '.join(figures.get(row, '') for figures in columns.values())} |")
    print(f"\nfour workers on a simulator: {await four_workers()} trivial jobs/s")
    print(f"cold import of the API function / of fastapi and boto3 alone: {cold_import()}")
    print(
        f"({perf_counter() - began:.0f} s on {os.cpu_count()} cores, {Path(sys.executable).name})"
    )


asyncio.run(main())
