"""Making clients with boto3."""

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from comfyq.adapters.apigw.client import management_client
from comfyq.adapters.signing.clock_check import ClockCheck
from comfyq.adapters.system.clock import SystemClock
from comfyq.config import LOOK_ALIKE_ACCESS, Backend, Settings

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

CONNECTIONS = 50  # of each client; as many as threads may call at once


class ClientFactory:
    """Makes clients of one session, which is not safe to use in several threads at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = _session(settings.backend)
        self._making = Lock()

    def client(self, service: str, *, read_timeout_s: int) -> Any:
        endpoint = self._endpoint(service)
        config = Config(
            connect_timeout=5,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 4},
            max_pool_connections=CONNECTIONS,
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"} if endpoint else None,
        )
        make = partial(self._session.client, service)
        with self._making:
            client = make(endpoint_url=endpoint, config=config)
        ClockCheck(SystemClock()).watch(client)
        return client

    def management(self, endpoint: str, secret: bytes | None) -> "ApiGatewayManagementApiClient":
        with self._making:
            return management_client(self._session, endpoint, secret)

    def _endpoint(self, service: str) -> str | None:
        """A service's own, else everybody's; None leaves it to boto3."""
        endpoints = self._settings.endpoints
        own = endpoints.own(service) or endpoints.url
        if own is not None:
            return own
        if self._settings.backend is Backend.EMULATOR and endpoints.localstack_host:
            # only [local] has it
            from localstack_client.config import (  # type: ignore[import-untyped]
                get_service_endpoint,
            )

            endpoint: str = get_service_endpoint(service)
            return endpoint
        return None


def _session(backend: Backend) -> boto3.Session:
    """On AWS the usual chain of credentials; elsewhere the key that every look-alike knows."""
    if backend is Backend.AWS:
        return boto3.Session()
    return boto3.Session(
        aws_access_key_id=LOOK_ALIKE_ACCESS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=LOOK_ALIKE_ACCESS["AWS_SECRET_ACCESS_KEY"],
        region_name=LOOK_ALIKE_ACCESS["AWS_DEFAULT_REGION"],
    )
