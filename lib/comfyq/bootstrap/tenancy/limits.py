"""The services of limits: how much a tenant or the holder of a key may do."""

from functools import cached_property

from comfyq.bootstrap.access import AccessServices
from comfyq.records.indexes.waiting_jobs import WaitingRecords
from comfyq.records.limits.used import UsedRecords
from comfyq.services.limits.daily_jobs import DailyJobs
from comfyq.services.limits.output_limit import OutputLimit
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.services.limits.submission_limits import SubmissionLimits
from comfyq.services.limits.tenant_limits import AppliedLimits, TenantLimits
from comfyq.services.limits.waiting_limit import WaitingLimit


class LimitServices(AccessServices):
    """The services of limits and of access, over one set of ports."""

    @cached_property
    def tenant_limits(self) -> TenantLimits:
        tenants = self.settings.tenants
        settings = AppliedLimits(
            requests_per_minute=tenants.requests_per_minute,
            jobs_per_day=tenants.jobs_per_day,
            waiting_jobs=tenants.waiting_jobs,
            stored_bytes=self.settings.limits.uploads_bytes,
            output_bytes=self.settings.limits.output_bytes,
        )
        return TenantLimits(tenants=self.known_tenants, settings=settings)

    @cached_property
    def rate_limit(self) -> RateLimit:
        return RateLimit(
            records=self.used_records,
            limits=self.tenant_limits,
            clock=self.ports.clock,
            per_key=self.settings.tenants.key_requests_per_minute,
        )

    @cached_property
    def used_records(self) -> UsedRecords:
        return UsedRecords(self.ports.table)

    @cached_property
    def submission_limits(self) -> SubmissionLimits:
        return SubmissionLimits(
            tenants=self.tenant_limits,
            rate=self.rate_limit,
            waiting=WaitingLimit(
                waiting=WaitingRecords(self.ports.table), limits=self.tenant_limits
            ),
            daily=DailyJobs(
                records=self.used_records, limits=self.tenant_limits, clock=self.ports.clock
            ),
            outputs=OutputLimit(
                records=self.output_bytes, limits=self.tenant_limits, retention=self.retention
            ),
        )
