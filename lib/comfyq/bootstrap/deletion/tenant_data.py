"""What deletes all data of a tenant: a service for each kind of things that the table lists as the
tenant's."""

from comfyq.bootstrap.job_services import JobServices
from comfyq.domain.files.upload import UploadId, pending_key
from comfyq.records import dead_letters, idempotency
from comfyq.records.batches import items as batches
from comfyq.records.files import file_names, uploads
from comfyq.records.indexes.listed_jobs import ListedJobs
from comfyq.records.indexes.tenant_data import TenantPartitions
from comfyq.records.reuse import results
from comfyq.services.jobs.tenant_jobs import TenantJobs
from comfyq.services.operations.data_deletion import DataDeletions


def data_deletions_of(services: JobServices) -> DataDeletions:
    """Return what goes on with deletions. Keys, the audit log and what is used of limits stay: an
    administrator would else get rid of its own traces, and of what it has used up."""
    table, storage = services.ports.table, services.ports.assets

    async def delete_pending(partition: str) -> None:
        """Delete the file that was sent to asset storage for an upload, if it is there still."""
        await storage.delete(pending_key(UploadId(partition.removeprefix("UPLOAD#"))))

    announced = TenantPartitions(table, listed_under=uploads.LISTED_UNDER, first=delete_pending)
    return DataDeletions(
        records=services.tenant_records,
        kinds={
            "jobs": _jobs_of(services),
            "batches": TenantPartitions(table, listed_under=batches.LISTED_UNDER),
            "files": services.uploads,
            "announced_files": announced,
            "file_names": TenantPartitions(table, listed_under=file_names.LISTED_UNDER),
            "dead_letters": TenantPartitions(table, listed_under=dead_letters.LISTED_UNDER),
            "idempotency_keys": TenantPartitions(table, listed_under=idempotency.LISTED_UNDER),
            "reusable_results": TenantPartitions(table, listed_under=results.LISTED_UNDER),
            "run_times": services.run_times,
        },
        audit=services.audit,
        clock=services.ports.clock,
        on_due=services.deadlines.note,
    )


def _jobs_of(services: JobServices) -> TenantJobs:
    return TenantJobs(
        listed=ListedJobs(services.ports.table),
        records=services.records,
        cancellation=services.cancellation,
        announcer=services.announcer,
        deletion=services.job_deletion,
        followers=services.followers,
        followed=services.followed_jobs,
    )
