"""The records of everything that is stored, made when they are first asked for."""

from datetime import timedelta
from functools import cached_property
from os import urandom

from comfyq.bootstrap.ports import Ports
from comfyq.config import Settings
from comfyq.domain.caller import TenantId
from comfyq.ports.webhooks import WebhookDoorbell
from comfyq.records.batches.records import BatchRecords
from comfyq.records.demand import DemandRecords
from comfyq.records.files.assets import AssetRecords
from comfyq.records.indexes.followed_jobs import FollowedJobRecords
from comfyq.records.indexes.ready_jobs import ReadyRecords
from comfyq.records.jobs import JobRecords
from comfyq.records.limits.output_bytes import OutputBytes
from comfyq.records.limits.running_jobs import RunningJobs
from comfyq.records.retries import RetryRecords
from comfyq.records.run_times import RunTimeRecords
from comfyq.records.store_kinds import StoreKindRecords
from comfyq.records.subscriptions import SubscriptionRecords
from comfyq.records.tenants import TenantRecords
from comfyq.records.webhooks.outbox import WebhookOutbox
from comfyq.records.workers import WorkerRecords
from comfyq.services.limits.known_tenants import KnownTenants
from comfyq.services.limits.retention import Retention
from comfyq.services.operations.deadlines import Deadlines
from comfyq.services.operations.own_webhook_doorbell import OwnWebhookDoorbell

LONGEST_JOB = timedelta(days=7)  # from its submission to its end, in reason


class Records:
    """The records that several services share, over one table."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self.settings = settings
        self.ports = ports

    @cached_property
    def tenant_records(self) -> TenantRecords:
        return TenantRecords(self.ports.table)

    @cached_property
    def known_tenants(self) -> KnownTenants:
        return KnownTenants(records=self.tenant_records, clock=self.ports.clock)

    @cached_property
    def retention(self) -> Retention:
        return Retention(
            tenants=self.known_tenants,
            usual=timedelta(seconds=self.settings.limits.retention_s),
        )

    @cached_property
    def records(self) -> JobRecords:
        return JobRecords(
            self.ports.table,
            clock=self.ports.clock,
            new_write_id=lambda: urandom(16).hex(),
            joint=self.ports.joint,
            on_due=self.deadlines.note,
            running=self.running_jobs,
            outbox=self.webhook_outbox,
            output_bytes=self.output_bytes,
        )

    @cached_property
    def webhook_outbox(self) -> WebhookOutbox:
        return WebhookOutbox(self.webhook_doorbell)

    @cached_property
    def webhook_doorbell(self) -> WebhookDoorbell:
        return self.ports.webhook_doorbell or OwnWebhookDoorbell(self.webhook_deadlines)

    @cached_property
    def webhook_deadlines(self) -> Deadlines:
        """Wakes the sender of webhooks in this process."""
        return Deadlines(self.ports.clock)

    @cached_property
    def running_jobs(self) -> RunningJobs | None:
        usual = self.settings.limits.running_jobs
        if usual is None:
            return None

        async def most_of(tenant: TenantId) -> int:
            own = (await self.known_tenants.get(tenant)).limits.running_jobs
            return usual if own is None else own

        return RunningJobs(self.ports.table, most_of=most_of)

    @cached_property
    def output_bytes(self) -> OutputBytes | None:
        if self.settings.limits.output_bytes is None:
            return None
        return OutputBytes(self.ports.table, clock=self.ports.clock)

    @cached_property
    def deadlines(self) -> Deadlines:
        return Deadlines(self.ports.clock)

    @cached_property
    def workers(self) -> WorkerRecords:
        return WorkerRecords(
            self.ports.table, clock=self.ports.clock, live_s=self.settings.worker.live_s
        )

    @cached_property
    def store_kinds(self) -> StoreKindRecords:
        return StoreKindRecords(self.ports.table)

    @cached_property
    def demand(self) -> DemandRecords:
        return DemandRecords(self.ports.table, clock=self.ports.clock)

    @cached_property
    def ready(self) -> ReadyRecords:
        return ReadyRecords(self.ports.table)

    @cached_property
    def followers(self) -> SubscriptionRecords:
        return SubscriptionRecords(self.ports.table)

    @cached_property
    def followed_jobs(self) -> FollowedJobRecords:
        return FollowedJobRecords(self.ports.table)

    @cached_property
    def assets(self) -> AssetRecords:
        return AssetRecords(self.ports.table)

    @cached_property
    def run_times(self) -> RunTimeRecords:
        return RunTimeRecords(self.ports.table)

    @cached_property
    def batch_records(self) -> BatchRecords:
        async def kept(tenant: TenantId) -> timedelta:
            return await self.retention.of(tenant) + LONGEST_JOB

        return BatchRecords(
            self.ports.table,
            new_write_id=lambda: urandom(16).hex(),
            kept=kept,
            outbox=self.webhook_outbox,
        )

    @cached_property
    def retry_records(self) -> RetryRecords:
        return RetryRecords(self.ports.table, self.records)
