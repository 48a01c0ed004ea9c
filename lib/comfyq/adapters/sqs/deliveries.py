import functools
import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from comfyq.adapters.sqs.calls import MAX_ENTRIES, translated
from comfyq.domain.errors import QueueUnavailable
from comfyq.ports.clock import Clock
from comfyq.ports.queue import MAX_DELAY_S
from comfyq.ports.webhooks import DeliveryKey

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsDeliveryDoorbell:
    """The doorbell of deliveries on SQS, with a body of ``{"job_id": …, "place": …}``.

    What is due after the longest delay of SQS is not rung for: the reaper does it then.
    """

    def __init__(self, *, client: Callable[[], "SQSClient"], url: str, clock: Clock) -> None:
        self._client = functools.cache(client)
        self._url = url
        self._clock = clock

    async def ring(self, keys: Sequence[DeliveryKey], *, at: datetime) -> None:
        delay_s = max(0, math.ceil((at - self._clock.now()).total_seconds()))
        if delay_s > MAX_DELAY_S:
            return
        for start in range(0, len(keys), MAX_ENTRIES):
            await to_thread.run_sync(self._send, keys[start : start + MAX_ENTRIES], delay_s)

    def _send(self, keys: Sequence[DeliveryKey], delay_s: int) -> None:
        entries: list[Any] = [
            {"Id": str(n), "MessageBody": json.dumps(key._asdict()), "DelaySeconds": delay_s}
            for n, key in enumerate(keys)
        ]
        with translated():
            answer = self._client().send_message_batch(QueueUrl=self._url, Entries=entries)
        if failed := answer.get("Failed"):
            raise QueueUnavailable(f"SQS refused {len(failed)} rings: {failed[0]}")
