"""Clients' keys of partner nodes, sealed: ``JOB#id`` / ``PARTNER``, while the job goes on.

Who may read jobs may read these items; what opens one is in the job's own item.
"""

from dataclasses import replace

from comfyq.domain.job import Job, JobId
from comfyq.ports.table import Delete, Key, Put, Table, Write
from comfyq.records.times import to_ms


class PartnerKeyRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def of(self, job_id: JobId) -> str | None:
        """Return the sealed key of a job; None if it has none, or has ended."""
        item = await self._table.get(_key(job_id))
        return None if item is None else str(item["sealed"])


def partner_key_puts(job: Job, sealed: str | None) -> list[Put]:
    """Return what stores the sealed key of a new job. It expires when no attempt at the job can go
    on, whatever becomes of the job."""
    if sealed is None:
        return []
    pk, sk = _key(job.id)
    ttl = to_ms(job.created_at + job.limits.longest) // 1000
    return [Put({"pk": pk, "sk": sk, "sealed": sealed, "ttl": ttl})]


def without_partner_key(job: Job) -> tuple[Job, list[Write]]:
    """Return a job as it is stored, without its key if it has ended; and what erases that."""
    if job.partner_seal is None or not job.status.terminal:
        return job, []
    return replace(job, partner_seal=None), [Delete(_key(job.id))]


def _key(job_id: JobId) -> Key:
    return f"JOB#{job_id}", "PARTNER"
