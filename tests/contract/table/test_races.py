"""Several processes, one winner of each job: what every claim relies on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.adapters.system.clock import SystemClock
from comfyq.ports.table import MAX_WRITES, Put, Sum, Table
from tests.contract.table.claimer import open_table
from tests.fixtures.emulator import ROOT, Aws

pytestmark = pytest.mark.anyio

COUNTS = [(4, 100), pytest.param((8, 200), marks=pytest.mark.verify)]


@pytest.fixture(params=COUNTS, ids=str)
def counts(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Return how many processes claim how many jobs."""
    processes, jobs = request.param
    return processes, jobs


@pytest.fixture(params=["sqlite", pytest.param("dynamodb", marks=pytest.mark.dynamodb)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, str]:
    """Return the place of the table: its kind, a path or URL, and its name there."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "comfyq.db"), "-"
    aws: Aws = request.getfixturevalue("aws")
    provisioned: Provisioned = request.getfixturevalue("provisioned")
    return "dynamodb", aws.endpoint("dynamodb"), provisioned.table


@pytest.fixture
def claimers(
    place: tuple[str, str, str], counts: tuple[int, int]
) -> Iterator[list[subprocess.Popen[str]]]:
    processes, jobs = counts
    command = [sys.executable, "-m", "tests.contract.table.claimer", *place, str(jobs)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            for _ in range(processes)
        ]
        for process in started:
            stack.callback(process.kill)
        yield started


async def test_each_job_is_claimed_once(
    place: tuple[str, str, str],
    counts: tuple[int, int],
    claimers: list[subprocess.Popen[str]],
) -> None:
    processes, count = counts
    table: Table = open_table(*place)
    keys = [f"JOB#{n}" for n in range(count)]
    jobs = [{"pk": pk, "sk": "META", "version": 1, "owner": "-"} for pk in keys]
    for at in range(0, count, MAX_WRITES):
        await table.write(*(Put(job, absent=True) for job in jobs[at : at + MAX_WRITES]))
    assert [_line(process) for process in claimers] == ["ready"] * processes
    for process in claimers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = {str(process.pid): json.loads(_line(process)) for process in claimers}
    assert sorted(pk for jobs in won.values() for pk in jobs) == sorted(keys)
    for owner, claimed in won.items():
        for pk in claimed:
            job = {"pk": pk, "sk": "META", "version": 2, "owner": owner}
            assert await table.get((pk, "META")) == job


async def test_concurrent_additions_stop_at_the_most(place: tuple[str, str, str]) -> None:
    tables = [open_table(*place) for _ in range(4)]
    ttl = int(SystemClock().now().timestamp()) + 600
    sums: list[Sum] = []

    async def add(table: Table) -> None:
        for _ in range(10):
            sums.append(await table.add(("RATE", "w"), 3, least=100, most=100 + 72, ttl=ttl))

    async with anyio.create_task_group() as group:
        for table in tables:
            group.start_soon(add, table)
    assert sorted(each.number for each in sums if each.added) == [100 + 3 * n for n in range(1, 26)]
    assert {each.number for each in sums if not each.added} == {175}


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
