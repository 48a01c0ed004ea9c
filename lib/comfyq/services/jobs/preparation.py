"""Preparation of a job: its request admitted, its files stored, earlier results looked up."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller, Scope
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.admission import RAW, AdmittedRequest
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.retry import Retry
from comfyq.domain.submission.spec import Spec
from comfyq.domain.submission.title import title_of
from comfyq.ports.clock import Clock
from comfyq.services.access.partner_keys import PartnerKeys
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.jobs.admission import Admission
from comfyq.services.jobs.input_files import InputFiles
from comfyq.services.jobs.result_cache import ResultCache
from comfyq.services.jobs.webhook_choice import WebhookChoice
from comfyq.telemetry.tracing import tracing

CHANGES_OF_ENDED = 10  # that a failed job may see: that its end was announced, its deletion


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job that is not stored yet; ``outputs`` are those of the earlier job that it reuses."""

    job: Job
    spec: Spec
    outputs: Sequence[Output] | None = None
    partner_key: str | None = None  # sealed


class Preparation:
    def __init__(
        self,
        *,
        admission: Admission,
        input_files: InputFiles,
        result_cache: ResultCache,
        links: Callable[[], Awaitable[SignedLinks]],
        clock: Clock,
        unsuited_timeout_s: int,
        webhooks: WebhookChoice,
        partner_keys: PartnerKeys,
    ) -> None:
        self._admission = admission
        self._input_files = input_files
        self._result_cache = result_cache
        self._links = links
        self._clock = clock
        self._unsuited_timeout_s = unsuited_timeout_s
        self._webhooks = webhooks
        self._partner_keys = partner_keys

    async def prepare(
        self, caller: Caller, request: Request | Retry, *, job_id: JobId
    ) -> PreparedJob:
        """Make the job of a request, or the one that does an earlier job's work again; as succeeded
        if reuse was requested and results exist.

        Raises:
            MissingScope: the caller may send no graphs, or none of its jobs may wait.
            WorkflowNotFound, InvalidParameters, InvalidGraph: the request cannot be run.
            TableUnavailable, AssetsUnavailable.
        """
        _require_scopes(caller, request)
        if isinstance(request, Retry):
            return await self._again(caller, request, job_id)
        with tracing.span("admission"):
            admitted = await self._admission.admit(request)
        webhook = await self._webhooks.of(caller, request)
        job = jobs.submitted(
            id=job_id,
            tenant=caller.tenant,
            workflow=admitted.workflow,
            family=admitted.family,
            limits=replace(admitted.limits, unsuited_timeout_s=self._unsuited_timeout_s),
            created_at=self._clock.now(),
            unsuited=admitted.unsuited,
            link_key=(await self._links()).key(job_id),
            seed=admitted.spec.parameters.get("seed"),
            priority=request.priority,
            trace=tracing.traceparent(),
            title=title_of(admitted.spec.parameters, admitted.spec.graph),
            labels=request.labels,
            webhook_events=webhook.events,
        )
        settled = await self._input_files.settle(
            caller, admitted.spec, by=job_id, needed_for=job.limits.longest
        )
        spec = replace(settled, metadata=request.metadata, webhook=webhook.target)
        if request.partner_key is not None:  # what is paid for anew is not reused
            return self._with_partner_key(job, spec, request.partner_key)
        return await self._reusing(job, spec) if request.reuse else PreparedJob(job, spec)

    def _with_partner_key(self, job: Job, spec: Spec, key: str) -> PreparedJob:
        sealed = self._partner_keys.seal(key, job.id)
        return PreparedJob(
            replace(job, partner_seal=sealed.seal),
            replace(spec, has_partner_key=True),
            partner_key=sealed.text,
        )

    async def _reusing(self, job: Job, spec: Spec) -> PreparedJob:
        """Let a job succeed with the results of an earlier one like it, if there are any."""
        spec = self._result_cache.keyed(spec)
        cached = await self._result_cache.find(job, spec)
        if cached is None:
            return PreparedJob(job, spec)
        reused = jobs.reuse(job, of=cached.job, now=self._clock.now())
        return PreparedJob(reused, spec, cached.outputs)

    async def _again(self, caller: Caller, retry: Retry, job_id: JobId) -> PreparedJob:
        """Make the job of a retry, which was admitted when the earlier job was:
        only the rules may have changed since."""
        earlier = retry.job
        self._admission.readmit(earlier, retry.spec)
        self._webhooks.require_reachable(retry.spec.webhook)
        job = jobs.submitted(
            id=job_id,
            tenant=caller.tenant,
            workflow=earlier.workflow,
            family=earlier.family,
            limits=replace(earlier.limits, unsuited_timeout_s=self._unsuited_timeout_s),
            created_at=self._clock.now(),
            link_key=(await self._links()).key(job_id),
            seed=earlier.seed,
            retry_of=earlier.id,
            priority=earlier.priority,
            trace=tracing.traceparent(),
            title=earlier.title,
            labels=earlier.labels,
            webhook_events=earlier.webhook_events,
        )
        spec = await self._input_files.settle_again(
            caller, retry.spec, by=job_id, needed_for=job.limits.longest
        )
        # A batch shows it in the earlier job's place: the sum of its versions must not fall.
        return PreparedJob(replace(job, version=earlier.version + CHANGES_OF_ENDED), spec)

    async def rehearse(self, caller: Caller, request: Request) -> AdmittedRequest:
        """Check a request as ``prepare`` does, storing nothing; raises what ``prepare`` raises."""
        _require_scopes(caller, request)
        admitted = await self._admission.admit(request)
        await self._webhooks.of(caller, request)
        return replace(admitted, spec=self._input_files.check(admitted.spec))


def _require_scopes(caller: Caller, request: Request | Retry) -> None:
    """Raise MissingScope unless the caller has the scopes that the request itself needs."""
    if isinstance(request, Retry):
        if request.job.workflow == RAW:
            caller.require(Scope.GRAPH)
        return
    if request.graph is not None:
        caller.require(Scope.GRAPH)
    if request.wait:
        caller.require(Scope.WAIT)
