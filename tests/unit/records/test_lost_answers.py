"""An answer of the table is lost after the write was applied, and the client sends it again.

boto3 does so by itself; the second try is then refused, because of the first. For every kind of
write in ``records`` the caller must not notice.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import LeaseLost
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobError, JobId, WorkerId
from comfyq.domain.job.attempt import attempt_ended
from comfyq.domain.job.progress import Progress
from comfyq.domain.submission.spec import Spec
from comfyq.ports.notifier import Connection
from comfyq.ports.table import ConditionFailed, Key, Sum, Write
from comfyq.records.demand import DemandRecords
from comfyq.records.idempotency import Idempotency
from comfyq.records.jobs import JobRecords
from comfyq.records.limits.used import UsedRecords
from comfyq.records.secrets import SecretRecords
from comfyq.records.subscriptions import Subscription, SubscriptionRecords
from comfyq.records.workers import WorkerRecords, WorkerState
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=60)
SPEC = Spec(graph={"9": {"class_type": "SaveImage", "inputs": {}}}, parameters={})
IMAGE = Output(
    node="9",
    filename="a.png",
    kind=OutputKind.IMAGE,
    content_type="image/png",
    size=1,
    blake3="00",
    key="outputs/j/1/0-a.png",
)


class RepeatingTable(MemoryTable):
    """Every write is made twice, as by a client whose first answer was lost."""

    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.repeats = False
        self.refused = 0

    async def write(self, *writes: Write, synced: bool = True) -> None:
        await super().write(*writes)
        if self.repeats:
            try:
                await super().write(*writes)
            except ConditionFailed:
                self.refused += 1
                raise

    async def add(self, key: Key, by: int, **bounds: int) -> Sum:
        added = await super().add(key, by, **bounds)
        return await super().add(key, by, **bounds) if self.repeats else added


class Store:
    """Records over a table whose answers get lost once ``loses`` was called."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.table = RepeatingTable(clock=self.clock)
        self.records = JobRecords(self.table, clock=self.clock, new_write_id=lambda: uuid4().hex)
        self.promise = Idempotency(DEFAULT_TENANT, "key", "digest", JobId("j"), ttl=2**40)

    async def create(self, promise: Idempotency | None = None) -> Job:
        job = jobs.submitted(
            id=JobId("j"), tenant=DEFAULT_TENANT, workflow="w", created_at=self.clock.now()
        )
        await self.records.create(job, SPEC, promise)
        return job

    async def claimed(self) -> Job:
        job = jobs.claim(await self.create(), worker=WorkerId("w1"), now=self.clock.now(), ttl=TTL)
        await self.records.save(job)
        return job

    async def running(self) -> Job:
        job = jobs.start(await self.claimed(), token=1, now=self.clock.now())
        await self.records.save(job)
        return job

    async def ended(self) -> Job:
        return await self.ended_of(await self.running())

    async def ended_of(self, running: Job) -> Job:
        job = jobs.succeed(running, token=1, now=self.clock.now())
        await self.records.save(job, outputs=[IMAGE])
        return job


@pytest.fixture
def store() -> Store:
    return Store()


ERROR = JobError("node-error", "broken")
NOW = ManualClock().now()
CHANGES: dict[str, tuple[Callable[[Store], Awaitable[Job]], Callable[[Job], Job]]] = {
    "ring": (Store.create, lambda job: jobs.ring(job, now=NOW)),
    "claim": (Store.create, lambda job: jobs.claim(job, worker=WorkerId("w"), now=NOW, ttl=TTL)),
    "renew": (Store.claimed, lambda job: jobs.renew(job, token=1, now=NOW, ttl=TTL)),
    "start": (Store.claimed, lambda job: jobs.start(job, token=1, now=NOW)),
    "advance": (
        Store.running,
        lambda job: jobs.advance(job, token=1, now=NOW, ttl=TTL, progress=Progress(0.5, 1, 2)),
    ),
    "forfeit": (Store.claimed, lambda job: jobs.forfeit(job, token=1, now=NOW, reason="lost")),
    "release": (Store.running, lambda job: jobs.release(job, token=1, now=NOW, reason="drained")),
    "retry": (
        Store.running,
        lambda job: jobs.fail(job, token=1, now=NOW, error=ERROR, retry_in=timedelta(seconds=1)),
    ),
    "fail": (
        Store.running,
        lambda job: jobs.fail(job, token=1, now=NOW, error=ERROR, retry_in=None),
    ),
    "succeed": (Store.running, lambda job: jobs.succeed(job, token=1, now=NOW)),
    "cancel": (Store.create, lambda job: jobs.request_cancel(job, now=NOW)),
    "request_cancel": (Store.running, lambda job: jobs.request_cancel(job, now=NOW)),
    "evict": (Store.running, lambda job: jobs.evict(job, worker=WorkerId("w1"), now=NOW)),
    "expire": (Store.create, lambda job: jobs.reap(job, now=NOW + timedelta(days=2))),
    "announced": (Store.ended, lambda job: jobs.announced(job, now=NOW, retention=TTL)),
    "unannounced": (Store.ended, lambda job: jobs.unannounced(job, now=NOW)),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_every_change_of_a_job_is_recognised(store: Store, change: str) -> None:
    prepare, apply = CHANGES[change]
    before = await prepare(store)
    after = apply(before)
    store.table.repeats = True

    outputs = [IMAGE] if change == "succeed" else None
    attempt = attempt_ended(before, after, now=NOW)
    await store.records.save(after, attempt=attempt, outputs=outputs)

    assert store.table.refused == 1, "the repetition was refused, and recognised as our own"
    assert await store.records.get(after.id) == after


async def test_a_submission_is_recognised(store: Store) -> None:
    store.table.repeats = True
    job = await store.create()
    assert store.table.refused == 1
    assert await store.records.get(job.id) == job


async def test_a_submission_with_an_idempotency_key_is_recognised(store: Store) -> None:
    store.table.repeats = True
    job = await store.create(store.promise)
    assert await store.records.idempotent(DEFAULT_TENANT, "key") == ("digest", job.id)


async def test_a_submission_that_was_claimed_meanwhile_is_recognised(store: Store) -> None:
    """The lost answer was that of a submission, and a worker was faster than its repetition."""
    job = await store.create(store.promise)
    await store.records.save(jobs.claim(job, worker=WorkerId("w"), now=NOW, ttl=TTL))
    await store.records.create(job, SPEC, store.promise)
    assert (await store.records.get(job.id)).attempt == 1


async def test_a_deleted_job_stays_deleted(store: Store) -> None:
    job = await store.ended()
    store.table.repeats = True
    await store.records.remove(job)
    assert await store.table.get(("JOB#j", "META")) is None


async def test_a_request_is_counted_at_least_once(store: Store) -> None:
    """Never less than it was: a repeated count may only make the limit stricter."""
    store.table.repeats = True
    answers = [
        await UsedRecords(store.table).count_jobs(DEFAULT_TENANT, 1, most=4, day=NOW.date())
        for _ in range(3)
    ]
    assert answers == [(2, True), (4, True), (4, False)]


async def test_followers_workers_families_and_secrets_do_not_notice(store: Store) -> None:
    store.table.repeats = True
    followers = SubscriptionRecords(store.table)
    follower = Subscription(Connection("c", "http://gateway"), "http://api")
    await followers.connect(follower.connection, OWNER, base_url="http://api", now_s=0)
    now_s = int(NOW.timestamp())
    await followers.add(JobId("j"), follower, now_s=now_s)
    assert await followers.of_job(JobId("j")) == [follower]
    await followers.disconnect("c")
    assert await followers.of_job(JobId("j")) == []

    worker = WorkerState(
        id=WorkerId("w"),
        pid=1,
        host="h",
        version="1",
        engine_ok=True,
        seen_at=NOW,
        started_at=NOW,
    )
    workers = WorkerRecords(store.table, clock=ManualClock(NOW), live_s=20)
    await workers.beat(worker, ttl_s=60)
    assert await workers.live() == [worker]
    await workers.end(worker.id)
    assert await workers.live() == []

    demand = DemandRecords(store.table, clock=ManualClock(NOW))
    for tenant in ("a", "b"):
        await demand.note(
            jobs.submitted(
                id=JobId("j"),
                tenant=TenantId(tenant),
                workflow="w",
                family="flux",
                created_at=NOW,
            )
        )
    assert await demand.families() == ["flux"]
    assert not await demand.is_plain()

    secrets = SecretRecords(store.table, new_secret=lambda: uuid4().hex)
    assert await secrets.shared("links") == await secrets.shared("links")


async def test_what_is_decided_again_after_a_lost_answer_is_not_done_twice(store: Store) -> None:
    """The client gave up, so its caller reads afresh, and finds what it wanted to do."""
    running = await store.running()
    assert jobs.start(running, token=1, now=NOW) is running
    ended = await store.ended_of(running)
    with pytest.raises(LeaseLost):
        jobs.succeed(ended, token=1, now=NOW)
