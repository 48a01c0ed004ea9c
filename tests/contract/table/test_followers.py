"""Followers of jobs and of batches, stored in every engine."""

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.ports.notifier import Connection
from comfyq.ports.table import Table
from comfyq.records.subscriptions import Subscription, SubscriptionRecords
from comfyq.testing.memory.clock import ManualClock

pytestmark = pytest.mark.anyio

SOCKET = Connection("L0SM9cOFvHcCIhw=", "https://sockets.example/live")
JOBS = [JobId(f"job-{number:02}") for number in range(25)]  # more than one transaction takes
ONE, TWO = BatchId("batch-1"), BatchId("batch-2")
PLAIN = Subscription(SOCKET, "http://here")


def of_batch(batch_id: BatchId) -> Subscription:
    return Subscription(SOCKET, "http://here", batch=batch_id)


async def test_a_batch_is_followed_by_way_of_its_jobs(table: Table, clock: ManualClock) -> None:
    records, now_s = SubscriptionRecords(table), int(clock.now().timestamp())
    await records.connect(SOCKET, OWNER, base_url="http://here", now_s=now_s)
    await records.add(JOBS[0], PLAIN, now_s=now_s)
    for batch_id in (ONE, TWO):
        await records.add_batch(JOBS, of_batch(batch_id), now_s=now_s)

    async def followers(job_id: JobId) -> set[BatchId | None]:
        found = await records.of_job(job_id)
        assert {each.connection for each in found} <= {SOCKET}
        return {each.batch for each in found}

    assert await followers(JOBS[0]) == {None, ONE, TWO}
    assert [await followers(each) for each in JOBS[1:]] == [{ONE, TWO}] * 24
    await records.remove_batch(SOCKET.id, ONE)
    assert [await followers(each) for each in JOBS] == [{None, TWO}, *[{TWO}] * 24]
    await records.remove(JOBS[1], of_batch(TWO))
    await records.remove(JOBS[0], PLAIN)
    assert [await followers(each) for each in JOBS[:3]] == [{TWO}, set(), {TWO}]
    await records.disconnect(SOCKET.id)
    assert [await followers(each) for each in JOBS] == [set()] * 25


async def test_who_follows_a_batch_by_a_job_follows_its_retry(
    table: Table, clock: ManualClock
) -> None:
    records, now_s = SubscriptionRecords(table), int(clock.now().timestamp())
    job_id, retry = JOBS[:2]
    await records.add(job_id, PLAIN, now_s=now_s)
    assert await records.add_retry(retry, retry_of=job_id) == []
    await records.add_batch([job_id], of_batch(ONE), now_s=now_s)
    assert await records.add_retry(retry, retry_of=job_id) == [of_batch(ONE)]
    assert await records.of_job(retry) == [of_batch(ONE)]
    await records.remove_batch(SOCKET.id, ONE)
    assert await records.of_job(retry) == []
