from collections.abc import Coroutine, Sequence
from typing import Any

from comfyq.adapters.measured.calls import Calls
from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.queue import Delivery, JobQueue
from comfyq.telemetry.numbers import QUEUE_CALLS, QUEUE_ERRORS, QUEUE_SECONDS

CALLS = Calls(QUEUE_CALLS, QUEUE_SECONDS, QUEUE_ERRORS)


class MeasuredQueue:
    """A queue whose calls are counted, but for what is done with a delivery."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def send(
        self, job_id: JobId, *, tenant: TenantId, delay_s: float = 0
    ) -> Coroutine[Any, Any, None]:
        return CALLS.measured("send", self._queue.send(job_id, tenant=tenant, delay_s=delay_s))

    def send_many(self, job_ids: Sequence[JobId], *, tenant: TenantId) -> Coroutine[Any, Any, None]:
        return CALLS.measured("send_many", self._queue.send_many(job_ids, tenant=tenant))

    def receive(self, *, wait_s: float) -> Coroutine[Any, Any, Delivery | None]:
        return CALLS.measured("receive", self._queue.receive(wait_s=wait_s))

    def count(self) -> Coroutine[Any, Any, int]:
        return CALLS.measured("count", self._queue.count())
