"""The Lambda function that sends webhooks: batches of rings, of which each is for one delivery."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from comfyq.aio.logs import log
from comfyq.domain.job import JobId
from comfyq.ports.webhooks import DeliveryKey
from comfyq.wire.sqs import failures


class WebhookHandler:
    def __init__(self, send: Callable[[DeliveryKey], Awaitable[bool]]) -> None:
        self._send = send

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Send what each record rings for; the answer names the messages that SQS must deliver
        again. A delivery that did not arrive is none of these: it is rung for when it is due."""
        records = event["Records"]
        done = await asyncio.gather(*map(self._heard, records))
        return failures(
            [record["messageId"] for record, ok in zip(records, done, strict=True) if not ok]
        )

    async def _heard(self, record: Mapping[str, Any]) -> bool:
        try:
            body = json.loads(record["body"])
            key = DeliveryKey(JobId(str(body["job_id"])), str(body["place"]))
        except (ValueError, TypeError, KeyError):
            log.warning("ring_unreadable", message=record["messageId"])
            return True  # it would never be readable
        try:
            await self._send(key)
        except Exception as error:  # one bad delivery must not ring again for the others
            log.warning("webhook_not_sent", job=key.job_id, reason=repr(error))
            return False
        return True
