"""boto3, imported when the first client is asked for."""

from threading import Lock
from typing import TYPE_CHECKING

from comfyq.config import Settings

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from comfyq.bootstrap.client_factory import ClientFactory

POLL_S = 20  # the longest long poll of SQS; a read must wait longer than that
RING_S = 2  # of a webhook: the reaper rings again
TABLE_S = 5  # four tries of the table then end within the 29 s that API Gateway waits


class Clients:
    """Clients of AWS, or of a look-alike of it, that all share one session."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: ClientFactory | None = None
        self._making = Lock()  # clients are made in threads

    def dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self._factory().client("dynamodb", read_timeout_s=TABLE_S)
        return client

    def sqs(self) -> "SQSClient":
        client: SQSClient = self._factory().client("sqs", read_timeout_s=POLL_S + 10)
        return client

    def sqs_rings(self) -> "SQSClient":
        """Return one for what only rings, which is not worth waiting for."""
        client: SQSClient = self._factory().client("sqs", read_timeout_s=RING_S)
        return client

    def s3(self) -> "S3Client":
        client: S3Client = self._factory().client("s3", read_timeout_s=30)
        return client

    def cloudformation(self) -> "CloudFormationClient":
        client: CloudFormationClient = self._factory().client("cloudformation", read_timeout_s=60)
        return client

    def management(self, endpoint: str, secret: bytes | None) -> "ApiGatewayManagementApiClient":
        return self._factory().management(endpoint, secret)

    def _factory(self) -> "ClientFactory":
        # boto3 costs a cold start some 100 ms: the first call pays for it, not the import
        from comfyq.bootstrap.client_factory import ClientFactory

        with self._making:
            if self._made is None:
                self._made = ClientFactory(self._settings)
            return self._made
