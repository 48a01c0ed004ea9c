"""The Lambda function that sends webhooks: batches of rings, of which each is for one delivery.

It posts frames of batches as well that other functions have put off: these stand still by then.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from comfyq.aio.logs import log
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.webhook.target import Receiver
from comfyq.ports.webhooks import WebhookKey
from comfyq.services.notify.slow_receivers import SlowReceivers
from comfyq.wire.sqs import failures

SHARE = 3  # of a batch, that is sent to one receiver at the same time
TENANT_SHARE = 5  # of a batch, that is sent to all receivers of a tenant at the same time
SPARED = "the receiver took too long to answer others; it is tried again in a while"
TENANT_SPARED = "receivers of the tenant took too long to answer; it is sent in a while"

Places = Mapping[Hashable, asyncio.Semaphore]


class PutOff(Protocol):
    async def __call__(self, key: WebhookKey, *, until: datetime, why: str) -> None:
        """Have a delivery that is due sent later."""
        ...


class WebhookHandler:
    """What is for a receiver that hangs waits in the queue, not in a function: of these there are
    few, and every receiver's webhooks need them. So does what is for a tenant of which many hang.
    """

    def __init__(
        self,
        *,
        send: Callable[[WebhookKey], Awaitable[bool]],
        put_off: PutOff,
        receiver_of: Callable[[JobId], Awaitable[Receiver | None]],
        slow: SlowReceivers,
        tell_late: Callable[[BatchId, JobId], Awaitable[None]],
    ) -> None:
        self._send = send
        self._put_off = put_off
        self._receiver_of = receiver_of
        self._slow = slow
        self._tell_late = tell_late

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Send what each record rings for; the answer names the messages that SQS must deliver
        again. A delivery that did not arrive is none of these: it is rung for when it is due."""
        records, shares = event["Records"], _Shares(self._slow.now())
        done = await asyncio.gather(*(self._heard(record, shares) for record in records))
        return failures(
            [record["messageId"] for record, ok in zip(records, done, strict=True) if not ok]
        )

    async def _heard(self, record: Mapping[str, Any], shares: "_Shares") -> bool:
        try:
            body = json.loads(record["body"])
            job_id = JobId(str(body["job_id"]))
            batch_id = BatchId(str(body["batch_id"])) if "batch_id" in body else None
            place = str(body["place"]) if batch_id is None else ""
        except (ValueError, TypeError, KeyError):
            log.warning("ring_unreadable", message=record["messageId"])
            return True  # it would never be readable
        try:
            if batch_id is not None:
                await self._tell_late(batch_id, job_id)
            else:
                await self._sent(WebhookKey(job_id, place), shares)
        except Exception as error:  # one bad delivery must not ring again for the others
            what = "webhook_not_sent" if batch_id is None else "batch_untold"
            log.warning(what, job=job_id, reason=repr(error))
            return False
        return True

    async def _sent(self, key: WebhookKey, shares: "_Shares") -> None:
        receiver = await self._receiver_of(key.job_id)
        if receiver is None:  # sending tells why
            await self._send(key)
            return
        # The tenant's place last: who waits for one receiver must not keep it from the others.
        async with shares.of_receivers[receiver], shares.of_tenants[receiver.tenant]:
            until, why = self._slow.spared_until(receiver), SPARED
            if until is None:
                until = self._slow.tenant_spared_until(receiver, since=shares.began)
                why = TENANT_SPARED
            if until is None:
                await self._slow.timed(receiver, self._send(key))
            else:
                await self._put_off(key, until=until, why=why)


class _Shares:
    """Places of one batch."""

    def __init__(self, began: datetime) -> None:
        self.began = began
        self.of_receivers: Places = defaultdict(partial(asyncio.Semaphore, SHARE))
        self.of_tenants: Places = defaultdict(partial(asyncio.Semaphore, TENANT_SHARE))
