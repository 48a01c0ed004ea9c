"""Idempotency keys: the digests that compare requests, and the record stored under a key."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from comfyq.aio.turns import Turns
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.model import NORMAL_PRIORITY
from comfyq.domain.submission.batch import Batch
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.retry import Retry
from comfyq.records.idempotency import Idempotency
from comfyq.records.times import to_ms

IDEMPOTENCY_S = 86_400


def promise_of(made: Job | Batch, key: str | None, digest: str) -> Idempotency | None:
    """Return the record that maps ``key`` to this job or batch for 24 hours; None without a key."""
    if key is None:
        return None
    ttl = to_ms(made.created_at) // 1000 + IDEMPOTENCY_S
    return Idempotency(made.tenant, key, digest, JobId(made.id), ttl)


def digest_of(request: Request | Retry) -> str:
    """Hash a request's content; the order of fields does not matter."""
    if isinstance(request, Retry):
        return hashlib.sha256(f"retry of {request.asked}".encode()).hexdigest()
    asked: list[Any] = [request.workflow, request.values]
    if request.graph is not None:
        asked += [request.graph, request.overrides]
    if request.extra_data is not None:
        asked += [request.extra_data]
    if not request.metadata:
        asked += ["without metadata"]
    if request.reuse:
        asked += ["reuse"]
    if request.priority != NORMAL_PRIORITY:
        asked += [f"priority {request.priority}"]
    asked += _beside(request)
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _beside(request: Request) -> list[Any]:
    """Return what makes no other result, but is part of what was asked for."""
    asked: list[Any] = []
    if request.labels:
        asked += ["labels", request.labels]
    if request.webhook_url is not None or request.webhook_events is not None:
        asked += ["webhook", request.webhook_url, request.webhook_events]
    return asked


async def digest_of_all(requests: Sequence[Any]) -> str:
    """Hash the content of a batch's requests; the order of fields does not matter."""
    digest, turns = hashlib.sha256(b'{"requests":['), Turns()
    for number, request in enumerate(requests):
        canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
        digest.update(f"{',' if number else ''}{canonical}".encode())
        await turns.give()
    digest.update(b"]}")
    return digest.hexdigest()
