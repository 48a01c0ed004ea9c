"""Events that SQS brings to a Lambda function.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

from comfyq.ports.inbox import Message


def message_of(record: Mapping[str, Any]) -> Message:
    """One record; its attributes of other types than text are left out."""
    attributes = {
        name: value["stringValue"]
        for name, value in record.get("messageAttributes", {}).items()
        if value.get("stringValue") is not None
    }
    return Message(record["messageId"], record["body"], attributes)


def queue_of(record: Mapping[str, Any]) -> str:
    """The name of the queue that a record comes from."""
    arn: str = record["eventSourceARN"]
    return arn.rpartition(":")[2]


def failures(message_ids: Iterable[str]) -> dict[str, Any]:
    """The answer that brings back those messages and no others.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}
