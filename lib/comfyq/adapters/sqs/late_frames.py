import functools
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import to_thread

from comfyq.adapters.sqs.calls import translated
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsLateFrames:
    """Frames that are put off, as delayed messages of ``{"batch_id": …, "job_id": …}`` in the queue
    of webhooks: whose function tells receivers tells followers, too."""

    def __init__(self, *, client: Callable[[], "SQSClient"], url: str) -> None:
        self._client = functools.cache(client)
        self._url = url

    async def ask(self, batch_id: BatchId, by: JobId, *, delay_s: float) -> None:
        await to_thread.run_sync(self._send, batch_id, by, math.ceil(delay_s))

    def _send(self, batch_id: BatchId, by: JobId, delay_s: int) -> None:
        with translated():
            self._client().send_message(
                QueueUrl=self._url,
                MessageBody=json.dumps({"batch_id": batch_id, "job_id": by}),
                DelaySeconds=delay_s,
            )
