"""A few calls of each service: whether a server answers, and whether it kept what it was given."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.compat.lookalike import KEY, SECRET, NotHere

START_TIMEOUT_S = 90  # SeaweedFS takes 20 s after it was killed
POLL_S = 0.2
RECOVER_TIMEOUT_S = 20
COUNT = 50  # things that are stored, and looked for after the server was killed
NAME = "comfyq-probe"

CONFIG = Config(
    retries={"total_max_attempts": 1},
    connect_timeout=2,
    read_timeout=10,
    signature_version="v4",
    s3={"addressing_style": "path"},
)


def client(service: str, url: str) -> Any:
    make: Callable[..., Any] = boto3.client
    return make(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=CONFIG.merge(Config(signature_version="s3v4")) if service == "s3" else CONFIG,
    )


def wait_for(service: str, url: str, is_alive: Callable[[], bool]) -> None:
    """Return when ``service`` does its work.

    Raises:
        NotHere: it has ended, or does not within the time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    reason = "it ended"
    while is_alive() and time.monotonic() < deadline:
        try:
            return _PREPARE[service](client(service, url))
        except (BotoCoreError, ClientError) as away:
            reason = str(away)
        time.sleep(POLL_S)
    raise NotHere(f"{service} does not start: {reason}")


def store(service: str, url: str) -> None:
    """Have ``COUNT`` things acknowledged."""
    _STORE[service](client(service, url))


def kept(service: str, url: str) -> int:
    """Count those that are there, waiting as long as a server needs to find them."""
    deadline = time.monotonic() + RECOVER_TIMEOUT_S
    while (count := _counted(service, url)) < COUNT and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return count


def _counted(service: str, url: str) -> int:
    try:
        return _COUNT[service](client(service, url))
    except (BotoCoreError, ClientError):
        return 0  # not even what held them is there


def _prepare_dynamodb(dynamodb: Any) -> None:
    with contextlib.suppress(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(
            TableName=NAME,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )


def _store_items(dynamodb: Any) -> None:
    for n in range(COUNT):
        dynamodb.put_item(TableName=NAME, Item={"pk": {"S": str(n)}})


def _count_items(dynamodb: Any) -> int:
    return int(dynamodb.scan(TableName=NAME, ConsistentRead=True)["Count"])


def _prepare_sqs(sqs: Any) -> None:
    sqs.create_queue(QueueName=NAME)


def _store_messages(sqs: Any) -> None:
    url = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    for n in range(COUNT):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))


def _count_messages(sqs: Any) -> int:
    url = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(told["Attributes"]["ApproximateNumberOfMessages"])


def _prepare_s3(s3: Any) -> None:
    taken = (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists)
    with contextlib.suppress(*taken):
        s3.create_bucket(Bucket=NAME)
    _put(s3, "ready", b"-")


def _store_objects(s3: Any) -> None:
    for n in range(COUNT):
        _put(s3, f"kept/{n}", str(n).encode())


def _put(s3: Any, key: str, body: bytes) -> None:
    s3.put_object(Bucket=NAME, Key=key, Body=body, ContentType="application/octet-stream")


def _count_objects(s3: Any) -> int:
    listed = s3.list_objects_v2(Bucket=NAME, Prefix="kept/").get("Contents", [])
    bodies = [s3.get_object(Bucket=NAME, Key=each["Key"])["Body"].read() for each in listed]
    return len(set(bodies))


_PREPARE = {"dynamodb": _prepare_dynamodb, "sqs": _prepare_sqs, "s3": _prepare_s3}
_STORE = {"dynamodb": _store_items, "sqs": _store_messages, "s3": _store_objects}
_COUNT = {"dynamodb": _count_items, "sqs": _count_messages, "s3": _count_objects}
