"""Fetching models that waiting jobs need, before a worker has room for their prompts."""

from collections.abc import Callable, Collection, Sequence

from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.domain.errors import DomainError, JobNotFound
from comfyq.domain.job import JobId
from comfyq.domain.models.errors import ModelError, NoRoomForModel
from comfyq.domain.models.lock import LockedModel
from comfyq.records.jobs import JobRecords
from comfyq.services.models.fetch_policy import ROOM_AGAIN_S, FetchPolicy
from comfyq.services.worker.capabilities import Capabilities
from comfyq.services.worker.choice.aside_jobs import AsideJobs
from comfyq.services.worker.choice.ready_jobs import ReadyJobs
from comfyq.services.worker.provisioning.provisioner import Provisioner

LOOK_S = 5.0
MOST_TENANTS = 2  # whose next jobs are looked at
MOST_JOBS = 4  # of each
MOST_KNOWN = 1_000  # jobs that are remembered to need no model of a lock


class FetchAhead:
    """Bring one model at a time while ``is_busy``: then a claim that would fetch it has to wait.

    What a claimed job needs goes first: a fetch ahead makes way, and goes on later where it was.
    """

    def __init__(
        self,
        *,
        ready: ReadyJobs,
        aside: AsideJobs,
        records: JobRecords,
        capabilities: Capabilities,
        policy: FetchPolicy,
        provisioner: Provisioner,
        is_busy: Callable[[], bool],
        look_s: float = LOOK_S,
    ) -> None:
        self._ready = ready
        self._aside = aside
        self._records = records
        self._capabilities = capabilities
        self._policy = policy
        self._provisioner = provisioner
        self._is_busy = is_busy
        self._look_s = look_s
        self._without: set[JobId] = set()  # jobs whose locks name no model

    async def run(self) -> None:
        """Look every ``look_s`` until canceled."""
        while True:
            try:
                await self.look()
            except (DomainError, OSError) as away:
                log.warning("fetch_ahead_failed", reason=str(away))
            except Exception:  # a defect that one job meets must not end the worker
                log.exception("fetch_ahead_crashed")
            await beat(self._look_s)

    async def look(self) -> None:
        """Fetch what the next jobs lack, until ComfyUI has room or nothing is left to fetch."""
        if not self._may_fetch:
            return
        wanted = [await self._lacking(job_id) for job_id in await self._next_jobs()]
        near = {model.sha256 for _, models in wanted for model in models}
        for lacking, _ in wanted:
            for model in lacking:
                if self._may_fetch and self._policy.is_to_fetch_ahead(model):
                    await self._bring(model, near)

    @property
    def _may_fetch(self) -> bool:
        return self._is_busy() and not self._policy.claimed.is_set()

    async def _next_jobs(self) -> Sequence[JobId]:
        """Return the next jobs of some tenants, in the order of their turns."""
        families, lane, lines = await self._ready.families(), None, list[Sequence[JobId]]()
        for _ in range(MOST_TENANTS):
            jobs = await self._ready.next_tenant(families, after=lane, beside=self._aside.waiting)
            if not jobs:
                break
            lines.append([job.id for job in jobs[:MOST_JOBS]])
            lane = jobs[0].lane
        turns = range(MOST_JOBS)
        return [line[turn] for turn in turns for line in lines if turn < len(line)]

    async def _lacking(self, job_id: JobId) -> tuple[Sequence[LockedModel], Sequence[LockedModel]]:
        """Return which of a job's models this worker would fetch now, and all of them."""
        if job_id in self._without:
            return (), ()
        try:
            job, spec = await self._records.get(job_id), await self._records.spec(job_id)
        except JobNotFound:
            return (), ()
        if not spec.models:
            if len(self._without) >= MOST_KNOWN:
                self._without.clear()
            self._without.add(job_id)
        if job.lease is not None or not spec.models:
            return (), spec.models
        return await self._capabilities.to_fetch(job, spec), spec.models

    async def _bring(self, model: LockedModel, near: Collection[str]) -> None:
        """Fetch a model, and delete none for it that one of the next jobs needs."""
        bring = self._provisioner.bring_ahead(model, near)
        try:
            await self._policy.claimed.unless_set(bring)
        except NoRoomForModel:  # what the next jobs need is in its place
            self._policy.put_off(model, for_s=ROOM_AGAIN_S)
        except (ModelError, OSError) as refused:  # a job that needs it meets the same, and tells it
            log.info("model_not_fetched_ahead", file=model.path, reason=str(refused))
            self._policy.put_off(model)
