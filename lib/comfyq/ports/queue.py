"""The queue: a doorbell. Losing, doubling or delaying a message costs time, never a job."""

from collections.abc import Sequence
from typing import Protocol

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId

# What SQS allows; every adapter refuses more, since the others would take it.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_DELAY_S = 900
MAX_WAIT_S = 20
MAX_HIDE_S = 12 * 3600

# A received message is hidden for that long: a worker that dies before it claims the job costs the
# job no more. After the claim the worker hides it for as long as its lease.
TAKEN_S = 5


class Delivery(Protocol):
    """One receipt of a doorbell, which is delivered again after TAKEN_S unless it is hidden for
    longer or acknowledged."""

    @property
    def job_id(self) -> JobId: ...

    async def ack(self) -> None:
        """Delete the message; after a lapsed receipt nothing is deleted, and nothing raised."""
        ...

    async def hide(self, seconds: float) -> None:
        """Keep the message from every worker for that long from now; 0 shows it at once.

        SQS rounds up to whole seconds and allows 12 h at most. A lapsed receipt is no error.
        """
        ...


class JobQueue(Protocol):
    """Deliver doorbells at least once, in no particular order.

    Every method raises QueueUnavailable if the queue's engine does not answer.
    """

    async def send(self, job_id: JobId, *, tenant: TenantId, delay_s: float = 0) -> None:
        """Send a doorbell. ``delay_s`` is 900 at most (SQS); ``tenant`` is a fairness group."""
        ...

    async def send_many(self, job_ids: Sequence[JobId], *, tenant: TenantId) -> None:
        """Send several doorbells at once; if it raises, some of them may have been sent."""
        ...

    async def receive(self, *, wait_s: float) -> Delivery | None:
        """Wait up to ``wait_s`` seconds (20 at most, as SQS) for one delivery.

        A message that is not a doorbell is left to the dead-letter queue.
        """
        ...

    async def count(self) -> int:
        """Return about how many messages there are, with those that are hidden or delayed.

        SQS counts right only a minute after the last change:
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
        """
        ...


def check_seconds(seconds: float, *, most: float) -> None:
    """Refuse a time that SQS does not take with a ValueError."""
    if not 0 <= seconds <= most:
        raise ValueError(f"{seconds} s; it is 0 to {most} s")
