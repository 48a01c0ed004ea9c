"""A batch that is canceled while its jobs are being stored: none of them runs, whoever dies."""

import asyncio
from itertools import count

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId, JobStatus
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.request import Request
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.ports.table import Write
from comfyq.services.jobs.batch_submission import STORE_WITHIN
from comfyq.services.jobs.batches import CANCEL_WITHIN, BatchState
from tests.batch_lab import SOCKET, BatchLab
from tests.scripted_engine import until
from tests.socket_events import connected

pytestmark = pytest.mark.anyio

SIZE = 30  # more than two transactions take
HOOK = "https://receiver.example/"
REQUESTS = [
    Request(workflow="flux-dev", values={"prompt": f"fox {n}"}, webhook_url=HOOK)
    for n in range(SIZE)
]


class MortalLab(BatchLab):
    """A process that dies after so many writes (``writes_left``; None: it lives)."""

    def __init__(self) -> None:
        super().__init__(is_socket=True)
        self.writes_left: int | None = None
        self._write = self.table.write
        self.table.write = self._mortal  # type: ignore[method-assign]

    def revive(self) -> None:
        self.writes_left = None

    async def _mortal(self, *writes: Write, synced: bool = True) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise TableUnavailable("the process has died")
        await self._write(*writes, synced=synced)


class CanceledLab(MortalLab):
    """Jobs of a batch are stored, and it is canceled before the second transaction with them."""

    def __init__(
        self, *, deadly: bool = False, given_up: bool = False, outlives: int | None = None
    ) -> None:
        """Whoever cancels dies at each of its writes (``deadly``), or comes when who stores was
        taken for dead (``given_up``); that one dies after so many writes more (``outlives``)."""
        super().__init__()
        self.batch_id = ""
        self._deadly, self._given_up, self._outlives = deadly, given_up, outlives
        self.before_jobs(self._held)

    async def submit_all(self) -> None:
        """Submit the batch; raises TableUnavailable where the process dies."""
        assert await connected(self.sockets, SOCKET, None) == (200, "")
        accepted = await self.services.batch_submission.submit(
            OWNER, REQUESTS, digest="d", idempotency_key="k"
        )
        await self.services.batch_submission.note(accepted)

    @property
    def ids(self) -> list[JobId]:
        items = self.shown(self.batch_id)["items"]
        return [JobId(item["job"]["id"]) for item in items if item["job"]]

    async def require_canceled(self) -> None:
        """Assert that each job that is there has ended as canceled, untouched, and told so once."""
        for job_id in self.ids:
            job = await self.records.get(job_id)
            assert (job.status, job.attempt) == (JobStatus.CANCELED, 0)
            told = await self.services.webhook_delivery_records.of_job(job_id)
            assert [each.event for each in told] == [WebhookEvent.CANCELED]

    async def _held(self, number: int) -> None:
        if number != 2:
            return
        [batch] = self.client.get("/generate/batch").json()["batches"]
        self.batch_id = batch["batch_id"]
        await until(lambda: bool(self.ids))  # those of the first transaction
        await self.send("subscribe", batch_id=self.batch_id)
        if self._given_up:
            self.clock.advance(STORE_WITHIN.total_seconds() + 1)
            assert (await self.services.reaper.reap())["batches_given_up"] == 1
        path, deaths = f"/generate/batch/{self.batch_id}", count()
        answer = None
        while answer is None or answer.status_code != 202:
            self.writes_left = next(deaths) if self._deadly else None
            answer = self.client.delete(path)
        shown = answer.json()
        assert shown["counts"]["canceled"] == len(self.ids) < SIZE
        assert shown["done"] is self._given_up
        self.writes_left = self._outlives


@pytest.mark.parametrize("how", [{}, {"deadly": True}, {"given_up": True}])
async def test_what_is_stored_after_its_batch_was_canceled_is_canceled_too(
    how: dict[str, bool],
) -> None:
    lab = CanceledLab(**how)
    await lab.submit_all()
    assert len(lab.ids) == SIZE
    await lab.require_canceled()
    shown = lab.shown(lab.batch_id)
    assert (shown["done"], shown["canceled"], shown["counts"]["canceled"]) == (True, True, SIZE)
    assert (lab.frames[-1]["done"], lab.frames[-1]["counts"]["canceled"]) == (True, SIZE)
    seen = [frame["seq"] for frame in lab.frames]
    assert seen == sorted(seen)
    again = lab.client.post(f"/generate/batch/{lab.batch_id}/retry")
    assert again.json()["counts"]["queued"] == SIZE, "what they ask for is stored with them"


async def test_what_is_stored_between_the_look_and_the_mark_of_who_cancels_is_canceled_too() -> (
    None
):
    lab, looked, stored = BatchLab(), asyncio.Event(), asyncio.Event()
    canceling: list[asyncio.Task[BatchState]] = []
    write = lab.table.write

    async def held(*writes: Write, synced: bool = True) -> None:
        if writes[0].key[0].startswith("AUDIT#"):  # the first write of who cancels
            looked.set()
            await stored.wait()
        await write(*writes, synced=synced)

    async def second(number: int) -> None:
        if number == 2:
            [batch] = lab.client.get("/generate/batch").json()["batches"]
            canceled = lab.batches.cancel(OWNER, BatchId(batch["batch_id"]))
            canceling.append(asyncio.create_task(canceled))
            await looked.wait()

    lab.table.write = held  # type: ignore[method-assign]
    lab.before_jobs(second)
    accepted = await lab.batch_submission.submit(OWNER, REQUESTS, digest="d")
    await lab.batch_submission.note(accepted)
    stored.set()
    state = await canceling[0]
    assert (len(state.jobs), state.batch.storing) == (SIZE, False)
    assert {job.status for job in state.jobs.values()} == {JobStatus.CANCELED}


async def test_who_dies_storing_a_canceled_batch_leaves_nothing_that_runs() -> None:
    there = list[int]()
    for writes in count():
        lab = CanceledLab(outlives=writes)
        try:
            await lab.submit_all()
        except TableUnavailable:
            lab.revive()
        else:
            break
        lab.clock.advance(STORE_WITHIN.total_seconds() + 1)
        for _ in range(2):
            assert "rung" not in await lab.services.reaper.reap()
        await lab.require_canceled()
        there.append(len(lab.ids))
        left = {"canceled": there[-1], "gone": SIZE - there[-1]}
        assert {n: c for n, c in lab.frames[-1]["counts"].items() if c} == left
        assert lab.frames[-1]["done"]
        replayed = await lab.services.batch_submission.submit(
            OWNER, REQUESTS, digest="d", idempotency_key="k"
        )
        assert (len(replayed.jobs), replayed.new) == (there[-1], ()), "nothing more is stored"
    assert there == sorted(there)
    assert there[0] < there[-1] <= SIZE, "it has died before and behind some of them"


async def test_who_dies_canceling_a_batch_leaves_nothing_that_runs() -> None:
    """After whichever of its writes; until the batch is marked, nobody was told of anything."""
    marked = list[bool]()
    for writes in count():
        lab = MortalLab()
        assert await connected(lab.sockets, SOCKET, None) == (200, "")
        batch_id, job_ids = lab.batch(3)
        await lab.send("subscribe", batch_id=batch_id)
        lab.writes_left = writes
        code = lab.client.delete(f"/generate/batch/{batch_id}").status_code
        lab.revive()
        marked.append(lab.shown(batch_id)["canceled"])
        assert not (await lab.services.reaper.reap())["batches_canceled"], "it may be alive"
        lab.clock.advance(CANCEL_WITHIN.total_seconds() + 1)
        gone_on = (await lab.services.reaper.reap())["batches_canceled"]
        assert gone_on == (code == 503 and marked[-1])
        await lab.services.batch_news.tell_put_off()
        shown = lab.shown(batch_id)
        assert shown["counts"]["canceled" if marked[-1] else "queued"] == len(job_ids)
        assert shown["done"] == lab.frames[-1]["done"] == marked[-1]
        assert not (await lab.services.reaper.reap())["batches_canceled"], "once"
        if code == 202:
            break
    assert marked == sorted(marked)
    assert marked.count(True) > 3, "it has died before and behind each of the jobs"


async def test_a_retry_that_is_asked_for_after_a_cancellation_that_was_cut_off_goes_on() -> None:
    lab = MortalLab()
    batch_id, (first, second) = lab.batch(2)
    assert lab.client.delete(f"/generate/{first}").status_code == 202
    lab.writes_left = 2  # the audit log's, and the mark
    assert lab.client.delete(f"/generate/batch/{batch_id}").status_code == 503
    lab.revive()
    lab.clock.advance(CANCEL_WITHIN.total_seconds() + 1)
    retry = lab.client.post(f"/generate/{first}/retry").json()["id"]
    assert (await lab.services.reaper.reap())["batches_canceled"] == 1
    statuses = [(await lab.records.get(JobId(each))).status for each in (first, second, retry)]
    assert statuses == [JobStatus.CANCELED, JobStatus.CANCELED, JobStatus.QUEUED]
