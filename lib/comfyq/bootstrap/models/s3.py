"""Models in S3, by the credentials that boto3 finds on this machine."""

from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from comfyq.adapters.s3.models import S3Models
from comfyq.config import AwsEndpoints

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TIMEOUTS = Config(
    connect_timeout=15, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 2}
)


def s3_models(endpoints: AwsEndpoints) -> S3Models:
    return S3Models(client=partial(_client, endpoints.own("s3") or endpoints.url))


def _client(endpoint: str | None) -> "S3Client":
    return boto3.Session().client("s3", endpoint_url=endpoint, config=TIMEOUTS)
