"""The jobs of a batch as they are written. Their ids follow from the batch's: so a retry completes
what is missing, and nothing has to list them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from comfyq.domain.job import Job, JobId
from comfyq.domain.job.client_changes import BARRED_FOR
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.ports.table import MAX_WRITES, ConditionFailed, Item, Put
from comfyq.records.job_parts import no_spec_item
from comfyq.records.times import from_ms, to_ms

MAX_BYTES = 3_000_000  # of one transaction, well below what DynamoDB takes
SMALL_BYTES = 2_000  # more than a new job has beside the text of its spec
META, SPEC = 0, 1  # places of a job's own item and of its spec among a member's writes
CANCELED = "canceled"  # when, of what stands in the place of a spec


@dataclass(frozen=True, slots=True)
class Member:
    """A new job of a batch, ready to be written."""

    batch_id: BatchId
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


def canceled_place(job_id: JobId, *, at: datetime) -> Item:
    """Return what is put in the place of the spec of a job that is not stored yet: whoever stores
    the job finds it there, and stores the job as canceled."""
    place = no_spec_item(job_id, ttl=to_ms(at + BARRED_FOR) // 1000)
    return {**place, "version": 1, CANCELED: to_ms(at)}


def canceled_at(refused: Mapping[int, Item | None]) -> datetime | None:
    """Return when a member was canceled of which these writes were refused; None: it was not, or is
    stored."""
    place = refused.get(SPEC)
    if META in refused or place is None or CANCELED not in place:
        return None
    return from_ms(place[CANCELED])


def refused_of(
    refused: ConditionFailed, members: Sequence[Member]
) -> Iterator[tuple[Member, Mapping[int, Item | None]]]:
    """Yield each member of a refused transaction with those of its writes that were refused."""
    at = 0
    for member in members:
        end = at + len(member.puts)
        yield member, {n - at: item for n, item in refused.found.items() if at <= n < end}
        at = end


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
