"""Where the CPU time of ``comfyq up`` goes, by thread and by module: ``make profile``, or

    python -m tests.bench.cpu_profile [burst | pictures | reads] [COUNT]

Jobs are trivial, and ComfyUI is a simulator in a process of its own. ``burst``: all jobs at once.
``pictures``: one after the other, each followed and its picture downloaded. ``reads``: the status
of one job. The load runs twice: to be timed, and to be profiled. The profiler must be allowed to
read another process (root, or kernel.yama.ptrace_scope=0).
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench.client import all_at_once, ended, one_by_one, status_reads
from tests.bench.cpu import cpu_s, thread_times
from tests.bench.front import Front, front
from tests.bench.sampler import OURS, Sample, read_samples, sampled
from tests.bench.stack import one_process, simulated
from tests.bench.work import many, trivial

COUNTS = {"burst": 600, "pictures": 300, "reads": 4000}
SHOWN = 25  # modules

Weighed = Sequence[tuple[Sample, float]]  # with the share of all CPU time that a stack stands for


async def load(client: Front, kind: str, count: int) -> None:
    jobs = [work.request for work in many(trivial, count if kind != "reads" else 1)]
    if kind == "burst":
        await all_at_once(client, jobs)
    elif kind == "pictures":
        await one_by_one(client, jobs)
    else:
        job_id = await client.submit(jobs[0])
        await ended(client, [job_id])
        await status_reads(client, job_id, count)


async def profile(kind: str, count: int) -> tuple[float, Sequence[Sample], Mapping[int, float]]:
    """Return milliseconds of CPU time for each, stacks, and the seconds of each thread."""
    with (
        tempfile.TemporaryDirectory() as folder,
        simulated() as simulator,
        one_process(simulator.url) as up,
    ):
        raw = Path(folder) / "stacks"
        async with front(up.url) as client:
            await load(client, "pictures", 20)
            before_s = cpu_s(up.pid)
            await load(client, kind, count)
            each_ms = (cpu_s(up.pid) - before_s) / count * 1e3
            with sampled(up.pid, raw):
                before = thread_times(up.pid)
                await load(client, kind, count)
                after = thread_times(up.pid)
        samples = list(read_samples(raw.read_text().splitlines()))
    return each_ms, samples, {each: after[each] - before.get(each, 0) for each in after}


def weighed(samples: Sequence[Sample], seconds: Mapping[int, float]) -> Weighed:
    """Share out each thread's CPU time by its samples.

    A thread that works without the interpreter's lock is seen less often than it runs.
    """
    seen: Counter[int] = Counter()
    for sample in samples:
        seen[sample.thread] += sample.seen
    total = sum(seconds.values())
    unseen = [
        (Sample(thread, "threads that were not seen", [], 0), spent / total)
        for thread, spent in seconds.items()
        if not seen[thread]
    ]
    return unseen + [
        (each, seconds.get(each.thread, 0) * each.seen / seen[each.thread] / total)
        for each in samples
    ]


def place(sample: Sample) -> str:
    """Name the module that was running."""
    return sample.modules[-1] if sample.modules else "no Python code"


def cause(sample: Sample) -> str:
    """Name the innermost module of ours, which made the others run."""
    ours = (module for module in reversed(sample.modules) if module.startswith(OURS))
    return next(ours, f"none of ours: {place(sample)}")


def table(title: str, key: Callable[[Sample], str], stacks: Weighed, each_ms: float) -> str:
    shares: dict[str, float] = {}
    for sample, share in stacks:
        shares[key(sample)] = shares.get(key(sample), 0) + share
    largest = sorted(((n, s) for n, s in shares.items() if s), key=lambda item: -item[1])
    shown = largest[:SHOWN]
    if others := largest[SHOWN:]:
        shown.append((f"{len(others)} others", sum(share for _, share in others)))
    lines = [f"| {name} | {share * each_ms:.3f} | {share:.1%} |" for name, share in shown]
    return "\n".join([f"| {title} | ms | share |", "|---|---|---|", *lines])


async def main(kind: str = "burst", count: str = "") -> None:
    number = int(count or COUNTS[kind])
    each_ms, samples, seconds = await profile(kind, number)
    stacks = weighed(samples, seconds)
    seen = sum(sample.seen for sample in samples)
    print(f"{kind}, {number}: {each_ms:.2f} ms of CPU time each; {seen} samples")
    for title, key in {
        "thread": lambda sample: sample.name,
        "where it ran": place,
        "which module of comfyq made it run": cause,
    }.items():
        print(f"\n{table(title, key, stacks, each_ms)}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
