import functools
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from anyio import to_thread

from comfyq.adapters.sqs.calls import LAPSED, translated
from comfyq.adapters.sqs.poll import poll
from comfyq.domain.errors import QueueUnavailable
from comfyq.ports.inbox import MAX_MESSAGES, Message
from comfyq.ports.queue import MAX_HIDE_S, MAX_WAIT_S, check_seconds

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef


class Hidden(TypedDict, total=False):
    """The time for which a receive hides its messages; SQS takes the queue's own without it."""

    VisibilityTimeout: int


@dataclass(frozen=True, slots=True)
class SqsMessageDelivery:
    message: Message
    receipt: str
    inbox: "SqsInbox"

    async def ack(self) -> None:
        await to_thread.run_sync(self.inbox.delete, self.receipt)

    async def hide(self, seconds: float) -> None:
        """Implement the port; SQS hides in whole seconds."""
        check_seconds(seconds, most=MAX_HIDE_S)
        await to_thread.run_sync(self.inbox.hide, self.receipt, seconds)


class SqsInbox:
    """The messages of one queue, as they are.

    ``client`` makes the client; it is called once, at the first use, in a thread. The queue for
    dead letters is the queue's own attribute, and so is the time for which a received message is
    hidden, unless ``visibility_s`` is another. A redrive policy keeps a message's
    id, so it is the first one here as well.
    """

    def __init__(
        self, *, client: Callable[[], "SQSClient"], url: str, visibility_s: float | None = None
    ) -> None:
        self._client = functools.cache(client)
        self._url = url
        self._hidden: Hidden = {}
        if visibility_s is not None:
            self._hidden = {"VisibilityTimeout": math.ceil(visibility_s)}

    @property
    def name(self) -> str:
        return self._url.rpartition("/")[2]

    async def receive(self, *, wait_s: float) -> Sequence[SqsMessageDelivery]:
        """Implement the port; SQS waits in whole seconds.

        Messages that arrive after a cancellation are made visible again at once.
        """
        check_seconds(wait_s, most=MAX_WAIT_S)
        return await poll(lambda: self._receive(wait_s), give_back=self._show) or []

    def delete(self, receipt: str) -> None:
        with translated(tolerated=LAPSED):
            self._client().delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def hide(self, receipt: str, seconds: float) -> None:
        with translated(tolerated=LAPSED):
            self._client().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=math.ceil(seconds)
            )

    def _receive(self, wait_s: float) -> list[SqsMessageDelivery]:
        with translated():
            answer = self._client().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=MAX_MESSAGES,
                WaitTimeSeconds=math.ceil(wait_s),
                MessageAttributeNames=["All"],
                **self._hidden,
            )
        return [self._delivery(message) for message in answer.get("Messages", [])]

    def _delivery(self, received: "MessageTypeDef") -> SqsMessageDelivery:
        attributes = {
            name: value["StringValue"]
            for name, value in received.get("MessageAttributes", {}).items()
            if "StringValue" in value
        }
        message = Message(received.get("MessageId", ""), received.get("Body", ""), attributes)
        return SqsMessageDelivery(message, received.get("ReceiptHandle", ""), self)

    def _show(self, deliveries: Sequence[SqsMessageDelivery]) -> None:
        for delivery in deliveries:
            with suppress(QueueUnavailable):
                self.hide(delivery.receipt, 0)
