"""Rows of figures of servers beside each other: before a real ComfyUI, and of their CPU time."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from tests.bench.client import (
    all_at_once,
    ended,
    one_by_one,
    status_reads,
    submitted_one_by_one,
)
from tests.bench.cpu import cpu_s
from tests.bench.rounds import Side, in_turns
from tests.bench.series import Series
from tests.bench.work import Kind, trivial

WARM_JOBS = 5
ROUNDS = 4
JOBS = 15  # of a round, one after the other
BURST_ROUNDS = 3
BURST_JOBS = 200
READS = 2_400
SINGLE_JOBS = 100  # CPU time is counted in hundredths of a second
COSTED_READS = 1_000
LONG_JOBS = 30

Load = Callable[[Side], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    cells: Mapping[str, str]  # by the side's name


async def warm_up(sides: Sequence[Side], kind: Kind = trivial) -> None:
    await in_turns(sides, 1, lambda side: one_by_one(side.client, side.jobs(kind, WARM_JOBS)))


async def latencies(sides: Sequence[Side]) -> Sequence[Row]:
    async def submitted(side: Side) -> Sequence[float]:
        took, ids = await submitted_one_by_one(side.client, side.jobs(trivial, JOBS))
        await ended(side.client, ids)
        return took

    async def pictured(side: Side) -> Sequence[float]:
        return await one_by_one(side.client, side.jobs(trivial, JOBS))

    rows = {"submit": submitted, "submission to image": pictured}
    return [
        Row(
            f"{title}, p50 / p95 (ms)",
            {
                name: str(Series(list(chain.from_iterable(rounds))))
                for name, rounds in (await in_turns(sides, ROUNDS, measure)).items()
            },
        )
        for title, measure in rows.items()
    ]


async def rates(sides: Sequence[Side]) -> Sequence[Row]:
    async def burst(side: Side) -> float:
        jobs = side.jobs(trivial, BURST_JOBS)
        return BURST_JOBS / await all_at_once(side.client, jobs)

    ids = {side.name: await _ended_job(side) for side in sides}

    async def read(side: Side) -> float:
        return READS / await status_reads(side.client, ids[side.name], READS)

    return [
        _medians(
            f"{BURST_JOBS} trivial jobs (jobs/s)",
            await in_turns(sides, BURST_ROUNDS, burst),
            "{:.0f}",
        ),
        _medians("status reads a second", await in_turns(sides, BURST_ROUNDS, read), "{:.0f}"),
    ]


async def long_jobs(
    sides: Sequence[Side], what: str, kind: Kind, *, count: int = LONG_JOBS, rounds: int = 1
) -> Row:
    """Measure how much longer jobs take than by the first side, when all of them wait at once."""

    async def run(side: Side) -> float:
        return await all_at_once(side.client, side.jobs(kind, count))

    seconds = await in_turns(sides, rounds, run)
    floor = seconds[sides[0].name]
    return Row(
        f"{count} {what}, beside {sides[0].name}",
        {
            name: f"{statistics.median(s / f for s, f in zip(taken, floor, strict=True)):.3f}"
            f" ({statistics.median(taken):.2f} s)"
            for name, taken in seconds.items()
        },
    )


async def cpu_times(sides: Sequence[Side]) -> Sequence[Row]:
    """Measure what a job costs the servers themselves, not the ComfyUI behind them."""
    ids = {side.name: await _ended_job(side) for side in sides}
    loads: Mapping[str, tuple[int, Load]] = {
        f"a job, {BURST_JOBS} at once": (
            BURST_JOBS,
            lambda side: all_at_once(side.client, side.jobs(trivial, BURST_JOBS)),
        ),
        "a job, one after the other, followed and downloaded": (
            SINGLE_JOBS,
            lambda side: one_by_one(side.client, side.jobs(trivial, SINGLE_JOBS)),
        ),
        "a status read": (
            COSTED_READS,
            lambda side: status_reads(side.client, ids[side.name], COSTED_READS),
        ),
    }
    rows = []
    for title, (count, load) in loads.items():
        rounds = await in_turns(sides, BURST_ROUNDS, partial(_cpu_ms, count, load))
        rows.append(_medians(f"CPU {title} (ms)", rounds, "{:.2f}"))
    return rows


async def _cpu_ms(count: int, load: Load, side: Side) -> float:
    """Return the milliseconds of the side's process for each of so many jobs or reads."""
    assert side.pid is not None, f"{side.name} has no process whose time is measured"
    before = cpu_s(side.pid)
    await load(side)
    return (cpu_s(side.pid) - before) / count * 1e3


async def _ended_job(side: Side) -> str:
    [job] = side.jobs(trivial, 1)
    job_id = await side.client.submit(job)
    await ended(side.client, [job_id])
    return job_id


def _medians(title: str, rounds: Mapping[str, Sequence[float]], form: str) -> Row:
    return Row(title, {name: form.format(statistics.median(each)) for name, each in rounds.items()})
