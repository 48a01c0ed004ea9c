"""The contract of ports/journal.py, and that a file keeps it across processes."""

from pathlib import Path

import anyio
import pytest

from comfyq.adapters.filesystem.journal import FileJournal
from comfyq.domain.job import JobId
from comfyq.ports.journal import Journal
from comfyq.testing.memory.journal import MemoryJournal

pytestmark = pytest.mark.anyio

A, B, C = JobId("a"), JobId("b"), JobId("c")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker" / "claimed"


@pytest.fixture(params=["memory", "file"])
def journal(request: pytest.FixtureRequest, path: Path) -> Journal:
    return MemoryJournal() if request.param == "memory" else FileJournal(path=path)


async def test_it_names_what_was_noted_and_not_forgotten(journal: Journal) -> None:
    assert list(await journal.noted()) == []
    for job_id in (A, B, C):
        await journal.note(job_id)
    await journal.forget(B)
    assert list(await journal.noted()) == [A, C]


async def test_noting_and_forgetting_twice_is_no_error(journal: Journal) -> None:
    await journal.note(A)
    await journal.note(A)
    assert list(await journal.noted()) == [A]
    await journal.forget(A)
    await journal.forget(A)
    assert list(await journal.noted()) == []


async def test_it_can_be_used_by_several_tasks(journal: Journal) -> None:
    jobs = [JobId(f"{n:02}") for n in range(12)]
    async with anyio.create_task_group() as group:
        for job_id in jobs:
            group.start_soon(journal.note, job_id)
    assert sorted(await journal.noted()) == jobs
    async with anyio.create_task_group() as group:
        for job_id in jobs[:-1]:
            group.start_soon(journal.forget, job_id)
    assert list(await journal.noted()) == jobs[-1:]


async def test_the_next_process_finds_it(path: Path) -> None:
    await FileJournal(path=path).note(A)
    await FileJournal(path=path).note(B)
    assert list(await FileJournal(path=path).noted()) == [A, B]
    await FileJournal(path=path).forget(A)
    assert list(await FileJournal(path=path).noted()) == [B]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


async def test_a_torn_line_spoils_no_other(path: Path) -> None:
    journal = FileJournal(path=path)
    await journal.note(A)
    with path.open("a") as file:
        file.write("\n+3f0c")  # of a longer id
    await journal.note(C)
    assert {A, C} < set(await journal.noted())


async def test_it_does_not_grow_for_ever(path: Path) -> None:
    journal = FileJournal(path=path)
    await journal.note(A)
    most = 0
    while path.stat().st_size >= most:
        most = path.stat().st_size
        await journal.note(B)
        await journal.forget(B)
    assert list(await journal.noted()) == [A]
