"""``make bench``: comfyq beside a client that speaks to ComfyUI itself, and beside a proxy.

    COMFYQ_TEST_COMFYUI_URL=http://127.0.0.1:8188 python -m tests.bench

Prints a Markdown table. All of a row is measured in turns, before the same ComfyUI: compare
columns, not runs, since the timings of a busy machine are those of a busy machine.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from tests.bench import beside, imports
from tests.bench.api_v2 import api_v2
from tests.bench.beside import Row
from tests.bench.client import all_at_once
from tests.bench.direct import direct
from tests.bench.front import front
from tests.bench.proxy import proxied
from tests.bench.rounds import Side
from tests.bench.stack import one_process, simulated, stack
from tests.bench.work import flux, many, sleeping, trivial

DIRECT = "a client of ComfyUI itself"
COMFYQ = "comfyq"
PROXY = "comfy-api-proxy"
EMULATOR = "comfyq, emulator"
COLUMNS = (DIRECT, PROXY, COMFYQ, EMULATOR)

Show = Callable[[Row], None]


async def on_comfyui(url: str, show: Show) -> None:
    """Measure every side before a real ComfyUI."""
    async with AsyncExitStack() as stack_:
        direct_ = Side(DIRECT, await stack_.enter_async_context(direct(url)), "graph")
        one_machine = [direct_, *await _servers(stack_, url)]
        servers = stack_.enter_context(stack([url], backend="emulator"))
        client = await stack_.enter_async_context(front(servers.up.url))
        sides = [*one_machine, Side(EMULATOR, client, "request")]
        await beside.warm_up(sides)
        for row in (*await beside.latencies(sides), *await beside.rates(one_machine)):
            show(row)
        for seconds, rounds in ((0.2, 3), (1.0, 1)):
            what = f"jobs of {seconds:g} s"
            show(await beside.long_jobs(one_machine, what, sleeping(seconds), rounds=rounds))
        await beside.warm_up(one_machine, flux)
        show(await beside.long_jobs(one_machine, "Flux jobs", flux, count=10, rounds=3))


async def on_simulator(show: Show) -> None:
    """Measure what runs before ComfyUI, where that costs next to nothing and is another process."""
    async with AsyncExitStack() as stack_:
        simulator = stack_.enter_context(simulated())
        sides = await _servers(stack_, simulator.url)
        await beside.warm_up(sides)
        for row in await beside.cpu_times(sides):
            show(row)


async def _servers(stack_: AsyncExitStack, url: str) -> Sequence[Side]:
    """Start comfyq and the proxy, each one process before a ComfyUI."""
    up = stack_.enter_context(one_process(url))
    other = stack_.enter_context(proxied(url))
    front_ = await stack_.enter_async_context(front(up.url))
    proxy_ = await stack_.enter_async_context(api_v2(other.url))
    return [Side(COMFYQ, front_, "request", up.pid), Side(PROXY, proxy_, "graph", other.pid)]


async def four_workers() -> Row:
    """Measure jobs a second with four workers on a simulator that costs next to nothing."""
    with simulated() as simulator, stack([simulator.url], workers=4) as servers:
        async with front(servers.up.url) as client:
            await all_at_once(client, [work.request for work in many(trivial, 20)])
            seconds = await all_at_once(client, [work.request for work in many(trivial, 400)])
    return Row("four workers on a simulator (trivial jobs/s)", {COMFYQ: f"{400 / seconds:.0f}"})


def cold_import() -> Row:
    handler_s, libraries_s = imports.measure()
    figures = f"{handler_s / libraries_s:.2f} ({handler_s * 1e3:.0f} / {libraries_s * 1e3:.0f} ms)"
    return Row("cold import of the API function, beside fastapi and boto3", {COMFYQ: figures})


def line(title: str, cells: Mapping[str, str]) -> str:
    return f"| {title} | {' | '.join(cells.get(name, '') for name in COLUMNS)} |"


async def main() -> None:
    url = os.environ.get("COMFYQ_TEST_COMFYUI_URL")  # noqa: TID251 - a setting of the tests
    if not url:
        sys.exit("COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make bench` starts one")

    def show(row: Row) -> None:
        print(line(row.title, row.cells), flush=True)

    print(line("", {name: name for name in COLUMNS}))
    print("|---" * (1 + len(COLUMNS)) + "|", flush=True)
    await on_comfyui(url, show)
    await on_simulator(show)
    show(await four_workers())
    show(cold_import())


if __name__ == "__main__":
    asyncio.run(main())
