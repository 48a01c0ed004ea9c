"""A batch of which not all is stored yet: what its followers are told, also if that breaks off."""

from itertools import pairwise
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobError, JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.request import Request
from comfyq.services.jobs.batch_submission import STORE_WITHIN
from tests.batch_lab import BatchLab, socket_lab
from tests.scripted_engine import until
from tests.socket_events import ENDPOINT

pytestmark = pytest.mark.anyio

SIZE = 30  # more than two transactions take
REQUESTS = {"requests": [{"prompt": f"fox {number}"} for number in range(SIZE)]}
KEY = {"Idempotency-Key": "k"}


def ids(shown: dict[str, Any]) -> list[JobId]:
    return [JobId(item["job"]["id"]) for item in shown["items"] if item["job"]]


async def test_it_is_not_done_though_all_that_is_there_has_ended() -> None:
    lab = await socket_lab()

    async def look(number: int) -> None:
        if number != 2:
            return
        [batch] = lab.client.get("/generate/batch").json()["batches"]
        await until(
            lambda: bool(ids(lab.shown(batch["batch_id"])))
        )  # those of the first transaction
        shown = lab.shown(batch["batch_id"])
        assert 0 < len(ids(shown)) < SIZE
        assert {item["error"] for item in shown["items"]} == {None}
        await lab.send("subscribe", batch_id=batch["batch_id"])
        for job_id in ids(shown):
            lab.clock.advance(2)
            await lab.finish(job_id)
        shown = lab.shown(batch["batch_id"])
        assert (shown["done"], shown["counts"]["gone"]) == (False, 0)
        assert shown["counts"]["completed"] + shown["counts"]["queued"] == SIZE
        assert 0 < shown["progress"] < 1

    lab.before_jobs(look)
    requests = [Request(workflow="flux-dev", values={"prompt": str(n)}) for n in range(SIZE)]
    accepted = await lab.services.batch_submission.submit(OWNER, requests, digest="d")
    for answer in accepted.jobs.values():  # those too that were stored after it was followed
        job = await lab.records.get(answer.job.id)
        if not job.status.terminal:
            await lab.finish(job.id)
    assert [frame["done"] for frame in lab.frames] == [False] * (len(lab.frames) - 1) + [True]
    assert lab.frames[-1]["counts"]["completed"] == SIZE
    seen = [frame["seq"] for frame in lab.frames]
    assert seen == sorted(seen)
    await lab.services.batch_submission.note(accepted)
    lab.clock.advance(2 * STORE_WITHIN.total_seconds())
    assert not (await lab.services.reaper.reap())["batches_given_up"], "it is stored"


async def test_it_ends_though_its_process_has_died_and_goes_on_if_it_is_sent_again() -> None:
    lab = await socket_lab()
    write = lab.table.write

    async def fail(number: int) -> None:
        if number > 1:
            raise TableUnavailable("the process has died")

    lab.before_jobs(fail)
    assert lab.client.post("/generate/batch", json=REQUESTS, headers=KEY).status_code == 503
    lab.table.write = write  # type: ignore[method-assign]
    [batch] = lab.client.get("/generate/batch").json()["batches"]
    batch_id = batch["batch_id"]
    await lab.send("subscribe", batch_id=batch_id)
    there = ids(lab.shown(batch_id))
    for job_id in there:
        await lab.finish(job_id)
    lab.notifier.unavailable.add(ENDPOINT)
    lab.clock.advance(STORE_WITHIN.total_seconds() + 1)
    await lab.services.reaper.reap()
    assert not any(frame["done"] for frame in lab.frames)
    lab.notifier.unavailable.clear()
    counts = await lab.services.reaper.reap()  # again, because nobody was reached
    assert counts["batches_given_up"] == 1
    assert lab.frames[-1]["done"]
    gone = SIZE - len(there)
    assert {n: c for n, c in lab.frames[-1]["counts"].items() if c} == {
        "completed": len(there),
        "gone": gone,
    }
    assert lab.shown(batch_id)["done"]
    assert not (await lab.services.reaper.reap())["batches_given_up"]

    async def look(number: int) -> None:
        counts = (await lab.services.batches.get(OWNER, BatchId(batch_id))).progress.counts
        assert (counts["queued"] > 0, counts["gone"]) == (True, 0)

    lab.before_jobs(look)
    again = lab.client.post("/generate/batch", json=REQUESTS, headers=KEY).json()
    await lab.send("subscribe", batch_id=batch_id)
    assert (lab.frames[-1]["done"], lab.frames[-1]["counts"]["queued"]) == (False, gone)
    for job_id in set(ids(again)) - set(there):
        await lab.finish(job_id)
    assert lab.frames[-1]["done"]
    seen = [frame["seq"] for frame in lab.frames]
    assert seen == sorted(seen)
    lab.clock.advance(2 * STORE_WITHIN.total_seconds())
    assert not (await lab.services.reaper.reap())["batches_given_up"]


async def test_a_job_that_is_deleted_while_others_are_stored_leaves_nobody_waiting() -> None:
    lab = await socket_lab()
    accepted = await lab.services.batch_submission.submit(
        OWNER, [Request(workflow="flux-dev", values={"prompt": "a fox"})], digest="d"
    )
    await lab.send("subscribe", batch_id=accepted.batch.id)
    [job_id] = [each.job.id for each in accepted.jobs.values()]
    lab.client.delete(f"/generate/{job_id}?purge=true")
    await lab.send("subscribe", batch_id=accepted.batch.id)
    await lab.services.batch_submission.note(accepted)
    assert (lab.frames[-1]["done"], lab.frames[-1]["counts"]["gone"]) == (True, 1)


async def test_its_seq_grows_with_whatever_becomes_of_its_jobs() -> None:
    lab = BatchLab()
    batch_id, job_ids = lab.batch(4)
    seen = [lab.shown(batch_id)["seq"]]

    def note() -> None:
        seen.append(lab.shown(batch_id)["seq"])

    for job_id in job_ids[:2]:
        await lab.finish(job_id)
        note()
    assert lab.client.delete(f"/generate/{job_ids[0]}?purge=true").status_code == 200
    note()
    newest = job_ids[2]
    for _ in range(2):  # a retry begins with version 1 again
        await lab.announce(await lab.fail(newest, JobError("out-of-memory", "too large")))
        note()
        newest = JobId(lab.client.post(f"/generate/{newest}/retry").json()["id"])
        note()
    await lab.finish(newest)
    note()
    assert lab.client.delete(f"/generate/{job_ids[1]}?purge=true").status_code == 200
    note()
    assert lab.client.delete(f"/generate/batch/{batch_id}").status_code == 202
    note()
    assert lab.shown(batch_id)["done"]
    assert all(earlier < later for earlier, later in pairwise(seen)), seen
