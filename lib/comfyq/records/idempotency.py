from dataclasses import dataclass

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.table import Item


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's promise that this request is the same as an earlier one under ``key``."""

    tenant: TenantId
    key: str
    digest: str  # of the request; the same key with another digest is a mistake
    job_id: JobId
    ttl: int  # epoch seconds at which the promise ends


class KeyTaken(Exception):
    """The idempotency key stands for a job already."""

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
    }
