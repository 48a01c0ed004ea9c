"""Servers of the Comfy API v2 before the same real ComfyUI: comfyq, comfy-api-proxy, and that with
``--state-dir``, which keeps its jobs in SQLite.

    COMFYQ_TEST_COMFYUI_URL=http://127.0.0.1:8188 python -m tests.bench.side_by_side [--quick]

One client asks all of them, in turns. Then ComfyUI is killed behind each, or the server itself, or
both, in mid-job, and started again: what the server tells of its jobs. That ComfyUI is another one,
of the folder that ``infra/comfyui/prepare.sh`` has made: ``.comfyui``, or COMFYQ_TEST_COMFYUI_DIR.
``--quick`` tries the measurement itself, with few jobs.
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import chain

from tests.bench import killed
from tests.bench.api_v2 import ApiV2, api_v2
from tests.bench.client import all_at_once, ended, one_by_one, status_reads, submitted_one_by_one
from tests.bench.proxy import proxied
from tests.bench.rounds import Side, in_turns
from tests.bench.series import Series
from tests.bench.stack import one_process
from tests.bench.work import Kind, sleeping, trivial

PROXY, KEEPING, COMFYQ = killed.PROXY, killed.KEEPING, killed.COMFYQ
SIDES = (PROXY, KEEPING, COMFYQ)
WARM_JOBS = 5
LIVE_S = 4.0  # of a job that is read while it runs: longer than the reads take

# What is wanted of comfyq, beside each of the others.
SUBMIT_TIMES = 2.0
IMAGE_MORE_MS = 5.0
READS_TIMES = 1.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is measured."""

    rounds: int
    jobs: int  # of a round, one after the other
    burst_rounds: int
    burst: int  # jobs at once
    reads: int


FULL = Counts(rounds=4, jobs=15, burst_rounds=3, burst=200, reads=240)
QUICK = Counts(rounds=1, jobs=5, burst_rounds=1, burst=20, reads=40)


@dataclass(slots=True)
class Figures:
    """What was measured of one side."""

    submit: Series = field(default_factory=lambda: Series([]))
    image: Series = field(default_factory=lambda: Series([]))
    jobs_per_s: float = 0.0
    reads_per_s: float = 0.0  # of a job that has ended
    live_reads_per_s: float = 0.0  # of one that runs
    reads: int = 0
    false_reads: int = 0


async def measure(url: str, counts: Counts) -> Mapping[str, Figures]:
    """Measure every side before one ComfyUI."""
    async with AsyncExitStack() as stack:
        clients = await _clients(stack, url)
        sides = [Side(name, client, "graph") for name, client in clients.items()]
        figures = {side.name: Figures() for side in sides}
        await in_turns(sides, 1, _warmed)
        await _latencies(sides, counts, figures)
        await _rates(clients, sides, counts, figures)
        for name, client in clients.items():
            figures[name].reads = client.reads
            figures[name].false_reads = client.false_reads
    return figures


async def _clients(stack: AsyncExitStack, url: str) -> Mapping[str, ApiV2]:
    """Start the servers, and return a client of each, all of one kind."""
    urls = {
        PROXY: stack.enter_context(proxied(url)).url,
        KEEPING: stack.enter_context(proxied(url, keeps_state=True)).url,
        COMFYQ: stack.enter_context(one_process(url)).url,
    }
    return {name: await stack.enter_async_context(api_v2(each)) for name, each in urls.items()}


async def _warmed(side: Side) -> None:
    await one_by_one(side.client, side.jobs(trivial, WARM_JOBS))


async def _latencies(sides: Sequence[Side], counts: Counts, into: Mapping[str, Figures]) -> None:
    async def submitted(side: Side) -> Sequence[float]:
        took, ids = await submitted_one_by_one(side.client, side.jobs(trivial, counts.jobs))
        await ended(side.client, ids)
        return took

    async def pictured(side: Side) -> Sequence[float]:
        return await one_by_one(side.client, side.jobs(trivial, counts.jobs))

    for name, rounds in (await in_turns(sides, counts.rounds, submitted)).items():
        into[name].submit = Series(list(chain.from_iterable(rounds)))
    for name, rounds in (await in_turns(sides, counts.rounds, pictured)).items():
        into[name].image = Series(list(chain.from_iterable(rounds)))


async def _rates(
    clients: Mapping[str, ApiV2], sides: Sequence[Side], counts: Counts, into: Mapping[str, Figures]
) -> None:
    async def burst(side: Side) -> float:
        return counts.burst / await all_at_once(side.client, side.jobs(trivial, counts.burst))

    async def read(side: Side) -> float:
        job_id = await _submitted(side, trivial)
        await ended(side.client, [job_id])
        return counts.reads / await status_reads(side.client, job_id, counts.reads)

    async def read_live(side: Side) -> float:
        job_id = await _submitted(side, sleeping(LIVE_S))
        await clients[side.name].begun(job_id)
        seconds = await status_reads(side.client, job_id, counts.reads)
        await ended(side.client, [job_id])
        return counts.reads / seconds

    async def medians(load: Callable[[Side], Awaitable[float]]) -> Mapping[str, float]:
        rounds = await in_turns(sides, counts.burst_rounds, load)
        return {name: statistics.median(each) for name, each in rounds.items()}

    for name, rate in (await medians(burst)).items():
        into[name].jobs_per_s = rate
    for name, rate in (await medians(read)).items():
        into[name].reads_per_s = rate
    for name, rate in (await medians(read_live)).items():
        into[name].live_reads_per_s = rate


async def _submitted(side: Side, kind: Kind) -> str:
    [job] = side.jobs(kind, 1)
    return await side.client.submit(job)


def table(figures: Mapping[str, Figures], counts: Counts) -> str:
    """Return the table of what was measured."""
    rows: Mapping[str, Callable[[Figures], str]] = {
        "submit, p50 / p95 (ms)": lambda each: str(each.submit),
        "submission to image, p50 / p95 (ms)": lambda each: str(each.image),
        f"{counts.burst} trivial jobs (jobs/s)": lambda each: f"{each.jobs_per_s:.0f}",
        "reads of an ended job a second": lambda each: f"{each.reads_per_s:.0f}",
        "reads of a running job a second": lambda each: f"{each.live_reads_per_s:.0f}",
        "reads, of which false": lambda each: f"{each.reads}, {each.false_reads}",
    }
    lines = [f"|  | {' | '.join(SIDES)} |", "|---" * (1 + len(SIDES)) + "|"]
    for title, shown in rows.items():
        lines.append(f"| {title} | {' | '.join(shown(figures[name]) for name in SIDES)} |")
    return "\n".join(lines)


def wanted(figures: Mapping[str, Figures], stories: Sequence[killed.Story]) -> str:
    """Return what is wanted of comfyq beside each of the others, and whether it holds."""
    ours = figures[COMFYQ]
    rows: dict[str, list[str]] = {
        f"submit, times: {SUBMIT_TIMES:g} at most": [],
        f"submission to image, ms more: {IMAGE_MORE_MS:g} at most": [],
        f"reads of an ended job a second, times: {READS_TIMES:g} at least": [],
        "false states, and jobs forgotten: none": [],
    }
    submit, image, reads, false = rows.values()
    for name in (PROXY, KEEPING):
        theirs = figures[name]
        times = ours.submit.p50_ms / theirs.submit.p50_ms
        submit.append(_verdict(f"{times:.2f}", holds=times <= SUBMIT_TIMES))
        more_ms = ours.image.p50_ms - theirs.image.p50_ms
        image.append(_verdict(f"{more_ms:+.1f}", holds=more_ms <= IMAGE_MORE_MS))
        times = ours.reads_per_s / theirs.reads_per_s
        reads.append(_verdict(f"{times:.2f}", holds=times >= READS_TIMES))
        own, other = (_false_states(each, figures, stories) for each in (COMFYQ, name))
        false.append(_verdict(f"{own}, beside {other}", holds=own == 0))
    lines = [f"| wanted of comfyq, beside | {PROXY} | {KEEPING} |", "|---|---|---|"]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items()]
    return "\n".join(lines)


def _false_states(
    name: str, figures: Mapping[str, Figures], stories: Sequence[killed.Story]
) -> int:
    of_side = (story for story in stories if story.side == name)
    return figures[name].false_reads + sum(story.is_false for story in of_side)


def _verdict(text: str, *, holds: bool) -> str:
    return text if holds else f"**{text}, does not hold**"


def main(*, quick: bool) -> None:
    url = os.environ.get("COMFYQ_TEST_COMFYUI_URL")  # noqa: TID251 - a setting of the tests
    if not url:
        sys.exit("COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make bench` starts one")
    counts = QUICK if quick else FULL
    figures = asyncio.run(measure(url, counts))
    print(table(figures, counts), end="\n\n", flush=True)
    stories = asyncio.run(killed.stories())
    print(killed.table(stories), end="\n\n")
    print(wanted(figures, stories))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    main(quick=parser.parse_args().quick)
