"""Outputs that storage refused stay on disk, and reach their job when storage answers."""

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyq.domain.errors import AssetsUnavailable
from comfyq.domain.job import Job, JobStatus
from comfyq.ports.spool import Spooled
from comfyq.services.worker.output_retry import OutputRetry
from tests.farm import Farm
from tests.scripted_engine import PowerCut

pytestmark = pytest.mark.anyio


class Storage:
    """Decides whether the farm's storage takes anything."""

    def __init__(self, farm: Farm, patch: pytest.MonkeyPatch) -> None:
        self.refuses = True
        self._put = farm.assets.put
        patch.setattr(farm.assets, "put", self.put)

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        if self.refuses:
            raise AssetsUnavailable("access denied")
        await self._put(key, source, content_type=content_type)


@pytest.fixture
def storage(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Storage:
    return Storage(farm, monkeypatch)


def output_retry(farm: Farm) -> OutputRetry:
    return OutputRetry(
        records=farm.records,
        assets=farm.assets,
        spool=farm.spool,
        clock=farm.clock,
        timing=farm.timing,
    )


async def refused(farm: Farm) -> Job:
    """A job whose results storage did not take."""
    job = await farm.submit()
    await farm.worker("w1").run_once()
    failed = await farm.records.get(job.id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "storage-refused")
    return failed


async def test_results_reach_the_failed_job_when_storage_answers(
    farm: Farm, storage: Storage
) -> None:
    failed = await refused(farm)
    with pytest.raises(AssetsUnavailable):
        await output_retry(farm).send()
    assert await farm.records.outputs(failed.id) == []
    storage.refuses = False

    await output_retry(farm).send()

    [output] = await farm.records.outputs(failed.id)
    assert farm.assets.stored[output.key].body == b"pixels of a_00001_.png"
    after = await farm.records.get(failed.id)
    assert (after.status, after.error) == (failed.status, failed.error), "it stays as it was told"
    assert await farm.spool.kept() == []


async def test_a_lost_answer_of_the_table_sends_them_again(farm: Farm, storage: Storage) -> None:
    failed = await refused(farm)
    storage.refuses = False
    farm.table.faults_after.append(AssetsUnavailable("the answer was lost"))
    with pytest.raises(AssetsUnavailable):
        await output_retry(farm).send()
    await output_retry(farm).send()
    assert len(await farm.records.outputs(failed.id)) == 1
    assert await farm.spool.kept() == []


async def test_results_of_a_deleted_job_are_dropped(farm: Farm, storage: Storage) -> None:
    failed = await refused(farm)
    await farm.records.remove(await farm.records.get(failed.id))
    storage.refuses = False
    await output_retry(farm).send()
    assert farm.assets.stored == {}
    assert await farm.spool.kept() == []


async def test_a_job_that_may_still_end_otherwise_keeps_its_parcel(
    farm: Farm, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies between noting the parcel and failing the job."""
    job = await farm.submit()

    async def power_cut(*_: object, **__: object) -> bool:
        await keep(*_, **__)  # type: ignore[arg-type]
        raise PowerCut

    keep = farm.spool.keep
    monkeypatch.setattr(farm.spool, "keep", power_cut)
    await farm.worker("w1").dies()
    storage.refuses = False
    await output_retry(farm).send()
    assert len(await farm.spool.kept()) == 1

    farm.clock.advance(farm.timing.lease_s)
    await farm.worker("w2").run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    await output_retry(farm).send()
    assert await farm.spool.kept() == []
    assert [key.split("/")[2] for key in farm.assets.stored] == ["2"], "the winner's alone"


async def test_a_full_disk_gives_the_job_back_and_its_doorbell_is_heard_again(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await farm.submit()
    worker, save = farm.worker("w1"), farm.spool.save

    async def full(name: str, chunks: AsyncIterator[bytes]) -> Spooled:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(farm.spool, "save", full)
    await worker.run_once()
    waiting = await farm.records.get(job.id)
    assert (waiting.status, waiting.lease, waiting.failures) == (JobStatus.QUEUED, None, 0)
    assert "No space left" in (waiting.note or "")

    monkeypatch.setattr(farm.spool, "save", save)
    farm.clock.advance(farm.timing.unavailable_s)
    await worker.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
