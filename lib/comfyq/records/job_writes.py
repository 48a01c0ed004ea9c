"""What is written beside a job's item, or in its place, by the same transaction."""

from collections.abc import Sequence

from comfyq.domain.errors import StaleJob
from comfyq.domain.job import Job
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.ports.joint import Instead
from comfyq.ports.table import ConditionFailed, Item, Put
from comfyq.records.access.partner_keys import partner_key_puts, without_partner_key
from comfyq.records.idempotency import Idempotency, idempotency_item
from comfyq.records.job_items import to_item
from comfyq.records.job_outputs import reused_outputs
from comfyq.records.job_parts import label_items
from comfyq.records.retry_notes import retry_puts
from comfyq.records.subscriptions import FOLLOWERS
from comfyq.records.webhooks.deliveries import delivery_item


def if_unfollowed(job: Job | None, *, write_id: str, old: int) -> Instead | None:
    """Return the write of a job, if it is given, where nobody follows it, over version ``old``."""
    if job is None:
        return None
    put = Put(to_item(without_partner_key(job)[0], write_id=write_id), version=old)
    return Instead(f"JOB#{job.id}", FOLLOWERS, put)


def beside_new(
    job: Job,
    idempotency: Idempotency | None,
    told: Sequence[WebhookDelivery],
    partner_key: str | None,
) -> list[Put]:
    """Return what is stored with a new job and its spec, the note of a retry last."""
    puts = [] if idempotency is None else [Put(idempotency_item(idempotency), absent=True)]
    if job.reused_from is not None:
        puts.append(Put(reused_outputs(job)))
    puts += partner_key_puts(job, partner_key)
    return [*puts, *map(Put, label_items(job)), *map(put_of, told), *retry_puts(job)]


def saved_before(refused: ConditionFailed, job: Job, write_id: str) -> Item:
    """Return the item of a job whose change was stored by a first try, its answer lost.

    Raises:
        StaleJob: another change was stored.
    """
    found = refused.found.get(0)
    if found is None or found.get("wid") != write_id:
        raise StaleJob(f"{job.id} is not at version {job.version - 1}") from refused
    return found


def put_of(told: WebhookDelivery) -> Put:
    return Put(delivery_item(told))
