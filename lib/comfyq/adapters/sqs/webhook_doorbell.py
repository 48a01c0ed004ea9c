import functools
import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from comfyq.adapters.sqs.calls import MAX_ENTRIES, translated
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import QueueUnavailable
from comfyq.ports.clock import Clock
from comfyq.ports.queue import MAX_DELAY_S
from comfyq.ports.webhooks import WebhookKey

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsWebhookDoorbell:
    """The doorbell of webhook deliveries on SQS, with a body of ``{"job_id": …, "place": …}``.

    What is due after the longest delay of SQS is not rung for: the reaper does it then. ``fair``
    names the tenant as the message's group: SQS brings those of a tenant whose messages take a
    tenth of the functions' time or more after those of others.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
    """

    def __init__(
        self, *, client: Callable[[], "SQSClient"], url: str, clock: Clock, fair: bool = False
    ) -> None:
        self._client = functools.cache(client)
        self._url = url
        self._clock = clock
        self._fair = fair

    async def ring(
        self, keys: Sequence[WebhookKey], *, at: datetime, tenant: TenantId | None
    ) -> None:
        delay_s = max(0, math.ceil((at - self._clock.now()).total_seconds()))
        if delay_s > MAX_DELAY_S:
            return
        for start in range(0, len(keys), MAX_ENTRIES):
            part = keys[start : start + MAX_ENTRIES]
            await to_thread.run_sync(self._send, part, delay_s, tenant)

    def _send(self, keys: Sequence[WebhookKey], delay_s: int, tenant: TenantId | None) -> None:
        more: dict[str, Any] = {"DelaySeconds": delay_s}
        if self._fair and tenant is not None:
            more["MessageGroupId"] = tenant
        entries: list[Any] = [
            {"Id": str(n), "MessageBody": json.dumps(key._asdict()), **more}
            for n, key in enumerate(keys)
        ]
        with translated():
            answer = self._client().send_message_batch(QueueUrl=self._url, Entries=entries)
        if failed := answer.get("Failed"):
            raise QueueUnavailable(f"SQS refused {len(failed)} rings: {failed[0]}")
