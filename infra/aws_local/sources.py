"""Callers of functions besides API Gateway: queues and the schedule, as they are deployed."""

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from comfyq.aio.logs import log
from infra.aws_local.function import Event, Function
from infra.aws_local.runtime_api import FunctionFailed
from infra.aws_local.sandbox import REGION

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

WAIT_S = 1  # of one poll; a thread is as long in coming to its end
PAUSE_S = 1.0  # after a failure
RATE = re.compile(r"rate\((\d+) (second|minute|hour|day)s?\)")
SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSource:
    """An event source mapping."""

    queue_url: str
    queue_arn: str
    batch_size: int
    partial: bool  # a function names the records that failed: the others are done


async def poll_for_ever(source: QueueSource, function: Function, sqs: "SQSClient") -> None:
    """Bring a queue's messages to a function; those it does not settle become visible again."""
    while True:
        try:
            messages = await asyncio.to_thread(_receive, sqs, source)
            if messages:
                await _deliver(messages, source, function, sqs)
        except Exception as away:  # the emulator stops before this does
            log.warning("poll_failed", queue=source.queue_arn, reason=repr(away))
            await asyncio.sleep(PAUSE_S)


async def schedule_for_ever(expression: str, function: Function) -> None:
    """Call a function now, and at the schedule's rate from then on."""
    period_s = period_of(expression)
    while True:
        try:
            await function.invoke(_scheduled())
        except FunctionFailed as failed:
            log.warning("schedule_failed", function=function.spec.name, reason=str(failed))
        await asyncio.sleep(period_s)


def period_of(expression: str) -> int:
    """Seconds, of ``rate(1 minute)``; raises ValueError for any other kind of schedule."""
    found = RATE.fullmatch(expression)
    if found is None:
        raise ValueError(f"a schedule by rate(…) was expected, not {expression}")
    return int(found[1]) * SECONDS[found[2]]


def failed_of(answer: Any, ids: Sequence[str]) -> set[str]:
    """The records that must come again; all of them where the answer is not to be understood.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if not answer:
        return set()
    try:
        named = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    except (KeyError, TypeError):
        return set(ids)
    return named if named <= set(ids) else set(ids)


def record_of(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    """A message as a function gets it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {
                "stringValue": value.get("StringValue"),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value["DataType"],
            }
            for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


async def _deliver(
    messages: Sequence[Any], source: QueueSource, function: Function, sqs: "SQSClient"
) -> None:
    ids = [message["MessageId"] for message in messages]
    event: Event = {"Records": [record_of(message, source.queue_arn) for message in messages]}
    try:
        answer = await function.invoke(event)
    except FunctionFailed as failed:
        log.warning("delivery_failed", function=function.spec.name, reason=str(failed))
        return
    failed_ids = failed_of(answer, ids) if source.partial else set()
    for message in messages:
        if message["MessageId"] not in failed_ids:
            await asyncio.to_thread(
                sqs.delete_message,
                QueueUrl=source.queue_url,
                ReceiptHandle=message["ReceiptHandle"],
            )


def _receive(sqs: "SQSClient", source: QueueSource) -> Sequence[Any]:
    answer = sqs.receive_message(
        QueueUrl=source.queue_url,
        MaxNumberOfMessages=source.batch_size,
        WaitTimeSeconds=WAIT_S,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    return answer.get("Messages", [])


def _scheduled() -> Event:
    """Return the event of EventBridge Scheduler for a schedule without an input of its own."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",  # noqa: TID251 - the scheduler's clock
        "region": REGION,
        "resources": [],
        "detail": "{}",
    }
