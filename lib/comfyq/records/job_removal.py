"""Deletion of a job with all that is stored of it."""

from datetime import datetime

from comfyq.domain.job import Job
from comfyq.ports.table import ConditionFailed, Delete, Put, Table, Write
from comfyq.records.job_items import from_item, meta_key
from comfyq.records.job_parts import no_spec_item
from comfyq.records.retry_notes import retry_key
from comfyq.records.reuse.reusers import reuser_key
from comfyq.records.times import to_ms

PAGE = 20
LAST = frozenset({"META", "SPEC"})


async def remove(table: Table, job: Job) -> bool:
    """Delete a job and all its items, the job itself and its spec last.

    While the job is barred, no other of its id can be stored, as if the spec were there still: the
    message or batch that it came from may come again. Another deletion of it may run at the same
    time, and a job of the same id may be stored after that: such a job is left alone.

    Returns whether this call has deleted it, and no other.
    """
    while (found := await table.get(meta_key(job.id))) is not None:
        stored = from_item(found)
        if stored.version < job.version or to_ms(stored.created_at) != to_ms(job.created_at):
            return False
        page = await table.query("main", f"JOB#{job.id}", limit=PAGE)
        keys = [(item["pk"], item["sk"]) for item in page.items if item["sk"] not in LAST]
        rest = [Delete(key) for key in keys]
        if page.cursor is not None and rest:
            await table.write(*rest)
            continue
        try:
            await table.write(*rest, *_last(stored, stored.barred_until or job.barred_until))
        except ConditionFailed:
            continue  # it was changed or deleted meanwhile
        return True
    return False


def _last(job: Job, barred_until: datetime | None) -> list[Write]:
    last: list[Write] = [Delete(meta_key(job.id), version=job.version)]
    if job.retry_of is not None:
        last.append(Delete(retry_key(job.retry_of)))
    if job.reused_from is not None:
        last.append(Delete(reuser_key(job.reused_from, job.id)))
    if barred_until is None:
        last.append(Delete((f"JOB#{job.id}", "SPEC")))
    else:
        last.append(Put(no_spec_item(job.id, ttl=to_ms(barred_until) // 1000)))
    return last
