"""Whoever follows jobs, and how a frame reaches them."""

from collections.abc import Sequence

from comfyq.aio.tasks import limited
from comfyq.domain.job import JobId
from comfyq.ports.notifier import ConnectionGone, Notifier
from comfyq.records.subscriptions import Subscription, SubscriptionRecords

REMOVED_AT_ONCE = 10  # subscriptions of sockets that have closed


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

    async def post(
        self,
        job_id: JobId,
        followers: Sequence[Subscription],
        frame: bytes,
        *,
        at_once: int | None = None,
    ) -> bool:
        """Post a frame to followers of a job, with at most ``at_once`` requests at the same time.

        False: at least one could not be reached now. The next frame repeats progress, the reaper
        repeats an end.
        """
        connections = [each.connection for each in followers]
        failed = await self._notifier.post_all(connections, frame, at_once=at_once)
        is_gone = {each: isinstance(why, ConnectionGone) for each, why in failed.items()}
        gone = [each for each in followers if is_gone.get(each.connection)]
        await limited(REMOVED_AT_ONCE, gone, lambda each: self._subscriptions.remove(job_id, each))
        return all(is_gone.values())
