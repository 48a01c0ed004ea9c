"""Requests to the @connections API of gateways of this machine.

They are those that boto3 makes, which takes 3 ms of a core to prepare, sign and read each.
"""

from urllib.parse import quote, urlsplit

from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from comfyq.domain.errors import NotifierUnavailable, TooLarge
from comfyq.domain.request_signature import SignedRequest, signed_headers
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection, ConnectionGone

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5


class GatewayRequests:
    """Makes requests in the caller's thread, on HTTP connections that are kept for later ones."""

    def __init__(self, *, at_once: int, clock: Clock) -> None:
        self._clock = clock
        self._pool = PoolManager(
            maxsize=at_once,
            timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            # A frame that comes twice does no harm: clients drop what is not newer.
            retries=Retry(connect=0, read=1, redirect=0, allowed_methods=None),
        )

    def send(self, method: str, connection: Connection, body: bytes, secret: bytes) -> None:
        """Send one request, signed by a secret; raises the errors of the Notifier port."""
        url = f"{connection.endpoint}/@connections/{quote(connection.id, safe='')}"
        headers = {"host": urlsplit(url).netloc, "content-type": "application/octet-stream"}
        request = SignedRequest(method, urlsplit(url).path, headers, body)
        signed = signed_headers(request, secret, now=self._clock.now())
        try:
            answer = self._pool.request(method, url, body=body, headers=signed)
        except HTTPError as error:  # time-outs and refused connections
            raise NotifierUnavailable(f"{connection.endpoint}: {error}") from error
        match answer.status:
            case 200 | 204:
                return
            case 410:
                raise ConnectionGone(connection.id)
            case 413:
                raise TooLarge("the frame is over API Gateway's limit of 128 KB")
            case status:  # 429 and 5xx pass
                raise NotifierUnavailable(f"{connection.endpoint} answers {status}")

    def close(self) -> None:
        """Close idle connections; a later request opens new ones."""
        self._pool.clear()
