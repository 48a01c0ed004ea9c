"""Reading of API Gateway's answers by the notifier; see tests/contract for the rest."""

from typing import TYPE_CHECKING

import pytest
from botocore.stub import Stubber

from comfyq.adapters.apigw.client import management_client
from comfyq.adapters.apigw.notifier import MAX_CLIENTS, ApiGatewayNotifier
from comfyq.domain.errors import NotifierUnavailable
from comfyq.ports.notifier import Connection, ConnectionGone
from tests.gateway_lab import SESSION, real_notifier, secret

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

pytestmark = pytest.mark.anyio

ENDPOINT = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/live"
SOCKET = Connection("L0SM9cOFvHcCIhw=", ENDPOINT)


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("GoneException", 410, ConnectionGone),
        ("LimitExceededException", 429, NotifierUnavailable),
        ("TooManyRequestsException", 429, NotifierUnavailable),
        ("InternalServerErrorException", 500, NotifierUnavailable),
        ("ForbiddenException", 403, NotifierUnavailable),
    ],
)
async def test_refusals_are_translated(code: str, status: int, meaning: type[Exception]) -> None:
    client = management_client(SESSION, ENDPOINT)
    with Stubber(client) as stubber:
        stubber.add_client_error("post_to_connection", code, http_status_code=status)
        notifier = ApiGatewayNotifier(client_of=lambda *_: client, local_secret=secret)
        with pytest.raises(meaning):
            await notifier.post(SOCKET, b"{}")


async def test_each_endpoint_has_one_client_and_the_least_used_is_let_go() -> None:
    made: list[str] = []

    def client_of(endpoint: str, secret: bytes | None) -> "ApiGatewayManagementApiClient":
        made.append(endpoint)
        return management_client(SESSION, endpoint, secret)

    notifier = ApiGatewayNotifier(client_of=client_of, local_secret=secret)
    first, second, *others, last = (f"http://127.0.0.1:1/{n}" for n in range(MAX_CLIENTS + 1))
    for endpoint in (first, second, *others, first, last, first, second):
        notifier._client(endpoint, None)
    assert made == [first, second, *others, last, second]


async def test_a_client_waits_no_longer_than_a_worker_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    local = management_client(SESSION, "http://127.0.0.1:1/local").meta.config
    assert (local.connect_timeout, local.read_timeout) == (2, 5)  # type: ignore[attr-defined]
    here = Connection("c", "http://127.0.0.1:1/local")
    refused = pytest.raises(NotifierUnavailable, match="Could not connect to the endpoint URL")
    with real_notifier() as notifier, refused:  # by this machine, not by the proxy
        await notifier.post(here, b"{}")
