"""Batches as clients write and see them."""

import json
from collections.abc import Sequence
from itertools import product as combinations
from math import prod
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from comfyq.aio.turns import Turns
from comfyq.domain.submission.batch import MAX_BYTES, MAX_REQUESTS, Refusal
from comfyq.services.jobs.batch_submission import Asked
from comfyq.wire.generate.batch_counts import BatchCounts
from comfyq.wire.generate.jobs import JobView
from comfyq.wire.generate.requests import GenerateRequest, unreadable
from comfyq.wire.generate.webhooks import WebhookEvents, WebhookUrl
from comfyq.wire.problems import ProblemField
from comfyq.wire.times import Time

NULL: JsonDict = {"type": "null"}
GIVEN: JsonDict = {"type": "object"}
Values = Annotated[list[Any], Field(min_length=1)]


class BatchRequest(BaseModel):
    """Up to 500 requests: each one for itself, or one for each combination of some values."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["requests"],
                    "properties": {"requests": {"type": "array"}, "request": NULL, "product": NULL},
                },
                {"required": ["product"], "properties": {"requests": NULL, "product": GIVEN}},
            ],
            "examples": [
                {"requests": [{"prompt": "a fox"}, {"prompt": "an owl", "seed": 7}]},
                {
                    "request": {"workflow": "flux-dev", "steps": 20},
                    "product": {"prompt": ["a fox", "an owl"], "seed": [1, 2, 3]},
                },
            ],
        },
    )

    requests: Annotated[
        list[Any] | None,
        Field(
            description="Each is a body of `POST /generate`.", min_length=1, max_length=MAX_REQUESTS
        ),
    ] = None
    request: Annotated[
        dict[str, Any] | None, Field(description="What all the requests have in common.")
    ] = None
    product: Annotated[
        dict[str, Values] | None,
        Field(description="Values by parameter; the last parameter changes fastest."),
    ] = None
    webhook_url: WebhookUrl = None
    webhook_events: WebhookEvents = None

    @model_validator(mode="before")
    @classmethod
    def _few_names(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MAX_REQUESTS:
            raise ValueError(f"has over {MAX_REQUESTS} fields")
        product = value.get("product") if isinstance(value, dict) else None
        if isinstance(product, dict) and len(product) > MAX_REQUESTS:
            raise ValueError(f"`product` has over {MAX_REQUESTS} parameters")
        return value

    @model_validator(mode="after")
    def _one_form(self) -> "BatchRequest":
        if (self.requests is None) == (self.product is None):
            raise ValueError("has either `requests`, or `product` with or without `request`")
        if self.requests is not None and self.request is not None:
            raise ValueError("`request` goes with `product`, not with `requests`")
        count = prod(len(values) for values in (self.product or {}).values())
        if count > MAX_REQUESTS:
            raise ValueError(f"`product` makes {count} requests; the most is {MAX_REQUESTS}")
        if self.product and (made := self._bytes(self.product, count)) > MAX_BYTES:
            raise ValueError(
                f"`product` makes {made} bytes of requests; the most is {MAX_BYTES}: save "
                "what they share as a workflow, or send fewer at once"
            )
        return self

    def _bytes(self, product: dict[str, list[Any]], count: int) -> int:
        """Return the size of all requests, without making them."""
        varied = sum(_length(values) * count // len(values) for values in product.values())
        return _length(self.request or {}) * count + varied

    @property
    def expanded(self) -> Sequence[Any]:
        """The requests, as they would be sent one by one."""
        if self.webhook_url is None and self.webhook_events is None:
            return self._each()
        return [self._told(each) for each in self._each()]

    def _each(self) -> Sequence[Any]:
        if self.requests is not None:
            return self.requests
        chosen = self.product or {}
        common = self.request or {}
        return [
            common | dict(zip(chosen, values, strict=True))
            for values in combinations(*chosen.values())
        ]

    def _told(self, request: Any) -> Any:
        """Return a request with the batch's webhook, where it names none of its own."""
        if not isinstance(request, dict) or request.get("webhook_url") is not None:
            return request
        told = {"webhook_url": self.webhook_url, "webhook_events": self.webhook_events}
        return {name: value for name, value in told.items() if value is not None} | request


class RefusalView(BaseModel):
    """The reason for which a request is no job, as a problem document has it."""

    code: str
    detail: str
    errors: list[ProblemField] = []

    @classmethod
    def of(cls, refusal: Refusal) -> "RefusalView":
        errors = [ProblemField(field=f.field, message=f.message) for f in refusal.fields]
        return cls(code=refusal.code, detail=refusal.message, errors=errors)


class BatchItem(BaseModel):
    """One request of a batch: either its job, or why there is none; neither while it is being
    stored, which takes seconds at most."""

    index: int
    original_index: int | None = Field(
        None, description="Of a retry's request: its index in the batch that was tried again."
    )
    job: JobView | None = Field(
        None, description="If it was tried again: the newest retry, whose `retry_of` is the other."
    )
    error: RefusalView | None = None


class BatchUrls(BaseModel):
    self: str
    cancel: str = Field(description="`DELETE` it.")
    events: str | None = Field(
        None, description="Progress as server-sent events; null: not served here."
    )


class BatchSummary(BaseModel):
    """A batch in a list; its own address says how far it has come."""

    batch_id: str
    size: int = Field(description="Requests.")
    created_at: Time
    canceled: bool = Field(description="Its cancellation was asked for.")
    urls: BatchUrls


class BatchList(BaseModel):
    """A page of batches, newest first."""

    batches: list[BatchSummary]
    next_cursor: str | None = Field(description="`cursor` of the next page; null: there is none.")


class RetriedBatch(BaseModel):
    """The batch whose jobs are tried again."""

    batch_id: str
    size: int = Field(description="Requests.")


class BatchView(BaseModel):
    """A batch, and on request what became of each of its requests."""

    batch_id: str
    size: int
    done: bool = Field(description="Nothing of it changes any more, until it is tried again.")
    progress: float = Field(ge=0, le=1, description="Mean of its requests.")
    counts: BatchCounts
    seq: int = Field(0, description="Grows with each change; as in its frames.")
    created_at: Time
    canceled: bool = Field(description="Its cancellation was asked for.")
    retry_of: RetriedBatch | None = Field(None, description="The batch that it tries again.")
    items: list[BatchItem] | None = Field(
        description="One for each request, in their order; null where they were not asked for."
    )
    urls: BatchUrls


def _length(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False))


async def asked_of(body: BatchRequest) -> list[Asked]:
    """Each request, or why it cannot be read: one bad request does not sink the others."""
    asked: list[Asked] = []
    turns = Turns()
    for raw in body.expanded:
        asked.append(_asked(raw))
        await turns.give()
    return asked


def _asked(raw: Any) -> Asked:
    try:
        return GenerateRequest.model_validate(raw).request
    except ValidationError as invalid:
        return unreadable(invalid)
