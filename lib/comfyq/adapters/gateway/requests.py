"""Requests to the @connections API of gateways of this machine.

They are those that boto3 makes, which takes 3 ms of a core to prepare, sign and read each; and one
that API Gateway lacks, for a frame to several sockets.
"""

import json
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from comfyq.domain.errors import NotifierUnavailable, TooLarge
from comfyq.domain.request_signature import SignedRequest, signed_headers
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection, ConnectionGone, NotPosted

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5
MOST_NAMED = 1_000  # connections of one request: their ids have 20 KB, of the 64 that there may be


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
        path = f"@connections/{quote(connection.id, safe='')}"
        self._sent(method, connection.endpoint, path, body, secret)

    def send_to_all(
        self, connections: Sequence[Connection], frame: bytes, secret: bytes
    ) -> NotPosted:
        """Send one frame to several connections of the same endpoint, in requests that only the
        local gateway takes: a line with their ids, and the frame. Raises the errors of the port."""
        failed: dict[Connection, Exception] = {}
        for at in range(0, len(connections), MOST_NAMED):
            failed |= self._send_to_some(connections[at : at + MOST_NAMED], frame, secret)
        return failed

    def _send_to_some(
        self, connections: Sequence[Connection], frame: bytes, secret: bytes
    ) -> NotPosted:
        endpoint = connections[0].endpoint
        ids = json.dumps([each.id for each in connections]).encode()
        answer = self._sent("POST", endpoint, "@connections", ids + b"\n" + frame, secret)
        told = answer.json()
        ids_gone, ids_full = set(told["gone"]), set(told["full"])
        gone: dict[Connection, Exception] = {
            each: ConnectionGone(each.id) for each in connections if each.id in ids_gone
        }
        full = (each for each in connections if each.id in ids_full)
        return gone | {each: NotifierUnavailable(f"{each.id} does not read") for each in full}

    def _sent(
        self, method: str, endpoint: str, path: str, body: bytes, secret: bytes
    ) -> BaseHTTPResponse:
        url = f"{endpoint}/{path}"
        headers = {"host": urlsplit(url).netloc, "content-type": "application/octet-stream"}
        request = SignedRequest(method, urlsplit(url).path, headers, body)
        signed = signed_headers(request, secret, now=self._clock.now())
        try:
            answer = self._pool.request(method, url, body=body, headers=signed)
        except HTTPError as error:  # time-outs and refused connections
            raise NotifierUnavailable(f"{endpoint}: {error}") from error
        match answer.status:
            case 200 | 204:
                return answer
            case 410:
                raise ConnectionGone(path)
            case 413:
                raise TooLarge("the frame is over API Gateway's limit of 128 KB")
            case status:  # 429 and 5xx pass
                raise NotifierUnavailable(f"{endpoint} answers {status}")

    def close(self) -> None:
        """Close idle connections; a later request opens new ones."""
        self._pool.clear()
