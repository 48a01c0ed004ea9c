"""Batches as clients write and see them."""

from collections.abc import Iterable, Sequence
from itertools import product as combinations
from math import prod
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from comfyq.domain.submission.batch import MAX_REQUESTS, Batch, Refusal
from comfyq.services.jobs.batch_submission import Asked, BatchAccepted
from comfyq.services.jobs.batches import BatchState
from comfyq.wire.jobs import JobView, JobViews
from comfyq.wire.problems import ProblemField
from comfyq.wire.requests import GenerateRequest, unreadable
from comfyq.wire.times import Time

GONE = Refusal("job-not-found", "the job was deleted, or never made")

Values = Annotated[list[Any], Field(min_length=1)]


class BatchRequest(BaseModel):
    """Up to 100 requests: each one for itself, or one for each combination of some values."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"requests": [{"prompt": "a fox"}, {"prompt": "an owl", "seed": 7}]},
                {
                    "request": {"workflow": "flux-dev", "steps": 20},
                    "product": {"prompt": ["a fox", "an owl"], "seed": [1, 2, 3]},
                },
            ]
        },
    )

    requests: Annotated[
        list[Any] | None,
        Field(description="Each is a body of `POST /generate`.", min_length=1, max_length=100),
    ] = None
    request: Annotated[
        dict[str, Any] | None, Field(description="What all the requests have in common.")
    ] = None
    product: Annotated[
        dict[str, Values] | None,
        Field(description="Values by parameter; the last parameter changes fastest."),
    ] = None

    @model_validator(mode="after")
    def _one_form(self) -> "BatchRequest":
        if (self.requests is None) == (self.product is None):
            raise ValueError("has either `requests`, or `product` with or without `request`")
        if self.requests is not None and self.request is not None:
            raise ValueError("`request` goes with `product`, not with `requests`")
        count = prod(len(values) for values in (self.product or {}).values())
        if count > MAX_REQUESTS:
            raise ValueError(f"`product` makes {count} requests; the most is {MAX_REQUESTS}")
        return self

    @property
    def expanded(self) -> Sequence[Any]:
        """The requests, as they would be sent one by one."""
        if self.requests is not None:
            return self.requests
        chosen = self.product or {}
        common = self.request or {}
        return [
            common | dict(zip(chosen, values, strict=True))
            for values in combinations(*chosen.values())
        ]


class RefusalView(BaseModel):
    """Why a request is no job; as a problem document has it."""

    code: str
    detail: str
    errors: list[ProblemField] = []

    @classmethod
    def of(cls, refusal: Refusal) -> "RefusalView":
        errors = [ProblemField(field=f.field, message=f.message) for f in refusal.fields]
        return cls(code=refusal.code, detail=refusal.message, errors=errors)


class BatchItem(BaseModel):
    """One request of a batch: either its job, or why there is none."""

    index: int
    job: JobView | None = None
    error: RefusalView | None = None


class BatchCounts(BaseModel):
    """How many of its requests are where."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    refused: int = Field(0, description="Never became jobs.")
    gone: int = Field(0, description="Jobs that were deleted since, or that a retry is to make.")


class BatchUrls(BaseModel):
    self: str
    cancel: str = Field(description="`DELETE` it.")


class BatchView(BaseModel):
    """A batch, with one result for each request, in their order."""

    batch_id: str
    size: int
    done: bool = Field(description="Nothing of it will change any more.")
    progress: float = Field(ge=0, le=1, description="Mean of its requests.")
    counts: BatchCounts
    created_at: Time
    canceled: bool = Field(description="Its cancellation was asked for.")
    items: list[BatchItem]
    urls: BatchUrls


class BatchViews:
    """Shows batches to one client, with links below its ``base_url``."""

    def __init__(self, jobs: JobViews) -> None:
        self._jobs = jobs

    def accepted(self, accepted: BatchAccepted) -> BatchView:
        """The answer to a submission, and to every replay of it."""
        shown = {n: self._jobs.accepted(each) for n, each in accepted.jobs.items()}
        return self._batch(accepted.batch, shown)

    def state(self, state: BatchState) -> BatchView:
        shown = {
            n: self._jobs.job(job, outputs=state.outputs.get(n, ()))
            for n, job in state.jobs.items()
        }
        return self._batch(state.batch, shown)

    def self_url(self, batch: Batch) -> str:
        return self._jobs.batch_url(batch.id)

    def _batch(self, batch: Batch, jobs: dict[int, JobView]) -> BatchView:
        items = [_item(batch, index, jobs.get(index)) for index in range(batch.size)]
        counts = _counts(items)
        own = self.self_url(batch)
        return BatchView(
            batch_id=batch.id,
            size=batch.size,
            done=counts.queued + counts.running == 0,
            progress=sum(_progress(item) for item in items) / batch.size,
            counts=counts,
            created_at=batch.created_at,
            canceled=batch.canceled,
            items=items,
            urls=BatchUrls(self=own, cancel=own),
        )


def asked_of(body: BatchRequest) -> list[Asked]:
    """Each request, or why it cannot be read: one bad request does not sink the others."""
    return [_asked(raw) for raw in body.expanded]


def _asked(raw: Any) -> Asked:
    try:
        return GenerateRequest.model_validate(raw).request
    except ValidationError as invalid:
        return unreadable(invalid)


def _item(batch: Batch, index: int, job: JobView | None) -> BatchItem:
    if job is not None:
        return BatchItem(index=index, job=job)
    return BatchItem(index=index, error=RefusalView.of(batch.refusals.get(index, GONE)))


def _counts(items: Iterable[BatchItem]) -> BatchCounts:
    counts = BatchCounts()
    for item in items:
        name = _place(item)
        setattr(counts, name, getattr(counts, name) + 1)
    return counts


def _place(item: BatchItem) -> str:
    if item.job is not None:
        return item.job.status
    return "gone" if item.error is not None and item.error.code == GONE.code else "refused"


def _progress(item: BatchItem) -> float:
    if item.job is None or item.job.status not in ("queued", "running"):
        return 1.0
    return item.job.progress
