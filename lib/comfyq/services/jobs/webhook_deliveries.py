"""What was told of a job to its webhook, for the client who owns the job."""

from collections.abc import Sequence
from contextlib import suppress

from comfyq.domain.caller import Caller
from comfyq.domain.errors import DeliveryNotFound, TooContended, Unavailable
from comfyq.domain.job import JobId
from comfyq.domain.webhook.target import ANYBODY
from comfyq.domain.webhook_delivery import DeliveryId, WebhookDelivery, again
from comfyq.ports.clock import Clock
from comfyq.ports.webhooks import WebhookDoorbell
from comfyq.records.jobs import JobRecords
from comfyq.records.webhooks.deliveries import WebhookDeliveryRecords, key_of
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.notify.webhook_receivers import WebhookReceivers

TRIES = 5  # of a change beside a sender's


class WebhookDeliveries:
    def __init__(
        self,
        *,
        queries: JobQueries,
        records: WebhookDeliveryRecords,
        jobs: JobRecords,
        receivers: WebhookReceivers,
        doorbell: WebhookDoorbell,
        clock: Clock,
    ) -> None:
        self._queries = queries
        self._records = records
        self._jobs = jobs
        self._receivers = receivers
        self._doorbell = doorbell
        self._clock = clock

    async def of(self, caller: Caller, job_id: JobId) -> Sequence[WebhookDelivery]:
        """Return every delivery of a job, the oldest first; raises JobNotFound."""
        job = await self._queries.get(caller, job_id)
        return await self._records.of_job(job.id)

    async def redeliver(
        self, caller: Caller, job_id: JobId, delivery_id: DeliveryId
    ) -> WebhookDelivery:
        """Have a delivery sent once more under its id, whatever became of it.

        A receiver of the job's own that had answered 410, or one that was paused, is tried again.

        Raises:
            JobNotFound, DeliveryNotFound.
            TooContended: a sender changed it TRIES times meanwhile.
        """
        for _ in range(TRIES):
            found = [each for each in await self.of(caller, job_id) if each.id == delivery_id]
            if not found:
                raise DeliveryNotFound(f"job {job_id} has no delivery of this id")
            await self._resume(found[0].job_id)
            asked = again(found[0], now=self._clock.now())
            if await self._records.save(asked):
                with suppress(Unavailable):  # the reaper rings
                    at, tenant = asked.due_at, asked.tenant
                    await self._doorbell.ring([key_of(asked)], at=at, tenant=tenant)
                return asked
        raise TooContended(f"delivery {delivery_id} is being sent; try again")

    async def _resume(self, job_id: JobId) -> None:
        job, spec = await self._jobs.get(job_id), await self._jobs.spec(job_id)
        await self._receivers.resume(job, spec.webhook or ANYBODY)
