"""Effects of one attempt's end on the worker's other jobs, and on its former process's."""

from datetime import timedelta

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.job import Job, JobStatus, WorkerId
from comfyq.ports.engine import (
    DeviceFault,
    NodeError,
    OutOfMemory,
    PromptInterrupted,
    PromptState,
    Started,
)
from comfyq.ports.notifier import Connection
from comfyq.services.worker.failure_policy import DeviceBroken, decide
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.losses.orphaned_prompts import OrphanedPrompts
from comfyq.services.worker.prompts import prompt_id
from tests.farm import Farm, FarmWorker
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio

BROKEN = NodeError("3", "KSampler", "CUDA error")


async def claim(worker: FarmWorker) -> HeldJob:
    delivery = await worker.farm.queue.receive(wait_s=0)
    assert delivery is not None
    held = await worker.claims.claim(delivery)
    assert held is not None
    return held


@pytest.mark.parametrize("kind", [DeviceFault, OutOfMemory])
async def test_a_device_that_fails_counts_against_the_first_prompt_alone(
    farm: Farm, kind: type[DeviceFault | OutOfMemory]
) -> None:
    struck, neighbour = await farm.submit(), await farm.submit()
    worker = farm.worker("w1", ScriptedEngine(Started(), kind(BROKEN, exception_type="CUDA")))
    both = [await claim(worker), await claim(worker)]
    for held in both:
        assert isinstance(await worker.executor.run(held, worker.turn), kind)
    after = [await farm.records.get(job.id) for job in (struck, neighbour)]
    assert [job.failures for job in after] == [1, 0]
    assert [job.status for job in after] == [JobStatus.QUEUED] * 2
    assert "behind another prompt" in (after[1].note or "")


async def test_a_later_prompt_answers_for_itself_again(farm: Farm) -> None:
    engine = ScriptedEngine(Started(), DeviceFault(BROKEN, exception_type="CUDA"))
    worker = farm.worker("w1", engine)
    later = []
    for _ in range(2):
        later.append(await farm.submit())
        await worker.run_once()
    assert [(await farm.records.get(job.id)).failures for job in later] == [1, 1]


async def test_a_doorbell_that_rings_while_the_job_is_given_back_is_heard(farm: Farm) -> None:
    """The worker that gives it back may be the first to receive it."""
    job = await farm.submit()
    await farm.follow(job)
    worker = farm.worker("w1", ScriptedEngine(Started(), PromptInterrupted("by somebody")))
    heard: list[HeldJob] = []

    async def post(connection: Connection, frame: bytes) -> None:
        if frame.startswith(b"queued") and not heard:
            heard.append(await claim(worker))

    farm.notifier.post = post  # type: ignore[method-assign]
    await worker.run_once()
    assert [(held.id, held.token) for held in heard] == [(job.id, 2)]
    again = await farm.queue.receive(wait_s=0)
    assert again is None
    await farm.queue.send(job.id, tenant=job.tenant)
    duplicate = await farm.queue.receive(wait_s=0)
    assert duplicate is not None
    assert await worker.claims.claim(duplicate) is None, "it claimed its own job twice"


async def test_the_end_of_a_dead_worker_is_announced_when_its_death_is_seen(farm: Farm) -> None:
    job = await _left_by_a_dead_worker(farm)
    for change in (jobs.start, jobs.succeed):
        job = change(job, token=1, now=farm.clock.now())
        await farm.records.save(job)
    await farm.follow(job)
    await farm.reaper.evict(WorkerId("w1"), [job.id])
    assert [frame for _, frame in farm.notifier.posts] == [b"succeeded 1.0"]
    assert not (await farm.records.get(job.id)).end_pending


async def test_what_was_taken_from_a_dead_worker_is_retaken_without_a_doorbell(farm: Farm) -> None:
    job = await _left_by_a_dead_worker(farm)
    await farm.reaper.evict(WorkerId("w1"), [job.id])
    farm.queue.messages.clear()
    assert await farm.worker("w1").retake() == 1
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("ended", [True, False])
async def test_prompts_are_swept_once_their_job_has_ended(farm: Farm, ended: bool) -> None:
    job = await _left_by_a_dead_worker(farm)
    other = farm.worker("w2")
    await farm.reaper.evict(WorkerId("w1"), [job.id])
    if ended:
        await other.run_once()
    else:
        await claim(other)
    back = farm.worker("w1")
    left = prompt_id(job.id, 1)
    back.engine.states[left] = PromptState.RUNNING
    assert await back.retake() == 0
    await OrphanedPrompts(records=farm.records, claims=back.claims, stopper=back.stopper).remove()
    assert (left in back.engine.canceled) == ended
    assert await back.claims.orphaned() == ([] if ended else [job.id])


async def _left_by_a_dead_worker(farm: Farm) -> Job:
    """A job that ``w1`` had claimed when its process died."""
    job = await farm.submit()
    await claim(farm.worker("w1"))
    return await farm.records.get(job.id)


async def test_what_an_ill_device_spoilt_waits_until_its_worker_has_seen_to_that() -> None:
    farm = Farm()
    verdict = decide(DeviceBroken("CUDA error"), await farm.submit(), farm.timing)
    farm.spool.close()
    assert verdict.error is None
    assert verdict.retry_in == timedelta(seconds=farm.timing.retry_s)
