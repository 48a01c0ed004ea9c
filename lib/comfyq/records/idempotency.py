from dataclasses import dataclass

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import StaleJob
from comfyq.domain.job import Job, JobId
from comfyq.ports.table import ConditionFailed, Item

LISTED_UNDER = "IDEMS"  # with the tenant, the partition of the index `tenant`


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The record of an idempotency key: the request and the job that it was first used for."""

    tenant: TenantId
    key: str
    digest: str  # of the request; the same key with another digest is a mistake
    job_id: JobId
    ttl: int  # epoch seconds at which the promise ends


class KeyTaken(Exception):
    """The idempotency key is stored for another job or batch."""

    def __init__(self, digest: str, job_id: JobId) -> None:
        super().__init__(job_id)
        self.digest, self.job_id = digest, job_id


def idempotency_item(record: Idempotency) -> Item:
    return {
        "pk": f"IDEM#{record.tenant}#{record.key}",
        "sk": "-",
        "digest": record.digest,
        "job": record.job_id,
        "ttl": record.ttl,
        "tpk": f"{LISTED_UNDER}#{record.tenant}",
        "tsk": f"{record.ttl:015d}",
    }


def settle_refused_create(refused: ConditionFailed, job: Job, write_id: str) -> None:
    """Explain a refused creation; return normally if its first try had been stored after all.

    Raises:
        KeyTaken: the idempotency key, the third of its writes, is another job's.
        StaleJob: a job of this id exists.
    """
    standing = refused.found.get(0)
    if standing is not None and standing.get("wid") == write_id:
        return  # the answer was lost, not the write
    key = refused.found.get(2)
    if key is not None and key["job"] != job.id:
        raise KeyTaken(key["digest"], JobId(key["job"])) from refused
    if standing is not None and key is not None and key["job"] == job.id:
        return  # the answer was lost, and a worker has claimed the job since
    raise StaleJob(f"job {job.id} exists") from refused
