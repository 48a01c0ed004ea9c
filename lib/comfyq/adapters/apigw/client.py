"""Making boto3's client of the @connections API."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.config import Config

from comfyq.adapters.apigw.notifier import POSTS_AT_ONCE
from comfyq.domain.loopback import is_loopback

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5
TRIES = 2  # a frame that comes twice does no harm: clients drop what is not newer


def management_client(
    session: "Session", endpoint: str, secret: bytes | None = None
) -> "ApiGatewayManagementApiClient":
    """Make a client of the API at ``endpoint``, ``https://host/stage``; about 60 ms the first time.

    It signs by ``secret`` if one is given, else by the session's credentials.
    """
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        max_pool_connections=POSTS_AT_ONCE,
        # None reads the environment's proxies, which are no way to this machine
        proxies={} if is_loopback(urlsplit(endpoint).hostname or "") else None,
    )
    if secret is None:
        return session.client("apigatewaymanagementapi", endpoint_url=endpoint, config=config)
    return session.client(
        "apigatewaymanagementapi",
        endpoint_url=endpoint,
        config=config,
        region_name="local",
        aws_access_key_id="comfyq",
        aws_secret_access_key=secret.decode(),
    )
