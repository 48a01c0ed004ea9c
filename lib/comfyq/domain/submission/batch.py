"""Many requests that were submitted, and are followed and canceled, as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import DomainError, FieldError, InvalidRequest

BatchId = NewType("BatchId", str)

MAX_REQUESTS = 500  # of a batch
MAX_BYTES = 3_000_000  # of the requests that a product of values makes, which is sent as one
MAX_STORED_BYTES = 8_000_000  # of its jobs, which may be larger than sent: a PNG is compressed
MAX_CHARS = 2_000  # that are kept of a refusal's text
MAX_FIELDS = 20  # that are kept of a refusal


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason for which one request of a batch did not become a job."""

    code: str
    message: str
    fields: tuple[FieldError, ...] = ()

    @classmethod
    def of(cls, error: DomainError) -> "Refusal":
        fields = error.fields if isinstance(error, InvalidRequest) else ()
        return cls(error.code, str(error)[:MAX_CHARS], tuple(fields[:MAX_FIELDS]))


@dataclass(frozen=True, slots=True)
class Retried:
    """The batch whose jobs another batch does again, and the index there of each of these."""

    batch_id: BatchId
    size: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    id: BatchId
    tenant: TenantId
    created_at: datetime
    size: int  # requests
    digest: str  # of its requests: a retry must ask for the same
    canceled: bool = False  # what is missing of it is not made any more
    refusals: Mapping[int, Refusal] = field(default_factory=dict)  # by the request's index
    storing: bool = False  # its jobs are being stored: what is not there may still come
    is_partial: bool = False  # whoever stored them died, or gave up, before all were there
    looked_at: datetime | None = None  # when the reaper looks what became of the storing
    canceling_since: datetime | None = None  # while jobs of it are still to be canceled
    retried: Retried | None = None  # the first batch, if it is a retry of a retry
    version: int = 1

    @property
    def may_grow(self) -> bool:
        """Return whether jobs of it may still be stored: whoever was taken for dead may go on."""
        return self.storing or self.is_partial

    @property
    def indexes(self) -> Sequence[int]:
        """The indexes of the requests that became jobs."""
        return [index for index in range(self.size) if index not in self.refusals]
