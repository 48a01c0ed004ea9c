"""An ended job that clients ask for again and again is read no further than its own item."""

from dataclasses import replace

import pytest

from comfyq.domain.files.output import OutputKind
from comfyq.services.jobs import queries
from comfyq.services.jobs.queries import MOST_CHARS
from comfyq.testing.memory.table import MemoryTable
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sort keys of what is read from the table."""
    keys: list[str] = []
    get = MemoryTable.get

    async def noted(table: MemoryTable, key: tuple[str, str]) -> object:
        keys.append(key[1])
        return await get(table, key)

    monkeypatch.setattr(MemoryTable, "get", noted)
    return keys


async def test_it_is_shown_alike_by_one_read(lab: ApiLab, read: list[str]) -> None:
    job_id = lab.submit(prompt="x", negative_prompt="blurry", seed=7)["id"]
    await lab.succeed(job_id, output("a.png"))
    first = lab.show(job_id)
    assert (first["seed"], len(first["warnings"]), len(first["outputs"])) == (7, 1, 1)
    read.clear()
    assert lab.show(job_id) == first
    assert read == ["META"]
    lab.clock.advance(60)
    assert lab.show(job_id)["image_url"] != first["image_url"], "each answer has links of its own"


async def test_a_newer_version_is_read_again(lab: ApiLab) -> None:
    """As of a job whose results were stored after all."""
    job = await lab.succeed(lab.submit()["id"], output("a.png"))
    shown = lab.show(job.id)
    assert [each["filename"] for each in shown["outputs"]] == ["a.png"]
    await lab.records.save(replace(job, version=job.version + 1), outputs=[output("b.png")])
    assert [each["filename"] for each in lab.show(job.id)["outputs"]] == ["b.png"]


async def test_what_is_large_is_not_remembered(lab: ApiLab, read: list[str]) -> None:
    text = replace(output("", kind=OutputKind.TEXT), key="", text="x" * (MOST_CHARS + 1))
    job = await lab.succeed(lab.submit()["id"], text)
    for _ in range(2):
        read.clear()
        assert len(lab.show(job.id)["outputs"]) == 1
        assert read == ["META", "SPEC", "OUT"]


async def test_few_jobs_are_remembered(
    lab: ApiLab, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "REMEMBERED", 2)
    ids = [(await lab.succeed(lab.submit()["id"], output("a.png"))).id for _ in range(3)]
    for job_id, reads in [(each, 3) for each in ids] + [(ids[2], 1), (ids[0], 3)]:
        read.clear()
        lab.show(job_id)
        assert len(read) == reads
