import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfyq.adapters.provisioning.template import Template, load

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

TABLE, BUCKET = "Table", "Bucket"
JOBS_QUEUE, SUBMISSIONS_QUEUE = "JobsQueue", "SubmissionsQueue"
JOBS_DEAD, SUBMISSIONS_DEAD = "JobsDeadLetters", "SubmissionsDeadLetters"
WEBHOOKS_QUEUE = "WebhooksQueue"

# What CreateTable takes as CloudFormation spells it; the rest makes no difference to an emulator.
TABLE_PROPERTIES = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The resources that were made, under the names of their settings."""

    table: str
    queue_url: str
    dead_queue_url: str
    submissions_queue_url: str
    submissions_dead_queue_url: str
    webhooks_queue_url: str
    bucket: str


def provision(
    template: Path,
    *,
    prefix: str,
    dynamodb: "DynamoDBClient",
    sqs: "SQSClient",
    s3: "S3Client",
) -> Provisioned:
    """Make what is missing of the template's table, queues and bucket, and return when it is there.

    Their names begin with ``prefix`` (lower case, digits and hyphens, as buckets have them).
    """
    resources = load(template)
    queues = Queues(template=resources, prefix=prefix, client=sqs)
    return Provisioned(
        table=_make_table(resources, dynamodb, _name(prefix, TABLE)),
        queue_url=queues.make(JOBS_QUEUE),
        dead_queue_url=queues.make(JOBS_DEAD),
        submissions_queue_url=queues.make(SUBMISSIONS_QUEUE),
        submissions_dead_queue_url=queues.make(SUBMISSIONS_DEAD),
        webhooks_queue_url=queues.make(WEBHOOKS_QUEUE),
        bucket=_make_bucket(resources, s3, _name(prefix, BUCKET)),
    )


class Queues:
    """Makes queues, each after those that its redrive policy points to."""

    def __init__(self, *, template: Template, prefix: str, client: "SQSClient") -> None:
        self._template = template
        self._prefix = prefix
        self._client = client

    def make(self, logical_id: str) -> str:
        """The queue's URL."""
        properties = self._template.get(logical_id, "AWS::SQS::Queue").properties
        attributes: Any = {name: self._attribute(value) for name, value in properties.items()}
        # Set apart from the creation, which refuses attributes that an existing queue has not.
        url = self._client.create_queue(QueueName=_name(self._prefix, logical_id))["QueueUrl"]
        self._client.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        return url

    def _arn(self, logical_id: str) -> str:
        url = self.make(logical_id)
        answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    def _attribute(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        return json.dumps(self._resolved(value))

    def _resolved(self, value: Any) -> Any:
        match value:
            case {"Fn::GetAtt": [str(logical_id), "Arn"]}:
                return self._arn(logical_id)
            case {"Ref": str(logical_id)}:
                return self.make(logical_id)
            case dict():
                return {name: self._resolved(part) for name, part in value.items()}
            case _:
                return value


def _make_table(template: Template, client: "DynamoDBClient", name: str) -> str:
    properties: Mapping[str, Any] = template.get(TABLE, "AWS::DynamoDB::Table").properties
    definition = {key: properties[key] for key in TABLE_PROPERTIES if key in properties}
    try:
        client.create_table(TableName=name, **definition)
    except client.exceptions.ResourceInUseException:
        return name
    client.get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    client.update_time_to_live(
        TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"]
    )
    return name


def _make_bucket(template: Template, client: "S3Client", name: str) -> str:
    template.get(BUCKET, "AWS::S3::Bucket")
    try:
        client.create_bucket(Bucket=name)
    except (
        client.exceptions.BucketAlreadyOwnedByYou,
        client.exceptions.BucketAlreadyExists,
    ):
        return name
    return name


def _name(prefix: str, logical_id: str) -> str:
    """``comfyq-jobs-queue`` of ``comfyq`` and ``JobsQueue``."""
    return prefix + re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", logical_id)
