"""A client of comfyq's servers, for programs that may block and for event loops.

>>> with Client(url) as client:
...     job = client.generate("flux-dev", prompt="a fox", width=64, height=64, steps=2)
...     job.wait(timeout_s=60).status
'completed'
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comfyq.client.async_client import AsyncClient
    from comfyq.client.async_jobs import AsyncBatch, AsyncJob, AsyncResult
    from comfyq.client.client import Client
    from comfyq.client.errors import (
        ApiError,
        BadValue,
        BadWebhook,
        BrokenDownload,
        ComfyqError,
        Conflict,
        FieldError,
        Forbidden,
        InvalidRequest,
        JobFailed,
        NotFound,
        NotReached,
        RateLimited,
        ServerFailed,
        TimedOut,
        Unauthenticated,
        UnexpectedAnswer,
    )
    from comfyq.client.jobs import Batch, Job, Result
    from comfyq.client.models.jobs import (
        BatchData,
        BatchEvent,
        Counts,
        Event,
        JobData,
        Output,
        Preview,
        Refusal,
        Story,
    )
    from comfyq.client.models.service import (
        ApiKey,
        Asset,
        Delivery,
        Health,
        NewApiKey,
        Quota,
        Worker,
        Workflow,
        WorkflowSummary,
    )
    from comfyq.client.sender import Patience
    from comfyq.client.webhooks import Webhook, verify_webhook

__all__ = [
    "ApiError",
    "ApiKey",
    "Asset",
    "AsyncBatch",
    "AsyncClient",
    "AsyncJob",
    "AsyncResult",
    "BadValue",
    "BadWebhook",
    "Batch",
    "BatchData",
    "BatchEvent",
    "BrokenDownload",
    "Client",
    "ComfyqError",
    "Conflict",
    "Counts",
    "Delivery",
    "Event",
    "FieldError",
    "Forbidden",
    "Health",
    "InvalidRequest",
    "Job",
    "JobData",
    "JobFailed",
    "NewApiKey",
    "NotFound",
    "NotReached",
    "Output",
    "Patience",
    "Preview",
    "Quota",
    "RateLimited",
    "Refusal",
    "Result",
    "ServerFailed",
    "Story",
    "TimedOut",
    "Unauthenticated",
    "UnexpectedAnswer",
    "Webhook",
    "Worker",
    "Workflow",
    "WorkflowSummary",
    "verify_webhook",
]

# Names are imported as they are asked for: a command needs a tenth of them, and starts sooner.
_MODULES: Mapping[str, Sequence[str]] = {
    "async_client": ("AsyncClient",),
    "async_jobs": (
        "AsyncBatch",
        "AsyncJob",
        "AsyncResult",
    ),
    "client": ("Client",),
    "errors": (
        "ApiError",
        "BadValue",
        "BadWebhook",
        "BrokenDownload",
        "ComfyqError",
        "Conflict",
        "FieldError",
        "Forbidden",
        "InvalidRequest",
        "JobFailed",
        "NotFound",
        "NotReached",
        "RateLimited",
        "ServerFailed",
        "TimedOut",
        "Unauthenticated",
        "UnexpectedAnswer",
    ),
    "jobs": (
        "Batch",
        "Job",
        "Result",
    ),
    "models.jobs": (
        "BatchData",
        "BatchEvent",
        "Counts",
        "Event",
        "JobData",
        "Output",
        "Preview",
        "Refusal",
        "Story",
    ),
    "models.service": (
        "ApiKey",
        "Asset",
        "Delivery",
        "Health",
        "NewApiKey",
        "Quota",
        "Worker",
        "Workflow",
        "WorkflowSummary",
    ),
    "sender": ("Patience",),
    "webhooks": (
        "Webhook",
        "verify_webhook",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
