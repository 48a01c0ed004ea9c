"""Idempotency: what tells two requests apart, and what is promised to who sends one again."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import Batch
from comfyq.domain.submission.request import Request
from comfyq.records.idempotency import Idempotency
from comfyq.records.times import to_ms

IDEMPOTENCY_S = 86_400


def promise_of(made: Job | Batch, key: str | None, digest: str) -> Idempotency | None:
    """That the same request under ``key`` means this job or batch."""
    if key is None:
        return None
    ttl = to_ms(made.created_at) // 1000 + IDEMPOTENCY_S
    return Idempotency(made.tenant, key, digest, JobId(made.id), ttl)


def digest_of(request: Request) -> str:
    """Tells two requests apart, whatever the order of their fields."""
    asked: list[Any] = [request.workflow, request.values]
    if request.graph is not None:
        asked += [request.graph, request.overrides]
    if not request.metadata:
        asked += ["without metadata"]
    if request.reuse:
        asked += ["reuse"]
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_of_all(requests: Sequence[Any]) -> str:
    """Tells the requests of two batches apart, whatever the order of their fields."""
    canonical = json.dumps({"requests": requests}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
