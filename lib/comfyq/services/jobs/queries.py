"""Reading jobs on behalf of a caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotFound, OutputNotFound
from comfyq.domain.files.output import OutputPage
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.attempt import Attempt
from comfyq.domain.submission.provenance import describe
from comfyq.domain.submission.spec import Spec
from comfyq.records.jobs import JobRecords

REMEMBERED = 256  # ended jobs that were asked for last
MOST_CHARS = 10_000  # of what is remembered of one
LEAST_CHARS = 400  # that an output counts as


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer about a job says of its request."""

    seed: int | None
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, spec: Spec) -> "Asked":
        return cls(spec.parameters.get("seed"), spec.warnings)


@dataclass(frozen=True, slots=True)
class Story:
    """A job with everything that is stored about it."""

    job: Job
    spec: Spec
    outputs: OutputPage
    attempts: Sequence[Attempt]


class JobQueries:
    """Read jobs for a caller; to it, another tenant's job does not exist."""

    def __init__(self, *, records: JobRecords) -> None:
        self._records = records
        self._ended: dict[JobId, tuple[object, Asked, OutputPage]] = {}  # with the job's version

    async def get(self, caller: Caller, job_id: JobId) -> Job:
        """Return the job of this id, which may be one that was added for a sender's retry.

        Raises:
            JobNotFound: there is none, or it is another tenant's.
        """
        try:
            job = await self._records.get(job_id)
        except JobNotFound:
            named = await self._records.named(job_id)
            if named is None:
                raise
            job = await self._records.get(named)
        if caller.only_job not in (None, job_id, job.id):
            raise JobNotFound(f"the ticket is not for job {job_id}")
        if job.tenant != caller.tenant:
            raise JobNotFound(f"there is no job {job_id}")
        return job

    async def outputs(
        self, caller: Caller, job_id: JobId, *, start: int = 0, end: int | None = None
    ) -> OutputPage:
        """Return a job's stored outputs from ``start`` up to ``end`` (exclusive; None: the last):
        none before it has succeeded. Raises JobNotFound."""
        job = await self.get(caller, job_id)
        return await self._records.output_page(job.id, start=start, end=end)

    async def story(self, caller: Caller, job_id: JobId) -> Story:
        """Return a job with its request, outputs and ended attempts. Raises JobNotFound."""
        job = await self.get(caller, job_id)
        return Story(
            job=job,
            spec=await self._records.spec(job.id),
            outputs=await self._records.output_page(job.id),
            attempts=await self._records.attempts(job.id),
        )

    async def spec(self, caller: Caller, job_id: JobId) -> Spec:
        """Return the work of a job. Raises JobNotFound."""
        return await self._records.spec((await self.get(caller, job_id)).id)

    async def asked_and_outputs(self, job: Job) -> tuple[Asked, OutputPage]:
        """Return what was asked for and what was made, of an ended job that ``get`` has returned.

        Clients ask again and again, and both change with the job's version alone.
        """
        known, version = self._ended.get(job.id), (job.created_at, job.version)
        if known is not None and known[0] == version:
            return known[1:]
        asked = Asked.of(await self._records.spec(job.id))
        outputs = await self._records.output_page(job.id)
        texts = [*asked.warnings, *(each.text or "" for each in outputs.outputs)]
        if LEAST_CHARS * len(outputs.outputs) + sum(map(len, texts)) <= MOST_CHARS:
            self._ended.pop(job.id, None)
            self._ended[job.id] = version, asked, outputs
            if len(self._ended) > REMEMBERED:
                self._ended.pop(next(iter(self._ended)))
        return asked, outputs

    async def metadata(self, caller: Caller, job_id: JobId, *, version: str) -> dict[str, Any]:
        """Describe how a job's outputs are made.

        Raises:
            JobNotFound.
            OutputNotFound: the request asked for no metadata.
        """
        job = await self.get(caller, job_id)
        spec = await self._records.spec(job.id)
        if not spec.metadata:
            raise OutputNotFound(
                f"job {job.id} has no metadata: it was submitted with `metadata` off"
            )
        return describe(job, spec, version=version)
