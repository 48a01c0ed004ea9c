"""Whoever follows jobs, and how a frame reaches them."""

from collections.abc import Sequence

from comfyq.domain.errors import DomainError
from comfyq.domain.job import JobId
from comfyq.ports.notifier import ConnectionGone, Notifier
from comfyq.records.subscriptions import Subscription, SubscriptionRecords


class Followers:
    def __init__(self, *, subscriptions: SubscriptionRecords, notifier: Notifier) -> None:
        self._subscriptions = subscriptions
        self._notifier = notifier

    async def of_job(self, job_id: JobId) -> Sequence[Subscription]:
        """Read who follows a job, or a batch that it is of."""
        return await self._subscriptions.of_job(job_id)

    async def add_retry(self, job_id: JobId, *, retry_of: JobId) -> Sequence[Subscription]:
        """Let who follows a batch by way of a job follow its retry too; return these followers."""
        return await self._subscriptions.add_retry(job_id, retry_of=retry_of)

    async def post(self, job_id: JobId, follower: Subscription, frame: bytes) -> bool:
        """Post a frame to a follower of a job; False: it could not be reached now."""
        try:
            await self._notifier.post(follower.connection, frame)
        except ConnectionGone:
            await self._subscriptions.remove(job_id, follower)
        except DomainError:
            return False  # the next frame repeats progress, the reaper repeats an end
        return True
