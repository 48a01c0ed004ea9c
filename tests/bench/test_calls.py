"""What a job costs does not creep up: calls and transactions are counted, which no load changes."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from tests.bench.calls import CallCounter, CountedUp, counted, counted_up
from tests.bench.stack import simulated

JOBS = 30
READS = 200

# Python calls of each, and transactions of each, as `python -m tests.bench.calls` tells them. Lower
# them with what makes a job cheaper; a change that has to raise them says why.
BOUNDS = {"burst": (2_790, 4.5), "reads": (283, 0.1)}
SLACK = 1.05


def test_calls_are_counted_by_function_and_place() -> None:
    counter = CallCounter()

    async def called() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(called(), called())

    before = sys.getprofile()
    sys.setprofile(counter.hook)
    try:
        asyncio.run(main())
    finally:
        sys.setprofile(before)
    tally = counter.taken()
    assert tally.functions[called.__code__] == 4, "it goes on once"
    assert tally.tasks[called.__qualname__] >= 4
    assert tally.modules["python: asyncio"] > 0
    assert tally.calls >= tally.tasks.total() >= sum(tally.names.values()) - 1
    assert counter.taken().calls == 0


@pytest.fixture(scope="module")
def up() -> Iterator[CountedUp]:
    with simulated() as simulator, counted_up(simulator.url) as counted:
        yield counted


@pytest.mark.verify
@pytest.mark.no_cover
@pytest.mark.parametrize("kind", BOUNDS)
def test_a_job_costs_no_more_calls_and_transactions(up: CountedUp, kind: str) -> None:
    count = READS if kind == "reads" else JOBS
    tally = asyncio.run(counted(up, kind, count))
    calls, transactions = BOUNDS[kind]
    assert tally.calls / count <= SLACK * calls, tally.tasks.most_common(10)
    assert tally.events["transactions"] / count <= SLACK * transactions, tally.events
