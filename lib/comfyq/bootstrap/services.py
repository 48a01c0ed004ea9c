"""The services that edges call, each made at its first use."""

from functools import cached_property, partial
from uuid import uuid4

from comfyq.aio.stall_watch import StallWatch
from comfyq.bootstrap.access import tenants_of
from comfyq.bootstrap.deletion.tenant_data import data_deletions_of
from comfyq.bootstrap.telemetry.measurements import Measurements
from comfyq.bootstrap.webhooks.services import WebhookServices
from comfyq.domain.submission.batch import BatchId
from comfyq.edges.intake.reading import read_message
from comfyq.records.dead_letters import DeadLetterRecords
from comfyq.records.indexes.due_jobs import DueJobs
from comfyq.records.indexes.listed_batches import ListedBatches
from comfyq.records.indexes.listed_jobs import ListedJobs
from comfyq.records.indexes.waiting_jobs import WaitingRecords
from comfyq.records.limits.running_jobs import are_held_back
from comfyq.records.sockets.client_sockets import ClientSocketRecords
from comfyq.services.files.asset_deletion import AssetDeletion
from comfyq.services.files.asset_listing import AssetListing
from comfyq.services.files.asset_uses import AssetUses
from comfyq.services.jobs.batch_submission import BatchSubmission
from comfyq.services.jobs.batches import Batches
from comfyq.services.jobs.intake import Intake
from comfyq.services.jobs.retries import Retries
from comfyq.services.notify.client_sockets import ClientSockets
from comfyq.services.notify.waiting_reasons import WaitingReasons
from comfyq.services.operations.backlog import Backlog
from comfyq.services.operations.data_deletion import DataDeletions
from comfyq.services.operations.dead_letters import DeadLetters
from comfyq.services.operations.health import Health
from comfyq.services.operations.live_workers import LiveWorkers
from comfyq.services.operations.lost_doorbells import LostDoorbells
from comfyq.services.operations.quotas import Quotas
from comfyq.services.operations.reaper import Reaper
from comfyq.services.operations.tenants import Tenants
from comfyq.services.workflows.object_info import ObjectInfo


class Services(WebhookServices):
    """Everything that edges call, over one set of ports."""

    @cached_property
    def dead_letter_records(self) -> DeadLetterRecords:
        return DeadLetterRecords(self.ports.table)

    @cached_property
    def client_sockets(self) -> ClientSockets:
        return ClientSockets(
            sockets=ClientSocketRecords(self.ports.table),
            subscriptions=self.subscriptions,
            jobs=self.records,
            listed=ListedJobs(self.ports.table),
            clock=self.ports.clock,
        )

    @cached_property
    def object_info(self) -> ObjectInfo:
        return ObjectInfo(catalogues=self.catalogues, assets=self.ports.assets)

    @cached_property
    def waiting_reasons(self) -> WaitingReasons:
        return WaitingReasons(
            followed=self.followed_jobs,
            records=self.records,
            announcer=self.announcer,
            reasons=self.estimates.reasons,
            clock=self.ports.clock,
        )

    @cached_property
    def stall_watch(self) -> StallWatch:
        return StallWatch()

    @cached_property
    def health(self) -> Health:
        return Health(
            workers=self.workers,
            scale_to_zero=self.settings.api.scale_to_zero,
            stalls=lambda: self.stall_watch.count,
            write_failure=self.ports.write_failure,
            broken_workflows=lambda: sorted(self.workflows.faults()),
            are_forbidden=lambda: self.library.are_forbidden(),
            paused_receivers=self.receiver_watch.paused,
        )

    @cached_property
    def quotas(self) -> Quotas:
        return Quotas(limits=self.submission_limits, uploads=self.uploads)

    @cached_property
    def backlog(self) -> Backlog:
        return Backlog(
            demand=self.demand,
            ready=self.ready,
            waiting=WaitingRecords(self.ports.table),
            workers=self.workers,
            receivers=self.receiver_watch,
            named=lambda: {each.family for each in self.library.all()},
            clock=self.ports.clock,
        )

    @cached_property
    def measurements(self) -> Measurements:
        return Measurements(self.backlog, settings=self.settings.metrics)

    @cached_property
    def live_workers(self) -> LiveWorkers:
        return LiveWorkers(workers=self.workers, jobs=self.records)

    @cached_property
    def reaper(self) -> Reaper:
        return Reaper(
            records=self.records,
            due=DueJobs(self.ports.table),
            queue=self.ports.queue,
            deletion=self.job_deletion,
            announcer=self.announcer,
            clock=self.ports.clock,
            deadlines=self.deadlines,
            upkeep={
                "replaced": self.lost_doorbells.ring,
                "expired": self.uploads.expire,
                "dropped": self.asset_deletion.go_on,
                "closed": self.open_sockets.end_expired,
                "batches_canceled": self.batches.go_on_canceling,
                "batches_given_up": self.batch_news.give_up,
                "webhooks_rung": self.due_webhooks.make_up,
                "data_deleted": self.data_deletions.go_on,
            },
        )

    @cached_property
    def asset_listing(self) -> AssetListing:
        return AssetListing(records=self.assets)

    @cached_property
    def asset_deletion(self) -> AssetDeletion:
        return AssetDeletion(
            records=self.assets,
            uses=AssetUses(jobs=self.records, listed=ListedJobs(self.ports.table)),
            assets=self.ports.assets,
            audit=self.audit,
            clock=self.ports.clock,
        )

    @cached_property
    def data_deletions(self) -> DataDeletions:
        return data_deletions_of(self)

    @cached_property
    def lost_doorbells(self) -> LostDoorbells:
        return LostDoorbells(
            demand=self.demand,
            ready=self.ready,
            records=self.records,
            workers=self.workers,
            queue=self.ports.queue,
            clock=self.ports.clock,
            is_held_back=partial(are_held_back, self.ports.table),
        )

    @cached_property
    def batch_submission(self) -> BatchSubmission:
        return BatchSubmission(
            records=self.batch_records,
            jobs=self.records,
            demand=self.demand,
            preparation=self.preparation,
            limits=self.submission_limits,
            dispatch=self.dispatch,
            clock=self.ports.clock,
            new_id=lambda: BatchId(str(uuid4())),
        )

    @cached_property
    def batches(self) -> Batches:
        return Batches(
            records=self.batch_records,
            listed=ListedBatches(self.ports.table),
            jobs=self.records,
            retries=self.retry_records,
            cancellation=self.cancellation,
            audit=self.audit,
            clock=self.ports.clock,
        )

    @cached_property
    def retries(self) -> Retries:
        return Retries(
            queries=self.queries,
            jobs=self.records,
            records=self.retry_records,
            submission=self.submission,
            batches=self.batches,
            batch_submission=self.batch_submission,
            announcer=self.announcer,
        )

    @cached_property
    def tenants(self) -> Tenants:
        return tenants_of(self)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        return DeadLetters(
            records=self.dead_letter_records,
            jobs=self.records,
            queue=self.ports.queue,
            resubmission=self.intake,
            audit=self.audit,
            clock=self.ports.clock,
        )

    @cached_property
    def intake(self) -> Intake:
        return Intake(
            read=read_message,
            submission=self.submission,
            batch_submission=self.batch_submission,
            jobs=self.records,
            dead_letters=self.dead_letter_records,
            webhooks=self.webhook_choice,
            clock=self.ports.clock,
        )
