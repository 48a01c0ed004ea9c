"""Jobs that a test moves by hand, and everything that tells followers of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.domain.job.estimate import NOTHING, Estimate
from comfyq.domain.job.progress import Progress
from comfyq.domain.submission.spec import Spec
from comfyq.edges.api.links import output_url
from comfyq.edges.websocket.rendering import render, render_batch
from comfyq.ports.notifier import Notifier
from comfyq.records.batches.records import BatchRecords
from comfyq.records.jobs import JobRecords
from comfyq.records.retries import RetryRecords
from comfyq.records.subscriptions import SubscriptionRecords
from comfyq.records.tenants import TenantRecords
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.limits.known_tenants import KnownTenants
from comfyq.services.limits.retention import Retention
from comfyq.services.notify.announcer import Announcer
from comfyq.services.notify.batch_news import BatchNews
from comfyq.services.notify.followers import Followers
from comfyq.services.notify.subscriptions import Subscriptions
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

TTL = timedelta(seconds=120)
PUBLIC_URL = "https://public.example"
PICTURE = Output(
    node="9",
    filename="a.png",
    kind=OutputKind.IMAGE,
    content_type="image/png",
    size=3,
    blake3="00",
    key="outputs/a.png",
)


class FollowedJobs:
    def __init__(self, notifier: Notifier) -> None:
        self.clock = ManualClock()
        self.table = MemoryTable(clock=self.clock)
        ids = count()
        self.records = JobRecords(
            self.table, clock=self.clock, new_write_id=lambda: f"w{next(ids)}"
        )
        self.followers = SubscriptionRecords(self.table)
        self.links = SignedLinks(secret=b"secret", clock=self.clock)
        told = Followers(subscriptions=self.followers, notifier=notifier)
        self.batch_news = BatchNews(
            batches=BatchRecords(self.table, new_write_id=lambda: f"b{next(ids)}", kept=self._kept),
            jobs=self.records,
            retries=RetryRecords(self.table, self.records),
            followers=told,
            render=render_batch,
            clock=self.clock,
        )
        self.announcer = Announcer(
            records=self.records,
            followers=told,
            batch_news=self.batch_news,
            render=self._render,
            clock=self.clock,
            retention=Retention(
                tenants=KnownTenants(records=TenantRecords(self.table), clock=self.clock),
                usual=timedelta(days=7),
            ),
            estimate=self._estimated,
        )
        self.estimate = NOTHING  # of each queued job
        self.subscriptions = Subscriptions(
            records=self.records,
            subscriptions=self.followers,
            announcer=self.announcer,
            batch_news=self.batch_news,
            clock=self.clock,
            is_valid=self._is_valid,
        )
        self.revoked: set[str] = set()  # API keys

    async def _kept(self, tenant: TenantId) -> timedelta:
        return timedelta(days=7)

    async def _is_valid(self, key_id: str) -> bool:
        return key_id not in self.revoked

    async def _estimated(self, job: Job) -> Estimate:
        return self.estimate

    def _render(
        self, job: Job, outputs: Sequence[Output], base_url: str, estimate: Estimate
    ) -> bytes:
        def url(index: int) -> str:
            query = self.links.query(job.id, index)
            return output_url(base_url or PUBLIC_URL, job.id, index, query)

        return render(job, outputs, output_url=url, estimate=estimate)

    async def submitted(self, job_id: str = "job-1", *, tenant: str = DEFAULT_TENANT) -> Job:
        job = jobs.submitted(
            id=JobId(job_id), tenant=TenantId(tenant), workflow="w", created_at=self.clock.now()
        )
        await self.records.create(job, Spec(graph={}, parameters={}))
        return job

    async def running(self, job_id: str = "job-1") -> Job:
        waiting = await self.submitted(job_id)
        now = self.clock.now()
        job = jobs.claim(waiting, worker=WorkerId("w1"), now=now, ttl=TTL)
        await self.records.save(job)
        job = jobs.start(job, token=job.attempt, now=now)
        await self.records.save(job)
        return job

    async def advance(self, job: Job, step: int, *, max_steps: int = 4) -> Job:
        """Store a step; who wants it posted announces it."""
        progress = Progress(step / max_steps, step, max_steps, "KSampler")
        now = self.clock.now()
        advanced = jobs.advance(job, token=job.attempt, now=now, ttl=TTL, progress=progress)
        await self.records.save(advanced)
        return advanced

    async def succeed(self, job: Job, outputs: Sequence[Output] = (PICTURE,)) -> Job:
        done = jobs.succeed(job, token=job.attempt, now=self.clock.now())
        await self.records.save(done, outputs=outputs)
        return done


def with_progress(job: Job, fraction: float) -> Job:
    """The same stored version, further on: what is pushed between two writes."""
    return replace(job, progress=replace(job.progress, fraction=fraction))
