"""Properties that a look-alike's CloudFormation ignores, set by the services' own calls."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from comfyq.adapters.provisioning.provision import BUCKET, TABLE
from comfyq.adapters.provisioning.template import Template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


def mend_table(template: Template, client: "DynamoDBClient", name: str) -> Iterator[str]:
    """See to the table's time to live; what had to be set, or cannot be."""
    wanted = template.get(TABLE, "AWS::DynamoDB::Table").properties["TimeToLiveSpecification"]
    description = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if description.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        return
    try:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)
        yield "Table: time to live was not set"
    except ClientError as refused:
        yield f"Table: time to live cannot be set: {refused}"


def mend_bucket(template: Template, client: "S3Client", name: str) -> Iterator[str]:
    """See to the bucket's lifecycle; what had to be set, or cannot be."""
    try:
        client.get_bucket_lifecycle_configuration(Bucket=name)
        return
    except ClientError:
        pass  # there is none, or none is known here
    properties = template.get(BUCKET, "AWS::S3::Bucket").properties
    rules: Any = [_rule(rule) for rule in properties["LifecycleConfiguration"]["Rules"]]
    try:
        client.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": rules}
        )
        yield "Bucket: lifecycle was not set"
    except ClientError as refused:
        yield f"Bucket: lifecycle cannot be set: {refused}"


def _rule(written: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of CloudFormation's as S3 itself takes it."""
    rule: dict[str, Any] = {
        "ID": written["Id"],
        "Status": written["Status"],
        "Filter": {"Prefix": written.get("Prefix", "")},
    }
    if "ExpirationInDays" in written:
        rule["Expiration"] = {"Days": written["ExpirationInDays"]}
    if "ExpiredObjectDeleteMarker" in written:
        rule["Expiration"] = {"ExpiredObjectDeleteMarker": written["ExpiredObjectDeleteMarker"]}
    for name in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
        if name in written:
            rule[name] = written[name]
    return rule
