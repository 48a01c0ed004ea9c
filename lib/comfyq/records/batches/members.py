"""The jobs of a batch as they are written. Their ids follow from the batch's: so a retry completes
what is missing, and nothing has to list them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.ports.table import MAX_WRITES, ConditionFailed, Put

MAX_BYTES = 3_000_000  # of one transaction, well below what DynamoDB takes
SMALL_BYTES = 2_000  # more than a new job has beside the text of its spec


@dataclass(frozen=True, slots=True)
class Member:
    """A new job of a batch, ready to be written."""

    job: Job
    spec: Spec
    puts: tuple[Put, ...]
    size: int  # bytes
    told: tuple[WebhookDelivery, ...] = ()  # to its webhook


def member_id(batch_id: BatchId, index: int) -> JobId:
    """The id of a batch's job: the same for each retry."""
    return JobId(str(uuid5(UUID(batch_id), str(index))))


def own_place(batch_id: BatchId) -> JobId:
    """Return what stands for a job where a batch itself is followed, while it is being stored."""
    return JobId(batch_id)


def transactions(members: Iterable[Member]) -> Iterator[Sequence[Member]]:
    """Members in groups that one transaction takes."""
    group: list[Member] = []
    writes = size = 0
    for member in members:
        full = writes + len(member.puts) > MAX_WRITES or size + member.size > MAX_BYTES
        if group and full:
            yield group
            group, writes, size = [], 0, 0
        group.append(member)
        writes += len(member.puts)
        size += member.size
    if group:
        yield group


def is_ours(refused: ConditionFailed, members: Sequence[Member]) -> bool:
    stored = refused.found.get(0)
    return stored is not None and stored.get("wid") == members[0].puts[0].item["wid"]
