import functools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MAX_ENTRIES = 10  # of a batch [1]
# [1] https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html

# Errors of services for a lapsed receipt. AWS deletes with such a receipt without an error;
# ministack refuses; all refuse to hide a message that was deleted meanwhile.
LAPSED = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)

VISIBLE: "QueueAttributeNameType" = "ApproximateNumberOfMessages"
IN_FLIGHT: "QueueAttributeNameType" = "ApproximateNumberOfMessagesNotVisible"
DELAYED: "QueueAttributeNameType" = "ApproximateNumberOfMessagesDelayed"
COUNTS = (VISIBLE, IN_FLIGHT, DELAYED)


class Received(NamedTuple):
    receipt: str
    job_id: JobId | None  # None: the message is not a doorbell


class Calls:
    """The blocking calls of one queue, with translated errors."""

    def __init__(
        self, *, client: Callable[[], "SQSClient"], url: str, fair: bool, visibility_s: float
    ) -> None:
        self._client = functools.cache(client)
        self._url = url
        self._fair = fair
        self._visibility_s = visibility_s

    def send(self, job_id: JobId, tenant: TenantId, delay_s: float) -> None:
        # Of a standard queue the group is a hint for fairness, not an order:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
        group: dict[str, Any] = {"MessageGroupId": tenant} if self._fair else {}
        with translated():
            self._client().send_message(
                QueueUrl=self._url,
                MessageBody=json.dumps({"job_id": job_id}),
                DelaySeconds=math.ceil(delay_s),
                **group,
            )

    def send_many(self, job_ids: Sequence[JobId], tenant: TenantId) -> None:
        """Send up to MAX_ENTRIES doorbells in one call; SQS accepts or refuses each by itself."""
        group: dict[str, Any] = {"MessageGroupId": tenant} if self._fair else {}
        entries: list[Any] = [
            {"Id": str(n), "MessageBody": json.dumps({"job_id": job_id}), **group}
            for n, job_id in enumerate(job_ids)
        ]
        with translated():
            answer = self._client().send_message_batch(QueueUrl=self._url, Entries=entries)
        if failed := answer.get("Failed"):
            raise QueueUnavailable(f"SQS refused {len(failed)} doorbells: {failed[0]}")

    def receive(self, wait_s: float) -> Received | None:
        with translated():
            answer = self._client().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=math.ceil(wait_s),
                VisibilityTimeout=math.ceil(self._visibility_s),
            )
        messages = answer.get("Messages", [])
        return _received(messages[0]) if messages else None

    def count(self) -> int:
        """Count the messages that are visible, received or delayed; SQS itself does so roughly."""
        return sum(counts_of(self._client(), self._url).values())

    def delete(self, receipt: str) -> None:
        with translated(tolerated=LAPSED):
            self._client().delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def hide(self, receipt: str, seconds: float) -> None:
        with translated(tolerated=LAPSED):
            self._client().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=math.ceil(seconds)
            )


def counts_of(client: "SQSClient", url: str) -> "dict[QueueAttributeNameType, int]":
    """Return how many messages a queue has of each kind of COUNTS."""
    with translated():
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=COUNTS)
    attributes = answer.get("Attributes", {})
    return {name: int(attributes.get(name, 0)) for name in COUNTS}


@contextmanager
def translated(tolerated: frozenset[str] = frozenset()) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in tolerated:
            raise QueueUnavailable(f"SQS: {error}") from error
    except BotoCoreError as error:
        raise QueueUnavailable(f"SQS does not answer: {error}") from error


def _received(message: "MessageTypeDef") -> Received:
    try:
        body = json.loads(message.get("Body", ""))
    except ValueError:
        body = None
    job_id = body.get("job_id") if isinstance(body, dict) else None
    return Received(
        message.get("ReceiptHandle", ""), JobId(job_id) if isinstance(job_id, str) else None
    )
