"""Deletion of a job with all that is stored of it."""

from comfyq.domain.job import Job
from comfyq.ports.table import Delete, Put, Table, Write
from comfyq.records.job_items import meta_key
from comfyq.records.job_parts import no_spec_item
from comfyq.records.retry_notes import retry_key
from comfyq.records.reuse.reusers import reuser_key

PAGE = 20


async def remove(table: Table, job: Job, *, barred_until_s: int | None) -> None:
    """Delete a job and all its items, the job itself last.

    Until ``barred_until_s`` (epoch seconds) no job of that id can be stored, as if the spec were
    there still: the message or batch that it came from may come again.
    """
    while True:
        page = await table.query("main", f"JOB#{job.id}", limit=PAGE)
        rest = [(item["pk"], item["sk"]) for item in page.items if item["sk"] != "META"]
        if not rest:
            break
        await table.write(*(Delete(key) for key in rest))
    last: list[Write] = [Delete(meta_key(job.id))]
    if job.retry_of is not None:
        last.append(Delete(retry_key(job.retry_of)))
    if job.reused_from is not None:
        last.append(Delete(reuser_key(job.reused_from, job.id)))
    if barred_until_s is not None:
        last.append(Put(no_spec_item(job.id, ttl=barred_until_s)))
    await table.write(*last)
