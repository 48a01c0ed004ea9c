"""The services of jobs, each made at its first use."""

import random
from collections.abc import Sequence
from functools import cached_property, partial
from uuid import uuid4

from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.aio.logs import log
from comfyq.bootstrap.file_services import FileServices
from comfyq.bootstrap.machine.output_folders import output_folders
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.domain.job.estimate import Estimate
from comfyq.domain.job.output_id import job_id_of
from comfyq.edges.api.links import output_url
from comfyq.edges.websocket.rendering import render, render_batch
from comfyq.ports.workflows import Workflows
from comfyq.records.catalogues import CatalogueRecords
from comfyq.records.indexes.listed_jobs import ListedJobs
from comfyq.records.reuse.results import ResultRecords
from comfyq.records.reuse.reusers import ReuserRecords
from comfyq.services.files.job_deletion import JobDeletion
from comfyq.services.files.job_outputs import JobOutputs
from comfyq.services.files.output_links import OutputLinks
from comfyq.services.files.signed_links import LinkSigner
from comfyq.services.jobs.admission import Admission
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.jobs.dispatch import Dispatch
from comfyq.services.jobs.estimates import Estimates
from comfyq.services.jobs.input_files import InputFiles
from comfyq.services.jobs.listing import JobListing
from comfyq.services.jobs.preparation import Preparation
from comfyq.services.jobs.purge import Purge
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.jobs.result_cache import ResultCache
from comfyq.services.jobs.submission import Submission
from comfyq.services.jobs.webhook_choice import WebhookChoice
from comfyq.services.notify.announcer import Announcer
from comfyq.services.notify.batch_news import BatchNews
from comfyq.services.notify.followers import Followers
from comfyq.services.notify.job_waits import JobWaits
from comfyq.services.notify.newest_previews import NewestPreviews
from comfyq.services.notify.subscriptions import Subscriptions
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.services.workflows.node_catalogues import NodeCatalogues

MAX_SEED = 2**53  # JSON numbers of JavaScript are exact below it


class JobServices(FileServices):
    """The services of jobs and of files, over one set of ports."""

    @cached_property
    def workflows(self) -> Workflows:
        return FolderWorkflows(self.settings.workflows_dir, on_read=_log_workflow)

    @cached_property
    def catalogues(self) -> NodeCatalogues:
        return NodeCatalogues(
            workers=self.workers,
            records=CatalogueRecords(self.ports.table),
            assets=self.ports.assets,
            clock=self.ports.clock,
        )

    @cached_property
    def admission(self) -> Admission:
        return Admission(
            workflows=self.workflows,
            catalogues=self.catalogues,
            draw_seed=partial(random.SystemRandom().randrange, MAX_SEED),
            rules=self.settings.node_rules,
        )

    @cached_property
    def library(self) -> WorkflowLibrary:
        return WorkflowLibrary(
            workflows=self.workflows,
            catalogues=self.catalogues,
            rules=self.settings.node_rules,
        )

    @cached_property
    def link_signer(self) -> LinkSigner:
        return LinkSigner(clock=self.ports.clock, expires_s=self.settings.api.links_live_s)

    @cached_property
    def announcer(self) -> Announcer:
        return Announcer(
            records=self.records,
            followers=self.job_followers,
            batch_news=self.batch_news,
            render=self._render,
            clock=self.ports.clock,
            retention=self.retention,
            estimate=self.estimates.estimate,
            on_end=None if self.output_links is None else self.output_links.add,
        )

    @cached_property
    def job_followers(self) -> Followers:
        return Followers(subscriptions=self.followers, notifier=self.ports.notifier)

    @cached_property
    def batch_news(self) -> BatchNews:
        return BatchNews(
            batches=self.batch_records,
            jobs=self.records,
            retries=self.retry_records,
            followers=self.job_followers,
            render=render_batch,
            clock=self.ports.clock,
            late=self.ports.late_frames if self.ports.stands_still else None,
        )

    @cached_property
    def output_links(self) -> OutputLinks | None:
        folders = output_folders(self.settings)
        return None if folders is None else OutputLinks(records=self.records, folders=folders)

    @cached_property
    def dispatch(self) -> Dispatch:
        return Dispatch(records=self.records, queue=self.ports.queue, announcer=self.announcer)

    @cached_property
    def preparation(self) -> Preparation:
        return Preparation(
            admission=self.admission,
            input_files=InputFiles(
                uploads=self.uploads,
                outputs=self.job_outputs,
                limits=self.settings.limits.inputs,
            ),
            result_cache=self.reuse,
            links=self.links,
            clock=self.ports.clock,
            unsuited_timeout_s=self.settings.limits.unsuited_timeout_s,
            webhooks=self.webhook_choice,
            partner_keys=self.partner_keys,
        )

    @cached_property
    def webhook_choice(self) -> WebhookChoice:
        return WebhookChoice(self.known_tenants, allowed=self.settings.webhooks.allowed)

    @cached_property
    def submission(self) -> Submission:
        return Submission(
            records=self.records,
            demand=self.demand,
            preparation=self.preparation,
            limits=self.submission_limits,
            dispatch=self.dispatch,
            new_id=lambda: job_id_of(str(uuid4())),
        )

    @cached_property
    def queries(self) -> JobQueries:
        return JobQueries(records=self.records)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        return Subscriptions(
            records=self.records,
            subscriptions=self.followers,
            announcer=self.announcer,
            batch_news=self.batch_news,
            clock=self.ports.clock,
            is_valid=self.api_keys.is_valid,
            connects=self.connect_limit,
        )

    @cached_property
    def job_waits(self) -> JobWaits:
        return JobWaits(
            records=self.records,
            followers=self.followers,
            subscriptions=self.subscriptions,
            clock=self.ports.clock,
        )

    @cached_property
    def newest_previews(self) -> NewestPreviews:
        return NewestPreviews()

    @cached_property
    def listing(self) -> JobListing:
        return JobListing(
            jobs=self.records,
            listed=ListedJobs(self.ports.table),
            batches=self.batch_records,
        )

    @cached_property
    def cancellation(self) -> Cancellation:
        return Cancellation(queries=self.queries, records=self.records, announcer=self.announcer)

    @cached_property
    def job_deletion(self) -> JobDeletion:
        return JobDeletion(
            records=self.records,
            reusers=self.reusers,
            assets=self.ports.assets,
            clock=self.ports.clock,
            links=self.output_links,
            output_bytes=self.output_bytes,
        )

    @cached_property
    def reusers(self) -> ReuserRecords:
        return ReuserRecords(self.ports.table, clock=self.ports.clock)

    @cached_property
    def job_outputs(self) -> JobOutputs:
        return JobOutputs(records=self.records, reusers=self.reusers)

    @cached_property
    def purge(self) -> Purge:
        return Purge(
            records=self.records,
            cancellation=self.cancellation,
            announcer=self.announcer,
            deletion=self.job_deletion,
            audit=self.audit,
        )

    @cached_property
    def reuse(self) -> ResultCache:
        return ResultCache(
            records=self.records,
            results=ResultRecords(self.ports.table),
            reusers=self.reusers,
            kinds=self.store_kinds,
            clock=self.ports.clock,
            retention=self.retention,
        )

    @cached_property
    def estimates(self) -> Estimates:
        return Estimates(
            ready=self.ready,
            demand=self.demand,
            workers=self.workers,
            run_times=self.run_times,
            jobs=self.records,
            clock=self.ports.clock,
            running=self.running_jobs,
        )

    def _render(
        self, job: Job, outputs: Sequence[Output], base_url: str, estimate: Estimate
    ) -> bytes:
        base_url = base_url or self.settings.api.public_url or ""

        def url(index: int) -> str | None:
            if job.link_key is None:  # stored by an older version
                return None
            return output_url(base_url, job.id, index, self.link_signer.query(job.link_key, index))

        return render(job, outputs, output_url=url, estimate=estimate)


def _log_workflow(name: str, fault: str | None) -> None:
    if fault is None:
        log.info("workflow_read", workflow=name)
    else:
        log.warning("workflow_broken", workflow=name, reason=fault)
