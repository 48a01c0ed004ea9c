"""boto3, imported when the first client is asked for."""

from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from comfyq.adapters.signing.clock_check import ClockCheck
from comfyq.adapters.system.clock import SystemClock
from comfyq.config import Backend, Settings

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

POLL_S = 20  # the longest long poll of SQS; a read must wait longer than that
TABLE_S = 5  # four tries of the table then end within the 29 s that API Gateway waits
CONNECTIONS = 50  # of each client; as many as threads may call at once


class Clients:
    """Clients of AWS, or of a look-alike of it, that all share one session."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._making = Lock()

    @cached_property
    def session(self) -> "Session":
        """On AWS the usual chain of credentials; elsewhere the key that every look-alike knows."""
        import boto3

        if self._settings.backend is Backend.AWS:
            return boto3.Session()
        return boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )

    def dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self._client("dynamodb", read_timeout_s=TABLE_S)
        return client

    def sqs(self) -> "SQSClient":
        client: SQSClient = self._client("sqs", read_timeout_s=POLL_S + 10)
        return client

    def s3(self) -> "S3Client":
        client: S3Client = self._client("s3", read_timeout_s=30)
        return client

    def cloudformation(self) -> "CloudFormationClient":
        client: CloudFormationClient = self._client("cloudformation", read_timeout_s=60)
        return client

    def management(self, endpoint: str) -> "ApiGatewayManagementApiClient":
        from comfyq.adapters.apigw.client import management_client

        with self._making:
            return management_client(self.session, endpoint)

    def _client(self, service: str, *, read_timeout_s: int) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=5,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 4},
            max_pool_connections=CONNECTIONS,
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"} if self._endpoint(service) else None,
        )
        with self._making:  # a session is not safe to make clients from several threads
            make = partial(self.session.client, service)
            client = make(endpoint_url=self._endpoint(service), config=config)
        ClockCheck(SystemClock()).watch(client)
        return client

    def _endpoint(self, service: str) -> str | None:
        """A service's own, else everybody's; None leaves it to boto3."""
        endpoints = self._settings.endpoints
        own = endpoints.own(service) or endpoints.url
        if own is not None:
            return own
        if self._settings.backend is Backend.EMULATOR and endpoints.localstack_host:
            from localstack_client.config import (  # type: ignore[import-untyped]
                get_service_endpoint,
            )

            endpoint: str = get_service_endpoint(service)
            return endpoint
        return None
