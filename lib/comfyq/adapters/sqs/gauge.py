import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import to_thread

from comfyq.adapters.sqs.calls import IN_FLIGHT, LAPSED, VISIBLE, counts_of, translated
from comfyq.ports.gauge import Depth

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NOBODYS_RECEIPT = "comfyq-check"  # SQS looks at rights before it looks at this


class SqsGauge:
    """Looks at a queue of SQS."""

    def __init__(self, *, client: Callable[[], "SQSClient"], url: str) -> None:
        self._client = functools.cache(client)
        self._url = url

    async def depth(self) -> Depth:
        return await to_thread.run_sync(self._depth)

    async def try_receipts(self) -> None:
        await to_thread.run_sync(self._try_receipts)

    async def try_receive(self) -> None:
        await to_thread.run_sync(self._try_receive)

    def _depth(self) -> Depth:
        counts = counts_of(self._client(), self._url)
        return Depth(waiting=counts[VISIBLE], in_flight=counts[IN_FLIGHT])

    def _try_receipts(self) -> None:
        with translated(tolerated=LAPSED):
            self._client().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=NOBODYS_RECEIPT, VisibilityTimeout=0
            )
        with translated(tolerated=LAPSED):
            self._client().delete_message(QueueUrl=self._url, ReceiptHandle=NOBODYS_RECEIPT)

    def _try_receive(self) -> None:
        with translated():
            self._client().receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=1, WaitTimeSeconds=0, VisibilityTimeout=0
            )
